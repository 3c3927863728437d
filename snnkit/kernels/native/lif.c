/* BatchNorm, leaky integrate-and-fire neurons over T steps and max pooling of their spikes, fused. The forward pass
 * goes through memory once, the backward pass twice, in channels_last. The state of a bundle of neurons stays in
 * registers.
 *
 * Only the convolution's output is kept between the passes; the backward pass integrates the membrane again. Sums
 * over pixels are in double, in an order that depends only on the number of threads. */
#include "lanes.h"
#include "neuron.h"
#include "layer.h"
#include "threads.h"

/* Take the next `n` floats of a thread's scratch memory. */
static float *take(float **scratch, size n) {
    float *piece = *scratch;
    *scratch += n;
    return piece;
}

/* Floats of scratch memory per thread. */
size snn_scratch(const Layer *l) {
    size places = l->pool * l->pool;
    return 6 * period(l->channels, 1) + (places * (l->steps + 2 * l->timesteps) + l->steps + l->timesteps) * LANES;
}

/* Doubles per thread for the sums over a period: two per channel. */
size snn_partial(const Layer *l) { return 2 * period(l->channels, flat(l)); }

/* Add up the threads' sums: (threads, 2, period) to (2, channels). */
static void collect(double *sums, const double *partial, size threads, size channels, size period, int flat) {
    memset(sums, 0, 2 * channels * sizeof(double));
    for (size row = 0; row < 2 * threads; row++)
        for (size i = 0; i < (flat ? period : channels); i++)
            sums[row % 2 * channels + i % channels] += partial[row * period + i];
}

/* Half of `lanes`, and the same in double: each fits a register. */
typedef float half_lanes __attribute__((vector_size(2 * LANES), aligned(4)));
typedef double wide __attribute__((vector_size(4 * LANES), aligned(8)));
typedef wide wide_in_memory __attribute__((may_alias, aligned(8)));

#if defined(__has_builtin)
#define HAS_SHUFFLE __has_builtin(__builtin_shufflevector)
#else
#define HAS_SHUFFLE 0
#endif

INLINE void halves_of(lanes value, half_lanes *half) {
#if LANES == 16 && HAS_SHUFFLE
    half[0] = __builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7);
    half[1] = __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15);
#elif LANES == 8 && HAS_SHUFFLE
    half[0] = __builtin_shufflevector(value, value, 0, 1, 2, 3);
    half[1] = __builtin_shufflevector(value, value, 4, 5, 6, 7);
#else
    memcpy(half, &value, sizeof value);
#endif
}

/* Add the lanes of `value` to LANES sums. */
INLINE void add_to(double *sum, lanes value) {
    half_lanes half[2];
    halves_of(value, half);
    for (size i = 0; i < 2; i++) *(wide_in_memory *)(sum + i * LANES / 2) += __builtin_convertvector(half[i], wide);
}

/* Add `n` values and their squares, which are computed in double. */
INLINE void add_bundle(double *sum, double *square, const void *current, size at, size n, size bf16) {
    half_lanes half[2];
    halves_of(read(current, at, n, bf16), half);
    for (size i = 0; i < 2; i++) {
        wide each = __builtin_convertvector(half[i], wide);
        *(wide_in_memory *)(sum + i * LANES / 2) += each;
        *(wide_in_memory *)(square + i * LANES / 2) += each * each;
    }
}

/* Write the sums and sums of squares of the current, (2, channels). `partial` (threads, snn_partial) must be 0. */
void snn_sums(const Layer *l, double *sums, double *partial, size threads) {
    size n = pixels_of(l) * l->channels, length = period(l->channels, 1);
#pragma omp parallel num_threads(threads)
    {
        double *sum = partial + 2 * THREAD * length, *square = sum + length;
        for (Span s = span_of(n, length, THREAD, TEAM); s.at < s.end; advance(&s))
            WITH_MEMORY(least(LANES, n - s.at), l->bf16,
                        add_bundle(sum + s.channel, square + s.channel, l->current, s.at, m, bf16))
    }
    collect(sums, partial, threads, l->channels, length, 1);
}

/* BatchNorm of the channels of a bundle, and of all channels, repeated over a period. */
typedef struct {
    lanes scale, shift, mean, invstd;
} Norm;
typedef struct {
    const float *scale, *shift, *mean, *invstd;
} Norms;

