/* A layer of neurons in memory, channels side by side, and the bundles of up to LANES neurons that it falls into. */

typedef struct {
    const void *current; /* (steps, images, height, width, channels): a convolution's output */
    const float *mean, *invstd, *scale, *shift; /* (channels,), of its BatchNorm; NULL without one */
    size bf16, spikes_bf16;                     /* bfloat16 in memory, else float32 */
    size steps, timesteps; /* steps: as many as timesteps, or 1 where the current is the same at each */
    size images, height, width, channels;
    size pool;  /* side of the windows of max pooling, side by side; 1: none */
    size of_currents; /* whether a window has one neuron, driven by the largest current; else the maximum is of spikes */
    size pitch; /* channels of a pixel of the spikes: more than `channels` where others lie beside them */
    Neuron neuron;
} Layer;

static size pixels_of(const Layer *l) { return l->steps * l->images * l->height * l->width; }
static size pooled_pixels(const Layer *l) { return l->images * (l->height / l->pool) * (l->width / l->pool); }

/* Whether bundles may go across pixels: everything lies side by side. */
static int flat(const Layer *l) { return l->pool == 1 && l->pitch == l->channels; }

/* The length after which channels repeat at the same place of a bundle: the least common multiple with LANES if flat. */
static size period(size channels, int flat) {
    size n = flat ? channels : (channels + LANES - 1) / LANES * LANES;
    while (n % LANES) n *= 2;
    return n;
}

static size bundles(const Layer *l) {
    if (flat(l)) return (pooled_pixels(l) * l->channels + LANES - 1) / LANES;
    return pooled_pixels(l) * ((l->channels + LANES - 1) / LANES);
}

/* Neurons that lie side by side: in the current at `in` for step 0 and place 0 of their windows, in the spikes at `out`
 * for step 0; `channel` is the first one's place in the channels repeated. */
typedef struct {
    size in, out, channel, n;
} Bundle;

/* Where in a period of channels a flat bundle begins; a division of 32 bits takes half as long as one of 64. */
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

/* What the loops over steps need, apart from `Layer`, so that no store can change it and it stays in registers. */
typedef struct {
    size steps, timesteps, places, in_step, out_step, width, channels, pool, of_currents, bf16, spikes_bf16;
    Neuron neuron;
} Loop;

static Loop loop_of(const Layer *l) {
    return (Loop){l->steps, l->timesteps, l->pool * l->pool, l->images * l->height * l->width * l->channels,
        pooled_pixels(l) * l->pitch, l->width, l->channels, l->pool, l->of_currents, l->bf16, l->spikes_bf16,
        l->neuron};
}

/* How far place `w` of a window lies from place 0. */
INLINE size place(Loop loop, size w) {
    return w ? (w / loop.pool * loop.width + w % loop.pool) * loop.channels : 0;
}

/* `channel` (channels,), or `missing` without one, for each element of a period, 0 beyond a pixel's last. */
static float *repeated(float *to, const float *channel, float missing, size channels, size period, int flat) {
    for (size i = 0; i < period; i++) to[i] = !channel ? missing : flat || i < channels ? channel[i % channels] : 0;
    return to;
}

/* `CALL`, which takes `as` for `loop` and `n` for `count`, with code of its own for whole bundles of one type in memory
 * throughout, and among them for the default reset. */
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
