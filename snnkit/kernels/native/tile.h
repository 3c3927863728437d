/* Tiles of a tensor whose channels lie side by side in memory, as float32: how they are read, written and shared out.
 *
 * A tile is some pixels with all their channels. It goes through all time steps while it is in the first-level cache, and
 * each stage on it is one loop over its elements that a compiler vectorises.
 */
#include <stdint.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#define TEAM omp_get_num_threads()
#else
#define THREAD 0
#define TEAM 1
#endif

#define TILE 256 /* elements at least; 128 to 1024 were tried */
#define LINE 64  /* bytes of a cache line */

typedef int64_t size;

/* One convolution's output (steps, images, height, width, channels), and what becomes of it. */
typedef struct {
    const void *current; /* float32, or bfloat16 where `bf16` */
    const float *mean, *invstd, *scale, *shift; /* (channels,), of its BatchNorm; NULL without one */
    size bf16, spikes_bf16;
    size steps, timesteps; /* steps: as many as timesteps, or 1 where the current is the same at each */
    size images, height, width, channels;
    size pool;  /* side of the windows of max pooling, side by side; 1: none */
    size pitch; /* channels of a pixel of the spikes: more than `channels` where others lie beside them */
    size reset, surrogate;
    float leak, threshold, slope;
} Layer;

typedef struct {
    size first, pixels, elements; /* of the spikes; elements = pixels * channels */
} Tile;

static inline size least(size a, size b) { return a < b ? a : b; }

static size tile_pixels(size channels) { return channels >= TILE ? 1 : TILE / channels; }

/* Elements from one step of a tile to the next: whole cache lines. */
static size tile_lane(size channels) { return (tile_pixels(channels) * channels + 15) / 16 * 16; }

static size pooled_pixels(const Layer *l) { return l->images * (l->height / l->pool) * (l->width / l->pool); }

static size tiles(size pixels, size channels) {
    size each = tile_pixels(channels);
    return (pixels + each - 1) / each;
}

static Tile tile_at(size index, size pixels, size channels) {
    size each = tile_pixels(channels), first = index * each;
    Tile tile = {first, least(each, pixels - first), 0};
    tile.elements = tile.pixels * channels;
    return tile;
}

/* The first of this thread's share of `n` tiles, and the first of the next one's. */
static size share(size n, size thread, size team) { return n * thread / team; }

static inline float widened(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint16_t narrowed(float value) { /* to the nearest, ties to even; NaN stays NaN */
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return value != value ? 0x7fc0 : rounded;
}

/* `n` elements from index `at` on; the `n` after them are asked for, as the next tile often reads them. */
static void load(float *restrict to, const void *from, size at, size n, size bf16) {
    const char *next = (const char *)from + (at + n) * (bf16 ? 2 : 4);
    for (size byte = 0; byte < n * (bf16 ? 2 : 4); byte += LINE) __builtin_prefetch(next + byte);
    if (bf16) {
        const uint16_t *restrict halves = (const uint16_t *)from + at;
        for (size i = 0; i < n; i++) to[i] = widened(halves[i]);
    } else {
        memcpy(to, (const float *)from + at, n * sizeof(float));
    }
}

static void store(void *to, const float *restrict from, size at, size n, size bf16) {
    if (bf16) {
        uint16_t *restrict halves = (uint16_t *)to + at;
        for (size i = 0; i < n; i++) halves[i] = narrowed(from[i]);
    } else {
        memcpy((float *)to + at, from, n * sizeof(float));
    }
}

/* The pixel of the current at the upper left of the window under pixel `p` of the spikes. */
static size under(const Layer *l, size p) {
    size width = l->width / l->pool, height = l->height / l->pool, row = p / width; /* row over all images */
    return (row / height * l->height + row % height * l->pool) * l->width + p % width * l->pool;
}

/* Where element 0 of step `t`, pixel `p` of the tile and place `w` of its window lies in the current. */
static size current_index(const Layer *l, Tile tile, size t, size p, size w) {
    size pixel = l->pool == 1 ? tile.first + p : under(l, tile.first + p) + w / l->pool * l->width + w % l->pool;
    return (t * l->images * l->height * l->width + pixel) * l->channels;
}

static void load_current(const Layer *l, float *to, Tile tile, size t, size w) {
    if (l->pool == 1)
        load(to, l->current, current_index(l, tile, t, 0, 0), tile.elements, l->bf16);
    else
        for (size p = 0; p < tile.pixels; p++)
            load(to + p * l->channels, l->current, current_index(l, tile, t, p, w), l->channels, l->bf16);
}

static void store_grad(const Layer *l, void *grad, const float *from, Tile tile, size t, size w) {
    if (l->pool == 1)
        store(grad, from, current_index(l, tile, t, 0, 0), tile.elements, l->bf16);
    else
        for (size p = 0; p < tile.pixels; p++)
            store(grad, from + p * l->channels, current_index(l, tile, t, p, w), l->channels, l->bf16);
}

static void load_spike_grad(const Layer *l, const void *grad, float *to, Tile tile, size t) {
    size first = t * pooled_pixels(l) + tile.first;
    if (l->pitch == l->channels)
        load(to, grad, first * l->pitch, tile.elements, l->spikes_bf16);
    else
        for (size p = 0; p < tile.pixels; p++)
            load(to + p * l->channels, grad, (first + p) * l->pitch, l->channels, l->spikes_bf16);
}

static void store_spikes(const Layer *l, void *spikes, const float *from, Tile tile, size t) {
    size first = t * pooled_pixels(l) + tile.first;
    if (l->pitch == l->channels)
        store(spikes, from, first * l->pitch, tile.elements, l->spikes_bf16);
    else
        for (size p = 0; p < tile.pixels; p++)
            store(spikes, from + p * l->channels, (first + p) * l->pitch, l->channels, l->spikes_bf16);
}

/* `channel` (channels,) for each element of a tile. */
static float *repeated(float *to, const float *channel, size channels) {
    if (!channel) return NULL;
    for (size i = 0; i < tile_pixels(channels) * channels; i++) to[i] = channel[i % channels];
    return to;
}
