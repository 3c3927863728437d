/* Backward pass of a depthwise convolution in channels_last. Memory is float32 or bfloat16, arithmetic float32.
 *
 * It works on LANES channels of an image at a time. Their plane, padded with zeros, fits the second-level cache, and
 * sums over a window stay in registers. */
#include "lanes.h"
#include "threads.h"

#define ROW 4 /* neighbouring results that share the load of a weight */

/* Input (images, height, width, channels), square kernels, one filter per channel. */
typedef struct {
    size images, height, width, channels, kernel, stride, padding, bf16;
} Depthwise;

static size out_side(const Depthwise *d, size side) { return (side + 2 * d->padding - d->kernel) / d->stride + 1; }
static size groups(const Depthwise *d) { return (d->channels + LANES - 1) / LANES; }
static size taps(const Depthwise *d) { return d->kernel * d->kernel; }

/* Sizes of the input's plane and of the plane of output gradients. The latter are spread `stride` apart, so that a
 * plain convolution gives the input's gradients. */
static size in_width(const Depthwise *d) { return d->width + 2 * d->padding; }
static size in_area(const Depthwise *d) { return (d->height + 2 * d->padding) * in_width(d); }
static size spread_width(const Depthwise *d) { return in_width(d) + d->kernel + ROW; }
static size spread_area(const Depthwise *d) { return (d->height + 2 * d->padding + d->kernel) * spread_width(d); }

/* Floats of scratch memory per thread. */
size snn_depthwise_scratch(const Depthwise *d) {
    return (in_area(d) + spread_area(d) + 3 * taps(d)) * LANES;
}

/* Floats per thread for the gradients of the weights: (groups of channels, kernel * kernel, LANES). */
size snn_depthwise_weights(const Depthwise *d) { return groups(d) * taps(d) * LANES; }

/* Load `n` channels of (height, width, channels) from `from[at]` into a plane, with pixels `apart` from each other. */
static void load_plane(lanes *plane, size plane_width, size apart, const void *from, size at, size height, size width,
                       size channels, size n, size bf16) {
    for (size h = 0; h < height; h++)
        for (size w = 0; w < width; w++)
            plane[(h * plane_width + w) * apart] = read(from, at + (h * width + w) * channels, n, bf16);
}

/* Load the weights (channels, kernel * kernel) of `n` channels, turned by 180 degrees: (kernel * kernel, LANES). */
static void load_turned(lanes *to, const float *weight, size taps, size n) {
    for (size tap = 0; tap < taps; tap++) {
        float value[LANES] = {0};
        for (size i = 0; i < n; i++) value[i] = weight[i * taps + taps - 1 - tap];
        memcpy(&to[tap], value, sizeof value);
    }
}

/* Write the gradients of `n` channels of the input to `grad_x[at]`. */
static void back_to_input(const Depthwise *d, const lanes *spread, const lanes *turned, void *grad_x, size at, size n) {
    for (size h = 0; h < d->height; h++)
        for (size left = 0; left < d->width; left += ROW) {
            const lanes *plane = spread + (h + d->padding) * spread_width(d) + left + d->padding;
            lanes sum[ROW] = {{0}};
            for (size i = 0; i < d->kernel; i++)
                for (size j = 0; j < d->kernel; j++) {
                    lanes weight = turned[i * d->kernel + j];
                    for (size r = 0; r < ROW; r++) sum[r] += weight * plane[i * spread_width(d) + j + r];
                }
            for (size r = 0; r < ROW && left + r < d->width; r++)
                write(grad_x, at + (h * d->width + left + r) * d->channels, sum[r], n, d->bf16);
        }
}

/* Add one image's gradients of the weights to `grad_weight` (kernel * kernel, LANES). */
static void back_to_weight(const Depthwise *d, const lanes *spread, const lanes *plane, lanes *image,
                           lanes *grad_weight) {
    size height = out_side(d, d->height), width = out_side(d, d->width), apart = d->stride;
    memset(image, 0, taps(d) * sizeof(lanes));
    for (size h = 0; h < height; h++) {
        const lanes *g = spread + (d->kernel - 1 + h * apart) * spread_width(d) + d->kernel - 1;
        for (size i = 0; i < d->kernel; i++)
            for (size j = 0; j < d->kernel; j++) {
                const lanes *x = plane + (h * apart + i) * in_width(d) + j;
                lanes even = {0}, odd = {0};
                size w = 0;
                for (; w + 1 < width; w += 2) {
                    even += g[w * apart] * x[w * apart];
                    odd += g[(w + 1) * apart] * x[(w + 1) * apart];
                }
                if (w < width) even += g[w * apart] * x[w * apart];
                image[i * d->kernel + j] += even + odd;
            }
    }
    for (size tap = 0; tap < taps(d); tap++) grad_weight[tap] += image[tap];
}

/* Backward pass from `grad` (images, out height, out width, channels) and `weight` (channels, kernel * kernel),
 * float32. Write the input's gradients to `grad_x`, unless it is NULL, and add each thread's gradients of the weights
 * to `grad_weight` (threads, snn_depthwise_weights), which must be 0. `scratch` is (threads, snn_depthwise_scratch). */
void snn_depthwise_back(const Depthwise *d, const void *x, const float *weight, const void *grad, void *grad_x,
                        float *grad_weight, float *scratch, size threads) {
    size height = out_side(d, d->height), width = out_side(d, d->width);
#pragma omp parallel num_threads(threads)
    {
        lanes *plane = (lanes *)(scratch + THREAD * snn_depthwise_scratch(d)), *spread = plane + in_area(d);
        lanes *turned = spread + spread_area(d), *image = turned + taps(d);
        lanes *own = (lanes *)(grad_weight + THREAD * snn_depthwise_weights(d));
        memset(plane, 0, (in_area(d) + spread_area(d)) * sizeof(lanes));
        size count = d->images * groups(d), end = count * (THREAD + 1) / TEAM;
        for (size index = count * THREAD / TEAM; index < end; index++) {
            size group = index % groups(d), first = group * LANES;
            size n = least(LANES, d->channels - first);
            size at_x = index / groups(d) * d->height * d->width * d->channels + first;
            size at_grad = index / groups(d) * height * width * d->channels + first;
            load_plane(plane + d->padding * in_width(d) + d->padding, in_width(d), 1, x, at_x, d->height, d->width,
                       d->channels, n, d->bf16);
            load_plane(spread + (d->kernel - 1) * spread_width(d) + d->kernel - 1, spread_width(d), d->stride, grad,
                       at_grad, height, width, d->channels, n, d->bf16);
            if (grad_x) {
                load_turned(turned, weight + first * taps(d), taps(d), n);
                back_to_input(d, spread, turned, grad_x, at_x, n);
            }
            back_to_weight(d, spread, plane, image, own + group * taps(d));
        }
    }
}