static Norms norms_of(const Layer *l, float **scratch, size period, int flat) {
    return (Norms){repeated(take(scratch, period), l->scale, 1, l->channels, period, flat),
        repeated(take(scratch, period), l->shift, 0, l->channels, period, flat),
        repeated(take(scratch, period), l->mean, 0, l->channels, period, flat),
        repeated(take(scratch, period), l->invstd, 1, l->channels, period, flat)};
}

INLINE Norm norm_at(Norms of, size channel) {
    return (Norm){load(of.scale + channel), load(of.shift + channel), load(of.mean + channel),
        load(of.invstd + channel)};
}

/* Write the currents (steps) and membranes minus threshold (timesteps) of `n` neurons whose first current is at `at`;
 * and the part of the membranes that leaks (timesteps), unless `left` is NULL. */
INLINE void membranes(Loop loop, const void *current, size at, size n, Norm norm, lanes *currents, lanes *above,
                      lanes *left) {
    State state = {{0}, {0}};
    lanes x = {0};
    for (size t = 0; t < loop.timesteps; t++) {
        if (t < loop.steps) {
            currents[t] = read(current, at + t * loop.in_step, n, loop.bf16);
            x = currents[t] * norm.scale + norm.shift;
        }
        above[t] = integrate(loop.neuron, &state, x);
        if (left) left[t] = state.left;
    }
}

/* As `membranes`, for neurons driven by the largest current of a window at each step. Also write that current as it
 * is in memory, and its place in the window. */
INLINE void membranes_of_largest(Loop loop, const void *current, size at, size n, Norm norm, lanes *currents,
                                 lanes *above, lanes *left, bits *largest) {
    State state = {{0}, {0}};
    lanes x = {0};
    for (size t = 0; t < loop.timesteps; t++) {
        if (t < loop.steps) {
            lanes found = read(current, at + t * loop.in_step, n, loop.bf16);
            bits where = {0};
            x = found * norm.scale + norm.shift;
            for (size w = 1; w < loop.places; w++) {
                lanes other = read(current, at + place(loop, w) + t * loop.in_step, n, loop.bf16);
                lanes y = other * norm.scale + norm.shift;
                bits larger = (y > x) | (y != y); /* the last NaN wins, as in torch */
                x = either(larger, y, x);
                found = either(larger, other, found);
                where = (where & ~larger) | (((bits){0} + (int32_t)w) & larger);
            }
            currents[t] = found;
            largest[t] = where;
        }
        above[t] = integrate(loop.neuron, &state, x);
        if (left) left[t] = state.left;
    }
}

/* Run a bundle forward. Return how often each neuron fires, lane by lane. */
INLINE bits lif_bundle_forward(Loop loop, const void *current, void *spikes, Bundle bundle, size n, Norm norm,
                               lanes *currents, lanes *above, bits *fired, bits *largest) {
    bits count = {0};
    for (size w = 0; w < (largest ? 1 : loop.places); w++) {
        if (largest)
            membranes_of_largest(loop, current, bundle.in, n, norm, currents, above, 0, largest);
        else
            membranes(loop, current, bundle.in + place(loop, w), n, norm, currents, above, 0);
        for (size t = 0; t < loop.timesteps; t++) {
            bits fires = above[t] > 0; /* -1 if the neuron fires */
            fired[t] = w ? fired[t] | fires : fires;
            count -= fires;
        }
    }
    for (size t = 0; t < loop.timesteps; t++)
        write_spikes(spikes, bundle.out + t * loop.out_step, fired[t], n, loop.spikes_bf16);
    return count;
}

/* Write this layer's channels of the spikes (timesteps, images, height / pool, width / pool, pitch), and the number of
 * spikes before pooling per thread, `counts` (threads,), unless it is NULL. */
