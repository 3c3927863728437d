/* A layer of neurons in memory, in channels_last, and its bundles of up to LANES neurons. */

typedef struct {
    const void *current; /* (steps, images, height, width, channels): a convolution's output */
    const float *mean, *invstd, *scale, *shift; /* (channels,), of its BatchNorm; NULL without one */
    size bf16, spikes_bf16;                     /* whether memory is bfloat16, not float32 */
    size steps, timesteps; /* steps of the current: timesteps, or 1 if the current is constant */
    size images, height, width, channels;
    size pool;  /* side of the windows of max pooling, which do not overlap; 1: no pooling */
    size pool_currents; /* pool currents: the largest drives one neuron per window; otherwise pool spikes */
    size pitch; /* channels per pixel of the spikes; more than `channels` if other layers are concatenated */
    Neuron neuron;
} Layer;

static size pixels_of(const Layer *l) { return l->steps * l->images * l->height * l->width; }
static size pooled_pixels(const Layer *l) { return l->images * (l->height / l->pool) * (l->width / l->pool); }

/* Whether a bundle may extend over several pixels: no pooling and no gaps in memory. */
static int flat(const Layer *l) { return l->pool == 1 && l->pitch == l->channels; }

/* Number of elements after which channels repeat at the same lane: the least common multiple with LANES if flat. */
static size period(size channels, int flat) {
    size n = flat ? channels : (channels + LANES - 1) / LANES * LANES;
    while (n % LANES) n *= 2;
    return n;
}

static size bundles(const Layer *l) {
    if (flat(l)) return (pooled_pixels(l) * l->channels + LANES - 1) / LANES;
    return pooled_pixels(l) * ((l->channels + LANES - 1) / LANES);
}

/* `n` neighbouring neurons. `in` is their index in the current at step 0 and place 0 of their windows, `out` their
 * index in the spikes at step 0, `channel` the index of the first one in a period of channels. */
typedef struct {
    size in, out, channel, n;
} Bundle;

/* Index of a flat bundle in a period of channels. A 32-bit division takes half as long as a 64-bit one. */
INLINE size channel_at(size index, size period) {
    return (uint32_t)index % (uint32_t)(period / LANES) * LANES;
}

static inline Bundle bundle_at(const Layer *l, size index, size period) {
    if (flat(l)) {
        size at = index * LANES;
        return (Bundle){at, at, channel_at(index, period), least(LANES, pooled_pixels(l) * l->channels - at)};
    }
    size each = (l->channels + LANES - 1) / LANES, pixel = index / each, channel = index % each * LANES;
    size width = l->width / l->pool, height = l->height / l->pool, row = pixel / width; /* row over all images */
    size under = (row / height * l->height + row % height * l->pool) * l->width + pixel % width * l->pool;
    size n = least(LANES, l->channels - channel);
    return (Bundle){under * l->channels + channel, pixel * l->pitch + channel, channel, n};
}

/* What the loops over steps need, separate from `Layer`: no store can alias it, so it stays in registers. */
typedef struct {
    size steps, timesteps, places, in_step, out_step, width, channels, pool, pool_currents, bf16, spikes_bf16;
    Neuron neuron;
} Loop;

static Loop loop_of(const Layer *l) {
    return (Loop){l->steps, l->timesteps, l->pool * l->pool, l->images * l->height * l->width * l->channels,
        pooled_pixels(l) * l->pitch, l->width, l->channels, l->pool, l->pool_currents, l->bf16, l->spikes_bf16,
        l->neuron};
}

/* Offset of place `w` of a window from place 0. */
INLINE size place(Loop loop, size w) {
    return w ? (w / loop.pool * loop.width + w % loop.pool) * loop.channels : 0;
}

/* Repeat `channel` (channels,) over a period, or `missing` if it is NULL; 0 after the last channel of a pixel. */
static float *repeated(float *to, const float *channel, float missing, size channels, size period, int flat) {
    for (size i = 0; i < period; i++) to[i] = !channel ? missing : flat || i < channels ? channel[i % channels] : 0;
    return to;
}

/* Run `CALL` with `as` for `loop` and `n` for `count`. Whole bundles of a single memory type get specialised code, and
 * the default reset another specialisation. */
#define WITH_CONSTANTS(loop, count, CALL)                              \
    {                                                                  \
        size n = count;                                                \
        Loop as = loop;                                                \
        if (n < LANES || as.bf16 != as.spikes_bf16) {                  \
            CALL;                                                      \
        } else if (as.bf16) {                                          \
            n = LANES, as.bf16 = as.spikes_bf16 = 1;                   \
            BY_RESET(CALL)                                             \
        } else {                                                       \
            n = LANES, as.bf16 = as.spikes_bf16 = 0;                   \
            BY_RESET(CALL)                                             \
        }                                                              \
    }
#define BY_RESET(CALL)                              \
    if (as.neuron.reset == SUBTRACT_DELAYED) {      \
        as.neuron.reset = SUBTRACT_DELAYED;         \
        CALL;                                       \
    } else {                                        \
        CALL;                                       \
    }
