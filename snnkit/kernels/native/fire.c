/* BatchNorm, leaky integrate-and-fire neurons over T steps and max pooling of their spikes, fused: one pass over memory
 * forward, two backward, in channels_last.
 *
 * Nothing is kept between them but the convolution's output: the backward pass integrates the membrane anew. Sums over
 * pixels are in double, in an order that depends on the number of threads alone.
 */
#include "tile.h"

#include "neuron.h"

/* Scratch memory of one thread, handed out piece by piece. */
typedef struct {
    float *next;
} Scratch;

static float *take(Scratch *scratch, size n) {
    float *piece = scratch->next;
    scratch->next += n;
    return piece;
}

/* Floats of scratch memory that one thread needs. */
size snn_scratch(const Layer *l) {
    size places = l->pool * l->pool;
    return (places * (l->steps + l->timesteps) + 2 * l->timesteps + 8) * tile_lane(l->channels);
}

/* The threads' sums (threads, 2, tile) added up to (2, channels). */
static void collect(double *sums, const double *partial, size threads, size channels) {
    size n = tile_pixels(channels) * channels;
    memset(sums, 0, 2 * channels * sizeof(double));
    for (size row = 0; row < 2 * threads; row++)
        for (size i = 0; i < n; i++) sums[row % 2 * channels + i % channels] += partial[row * n + i];
}

/* Sums and sums of squares (2, channels) of (pixels, channels). `partial` (threads, 2, tile) is 0; `scratch` (threads,
 * lane). */
void snn_sums(const void *x, size bf16, size pixels, size channels, double *sums, double *partial, float *scratch,
              size threads) {
    size n = tile_pixels(channels) * channels, lane = tile_lane(channels);
#pragma omp parallel num_threads(threads)
    {
        double *restrict sum = partial + 2 * THREAD * n, *restrict square = sum + n;
        float *restrict value = scratch + THREAD * lane;
        size count = tiles(pixels, channels), end = share(count, THREAD + 1, TEAM);
        for (size index = share(count, THREAD, TEAM); index < end; index++) {
            Tile tile = tile_at(index, pixels, channels);
            load(value, x, tile.first * channels, tile.elements, bf16);
            for (size i = 0; i < tile.elements; i++) {
                sum[i] += value[i];
                square[i] += (double)value[i] * value[i];
            }
        }
    }
    collect(sums, partial, threads, channels);
}

/* Spikes (timesteps, images, height / pool, width / pool, pitch), of which this layer writes its channels. `scratch`
 * (threads, snn_scratch). */
void snn_fire(const Layer *l, void *spikes, float *scratch, size threads) {
    size c = l->channels, lane = tile_lane(c), pixels = pooled_pixels(l), T = l->timesteps;
#pragma omp parallel num_threads(threads)
    {
        Scratch own = {scratch + THREAD * snn_scratch(l)};
        const float *scale = repeated(take(&own, lane), l->scale, c), *shift = repeated(take(&own, lane), l->shift, c);
        float *current = take(&own, l->steps * lane);
        float *restrict above = take(&own, T * lane), *restrict fired = take(&own, T * lane);
        State state = {take(&own, lane), take(&own, lane)};
        size count = tiles(pixels, c), end = share(count, THREAD + 1, TEAM);
        for (size index = share(count, THREAD, TEAM); index < end; index++) {
            Tile tile = tile_at(index, pixels, c);
            for (size w = 0; w < l->pool * l->pool; w++) {
                for (size t = 0; t < l->steps; t++) load_current(l, current + t * lane, tile, t, w);
                integrate(l, above, current, scale, shift, state, tile.elements, lane);
                if (w == 0)
                    for (size i = 0; i < T * lane; i++) fired[i] = above[i] > 0 ? 1 : 0;
                else
                    for (size i = 0; i < T * lane; i++) fired[i] = above[i] > 0 ? 1 : fired[i];
            }
            for (size t = 0; t < T; t++) store_spikes(l, spikes, fired + t * lane, tile, t);
        }
    }
}

/* The part of a window's gradient that place `w` receives, `routed`: all of it where it is the first to spike, or where
 * it is the first place and none spikes. `open` is what no place has taken yet; `above` (places, n). */
static void route(float *restrict routed, float *restrict open, const float *restrict above, size w, size places,
                  size n) {
    const float *restrict own = above + w * n;
    if (w > 0) {
        for (size i = 0; i < n; i++) {
            routed[i] = own[i] > 0 ? open[i] : 0;
            open[i] = own[i] > 0 ? 0 : open[i];
        }
        return;
    }
    memcpy(routed, open, n * sizeof(float));
    for (size other = 1; other < places; other++)
        for (size i = 0; i < n; i++) routed[i] = own[i] <= 0 && above[other * n + i] > 0 ? 0 : routed[i];
    for (size i = 0; i < n; i++) open[i] = own[i] > 0 ? 0 : open[i];
}