void snn_lif_forward(const Layer *l, void *spikes, double *counts, float *scratch, size threads) {
    size length = period(l->channels, flat(l));
#pragma omp parallel num_threads(threads)
    {
        size at[l->pool * l->pool];
        const Loop loop = loop_of(l, at);
        const void *current = l->current;
        float *own = scratch + THREAD * snn_scratch(l);
        const Norms norms = norms_of(l, &own, length, flat(l));
        lanes *currents = (lanes *)take(&own, loop.steps * LANES), *above = (lanes *)take(&own, loop.timesteps * LANES);
        bits *fired = (bits *)take(&own, loop.timesteps * LANES);
        bits *largest = loop.pool_currents ? (bits *)take(&own, loop.steps * LANES) : 0;
        double total[LANES] = {0};
        size count = bundles(l), index = count * THREAD / TEAM, end = count * (THREAD + 1) / TEAM;
        Cursor cursor = cursor_at(l, index, length);
        const int is_flat = flat(l);
        for (; index < end; index++) {
            Bundle bundle = next_bundle(l, &cursor, is_flat);
            Norm norm = norm_at(norms, bundle.channel);
            bits fires;
            WITH_CONSTANTS(loop, bundle.n, fires = lif_bundle_forward(as, current, spikes, bundle, n, norm, currents,
                                                                      above, fired, largest))
            if (counts && bundle.n == LANES)
                add_to(total, __builtin_convertvector(fires, lanes));
            else if (counts)
                for (size i = 0; i < bundle.n; i++) total[i] += fires[i];
        }
        if (counts)
            for (size i = 0; i < LANES; i++) counts[THREAD] += total[i];
    }
}

/* Select the place of a window that receives its gradient: the first one that spikes, or place 0 if none does.
 * `above` is (places, timesteps). */
INLINE bits receives(const lanes *above, size w, size t, size places, size timesteps) {
    bits own = above[w * timesteps + t] > 0, before = {0}, after = {0};
    for (size other = 0; other < w; other++) before |= above[other * timesteps + t] > 0;
    if (w > 0) return own & ~before;
    for (size other = 1; other < places; other++) after |= above[other * timesteps + t] > 0;
    return own | ~after;
}

/* Contribution of a bundle to the gradients of BatchNorm's weight (gx) and bias (g), and of the leak. */
typedef struct {
    lanes gx, g, leak;
} Sums;

INLINE Sums lif_bundle_backward(Loop loop, const void *current, const void *grad_spikes, void *grad, Bundle bundle,
                                size n, Norm norm, lanes *currents, lanes *above, lanes *left, bits *largest) {
    const size T = loop.timesteps, steps = loop.steps, neurons = largest ? 1 : loop.places; /* per window */
    Sums sums = {{0}, {0}, {0}};
    for (size w = 0; w < neurons; w++)
        if (largest)
            membranes_of_largest(loop, current, bundle.in, n, norm, currents, above, left, largest);
        else
            membranes(loop, current, bundle.in + place(loop, w), n, norm, currents + w * steps, above + w * T,
                      left ? left + w * T : 0);
    for (size w = 0; w < neurons; w++) {
        lanes carried = {0}, together = {0};
        for (size t = T - 1; t >= 0; t--) {
            lanes arriving = read(grad_spikes, bundle.out + t * loop.out_step, n, loop.spikes_bf16);
            if (neurons > 1) arriving = only(receives(above, w, t, neurons, T), arriving);
            lanes total = integrate_backward(loop.neuron, &carried, above[w * T + t], arriving);
            together += total;
            if (left && t > 0) sums.leak += total * left[w * T + t - 1];
            if (t < steps) { /* a constant current gets the gradients of all steps at step 0 */
                if (largest) /* only the largest current of the window */
                    for (size p = 0; p < loop.places; p++)
                        write(grad, bundle.in + place(loop, p) + t * loop.in_step,
                              only(largest[t] == (int32_t)p, together), n, loop.bf16);
                else
                    write(grad, bundle.in + place(loop, w) + t * loop.in_step, together, n, loop.bf16);
                sums.gx += together * ((currents[w * steps + t] - norm.mean) * norm.invstd);
                sums.g += together;
                together = all(0);
            }
        }
    }
    return sums;
}

/* From the gradients of the spikes, write the gradients of the normalised current to `grad`, those of BatchNorm's
 * weight and bias to `sums` (2, channels), and the leak's per thread to `leaks` (threads,), unless it is NULL.
 * `partial` (threads, snn_partial) must be 0. */
void snn_lif_backward(const Layer *l, const void *grad_spikes, void *grad, double *sums, double *leaks,
                      double *partial, float *scratch, size threads) {
    size length = period(l->channels, flat(l));
#pragma omp parallel num_threads(threads)
    {
        size at[l->pool * l->pool];
        const Loop loop = loop_of(l, at);
        const void *current = l->current;
        float *own = scratch + THREAD * snn_scratch(l);
        const Norms norms = norms_of(l, &own, length, flat(l));
        lanes *currents = (lanes *)take(&own, loop.places * loop.steps * LANES);
        lanes *above = (lanes *)take(&own, loop.places * loop.timesteps * LANES);
        lanes *left = leaks ? (lanes *)take(&own, loop.places * loop.timesteps * LANES) : 0;
        bits *largest = loop.pool_currents ? (bits *)take(&own, loop.steps * LANES) : 0;
        double leak[LANES] = {0};
        double *sum_gx = partial + 2 * THREAD * length, *sum_g = sum_gx + length;
        size count = bundles(l), index = count * THREAD / TEAM, end = count * (THREAD + 1) / TEAM;
        Cursor cursor = cursor_at(l, index, length);
        const int is_flat = flat(l);
        for (; index < end; index++) {
            Bundle bundle = next_bundle(l, &cursor, is_flat);
            Norm norm = norm_at(norms, bundle.channel);
            Sums found;
            WITH_CONSTANTS(loop, bundle.n, found = lif_bundle_backward(as, current, grad_spikes, grad, bundle, n, norm,
                                                                       currents, above, left, largest))
            add_to(sum_gx + bundle.channel, found.gx);
            add_to(sum_g + bundle.channel, found.g);
            if (left) add_to(leak, found.leak);
        }
        if (left)
            for (size i = 0; i < LANES; i++) leaks[THREAD] += leak[i];
    }
    collect(sums, partial, threads, l->channels, length, flat(l));
}

/* Coefficients of BatchNorm's backward pass: scale * (g - mean_g - (y - mean) * tilt). */
typedef struct {
    lanes scale, mean, tilt, mean_g;
} Back;

INLINE void batchnorm_bundle_backward(const void *current, void *grad, size at, size n, size bf16, Back back) {
    lanes g = read(grad, at, n, bf16), y = read(current, at, n, bf16);
    write(grad, at, back.scale * (g - back.mean_g - (y - back.mean) * back.tilt), n, bf16);
}

/* Turn the gradients of the normalised current into those of the current, in place. `means` (2, channels): batch
 * means of gradient * normalised current and of the gradient. */
void snn_batchnorm_backward(const Layer *l, void *grad, const float *means, float *scratch, size threads) {
    size n = pixels_of(l) * l->channels, length = period(l->channels, 1);
#pragma omp parallel num_threads(threads)
    {
        float *own = scratch + THREAD * snn_scratch(l);
        const Norms norms = norms_of(l, &own, length, 1);
        const float *mean_g = repeated(take(&own, length), means + l->channels, 0, l->channels, length, 1);
        float *tilt = take(&own, length);
        for (size i = 0; i < length; i++) tilt[i] = l->invstd[i % l->channels] * means[i % l->channels];
        for (Span s = span_of(n, length, THREAD, TEAM); s.at < s.end; advance(&s)) {
            Norm norm = norm_at(norms, s.channel);
            Back back = {norm.scale, norm.mean, load(tilt + s.channel), load(mean_g + s.channel)};
            WITH_MEMORY(least(LANES, n - s.at), l->bf16,
                        batchnorm_bundle_backward(l->current, grad, s.at, m, bf16, back))
        }
    }
}

/* The BatchNorm of a CNN: `relu` is whether a ReLU follows. */
INLINE lanes normalised(lanes x, Norm norm, size relu) {
    lanes y = x * norm.scale + norm.shift;
    return relu ? only(~(y < 0), y) : y; /* NaN stays NaN */
}

/* Write the normalised current, (steps, images, height, width, channels), to `y`. */
void snn_normalise(const Layer *l, void *y, size relu, float *scratch, size threads) {
    size n = pixels_of(l) * l->channels, length = period(l->channels, 1);
#pragma omp parallel num_threads(threads)
    {
        float *own = scratch + THREAD * snn_scratch(l);
        const Norms norms = norms_of(l, &own, length, 1);
        for (Span s = span_of(n, length, THREAD, TEAM); s.at < s.end; advance(&s)) {
            Norm norm = norm_at(norms, s.channel);
            WITH_MEMORY(least(LANES, n - s.at), l->bf16,
                        write(y, s.at, normalised(read(l->current, s.at, m, bf16), norm, relu), m, bf16))
        }
    }
}