/* Adds up what the gradients `g` (steps, lane) of the normalised current give for shift and scale. */
static void add_sums(const Layer *l, double *restrict sum_gx, double *restrict sum_g, const float *restrict g,
                     const float *restrict current, const float *restrict mean, const float *restrict invstd,
                     Scratch own, size n, size lane) {
    float *restrict gx = take(&own, lane), *restrict all = take(&own, lane);
    for (size i = 0; i < n; i++) {
        gx[i] = g[i] * ((current[i] - mean[i]) * invstd[i]);
        all[i] = g[i];
    }
    for (size at = lane; at < l->steps * lane; at += lane)
        for (size i = 0; i < n; i++) {
            gx[i] += g[at + i] * ((current[at + i] - mean[i]) * invstd[i]);
            all[i] += g[at + i];
        }
    for (size i = 0; i < n; i++) sum_gx[i] += gx[i], sum_g[i] += all[i];
}

/* From the spikes' gradients those of the normalised current, `grad` (steps, images, height, width, channels), and what
 * BatchNorm's weight and bias get: `sums` (2, channels). `partial` (threads, 2, tile) is 0. */
void snn_fire_back(const Layer *l, const void *grad_spikes, void *grad, double *sums, double *partial, float *scratch,
                   size threads) {
    size c = l->channels, lane = tile_lane(c), n = tile_pixels(c) * c, pixels = pooled_pixels(l);
    size places = l->pool * l->pool, T = l->timesteps;
#pragma omp parallel num_threads(threads)
    {
        Scratch own = {scratch + THREAD * snn_scratch(l)};
        const float *scale = repeated(take(&own, lane), l->scale, c), *shift = repeated(take(&own, lane), l->shift, c);
        const float *mean = repeated(take(&own, lane), l->mean, c), *invstd = repeated(take(&own, lane), l->invstd, c);
        float *currents = take(&own, places * l->steps * lane), *aboves = take(&own, places * T * lane);
        float *open = take(&own, T * lane), *routed = places > 1 ? take(&own, T * lane) : open;
        State state = {take(&own, lane), take(&own, lane)};
        size count = tiles(pixels, c), end = share(count, THREAD + 1, TEAM);
        for (size index = share(count, THREAD, TEAM); index < end; index++) {
            Tile tile = tile_at(index, pixels, c);
            for (size t = 0; t < T; t++) load_spike_grad(l, grad_spikes, open + t * lane, tile, t);
            for (size w = 0; w < places; w++) {
                float *current = currents + w * l->steps * lane;
                for (size t = 0; t < l->steps; t++) load_current(l, current + t * lane, tile, t, w);
                integrate(l, aboves + w * T * lane, current, scale, shift, state, tile.elements, lane);
            }
            for (size w = 0; w < places; w++) {
                const float *current = currents + w * l->steps * lane;
                float *restrict above = aboves + w * T * lane;
                if (places > 1) route(routed, open, aboves, w, places, T * lane);
                integrate_back(l, above, routed, state.left, state.reset, tile.elements, lane);
                if (l->steps == 1)
                    for (size t = 1; t < T; t++)
                        for (size i = 0; i < tile.elements; i++) above[i] += above[t * lane + i];
                if (mean) {
                    double *sum_gx = partial + 2 * THREAD * n;
                    add_sums(l, sum_gx, sum_gx + n, above, current, mean, invstd, own, tile.elements, lane);
                }
                for (size t = 0; t < l->steps; t++) store_grad(l, grad, above + t * lane, tile, t, w);
            }
        }
    }
    if (l->mean) collect(sums, partial, threads, c);
}

/* Through BatchNorm, in place: from the gradients of the normalised current those of the current. `means` (2, channels):
 * of gradient * normalised current and of the gradient over the batch; 0 where the statistics were not the batch's. */
void snn_norm_back(const Layer *l, void *grad, const float *means, float *scratch, size threads) {
    size c = l->channels, lane = tile_lane(c), pixels = l->steps * l->images * l->height * l->width;
#pragma omp parallel num_threads(threads)
    {
        Scratch own = {scratch + THREAD * snn_scratch(l)};
        const float *restrict scale = repeated(take(&own, lane), l->scale, c);
        const float *restrict mean = repeated(take(&own, lane), l->mean, c);
        const float *restrict invstd = repeated(take(&own, lane), l->invstd, c);
        const float *restrict mean_gx = repeated(take(&own, lane), means, c);
        const float *restrict mean_g = repeated(take(&own, lane), means + c, c);
        float *restrict g = take(&own, lane), *restrict y = take(&own, lane);
        size count = tiles(pixels, c), end = share(count, THREAD + 1, TEAM);
        for (size index = share(count, THREAD, TEAM); index < end; index++) {
            Tile tile = tile_at(index, pixels, c);
            load(g, grad, tile.first * c, tile.elements, l->bf16);
            load(y, l->current, tile.first * c, tile.elements, l->bf16);
            for (size i = 0; i < tile.elements; i++)
                g[i] = (g[i] - mean_g[i] - (y[i] - mean[i]) * invstd[i] * mean_gx[i]) * scale[i];
            store(grad, g, tile.first * c, tile.elements, l->bf16);
        }
    }
}