INLINE void normalise_bundle_backward(const void *x, const void *grad_y, void *grad, size at, size n, size bf16,
                                      Norm norm, size relu, double *sum_gx, double *sum_g) {
    lanes value = read(x, at, n, bf16), g = read(grad_y, at, n, bf16);
    if (relu) g = only(normalised(value, norm, 1) > 0, g);
    write(grad, at, g, n, bf16);
    add_to(sum_gx, g * ((value - norm.mean) * norm.invstd));
    add_to(sum_g, g);
}

/* From the gradients of `y`, write those before the ReLU to `grad`, and those of BatchNorm's weight and bias to `sums`
 * (2, channels). `partial` (threads, snn_partial) must be 0. `snn_batchnorm_backward` does the rest. */
void snn_normalise_backward(const Layer *l, const void *grad_y, void *grad, size relu, double *sums, double *partial,
                            float *scratch, size threads) {
    size n = pixels_of(l) * l->channels, length = period(l->channels, 1);
#pragma omp parallel num_threads(threads)
    {
        float *own = scratch + THREAD * snn_scratch(l);
        const Norms norms = norms_of(l, &own, length, 1);
        double *sum_gx = partial + 2 * THREAD * length, *sum_g = sum_gx + length;
        for (Span s = span_of(n, length, THREAD, TEAM); s.at < s.end; advance(&s)) {
            Norm norm = norm_at(norms, s.channel);
            WITH_MEMORY(least(LANES, n - s.at), l->bf16,
                        normalise_bundle_backward(l->current, grad_y, grad, s.at, m, bf16, norm, relu,
                                                  sum_gx + s.channel, sum_g + s.channel))
        }
    }
    collect(sums, partial, threads, l->channels, length, 1);
}

/* Sum over a pixel's channels, lane by lane: the values times `scale`, rounded; with `scale` 0, the number of nonzero
 * values. */
INLINE lanes spikes_of_pixel(const void *x, size at, size channels, size bf16, float scale) {
    const lanes shift = all(12582912); /* 1.5 * 2^23: adding it rounds to whole numbers */
    lanes sum = {0};
    bits lane;
    for (int32_t i = 0; i < LANES; i++) lane[i] = i;
    for (size i = 0; i < channels; i += LANES) {
        size n = channels - i;
        lanes value;
        if (n >= LANES)
            value = read(x, at + i, LANES, bf16);
        else if (i > 0) /* the last LANES channels, without the ones counted before */
            value = only(lane >= (int32_t)(LANES - n), read(x, at + channels - LANES, LANES, bf16));
        else
            value = read(x, at, n, bf16);
        sum += scale == 0 ? only(value != 0, all(1)) : scale == 1 ? value : (value * scale + shift) - shift;
    }
    return sum;
}

/* Write the number of spikes at each position, (height * width), over all steps, images and channels: `current` times
 * `scale`, rounded to whole numbers; with `scale` 0, the number of nonzero values. Pixels are `pitch` channels apart.
 * `partial` (threads, height * width, LANES) must be 0. */
void snn_spikes_per_position(const Layer *l, float scale, double *total, double *partial, size threads) {
    size positions = l->height * l->width, c = l->channels, count = l->steps * l->images * positions, bf16 = l->bf16;
    size pitch = l->pitch;
    const void *x = l->current;
#pragma omp parallel num_threads(threads)
    {
        double *own = partial + THREAD * positions * LANES;
        size first = count * THREAD / TEAM, end = count * (THREAD + 1) / TEAM, position = first % positions;
        for (size pixel = first; pixel < end; pixel++, position = position + 1 == positions ? 0 : position + 1) {
            lanes sum = scale == 1 && !bf16 ? spikes_of_pixel(x, pixel * pitch, c, 0, 1)
                                            : spikes_of_pixel(x, pixel * pitch, c, bf16, scale);
            add_to(own + position * LANES, sum);
        }
    }
    memset(total, 0, positions * sizeof(double));
    for (size t = 0; t < threads; t++)
        for (size i = 0; i < positions * LANES; i++) total[i / LANES] += partial[t * positions * LANES + i];
}
