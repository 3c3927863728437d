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

/* Place of a bundle. It moves on without divisions, which take as long as a bundle of few steps. */
typedef struct {
    size channel, period;    /* as in `Bundle`; channels after which they repeat */
    size at, end;            /* flat: index of the first neuron, and after the last one */
    size pixel, column, row; /* of the spikes: over all images, in a row, in an image */
    size under;              /* pixel of the current at column 0, place 0 */
} Cursor;

static Cursor cursor_at(const Layer *l, size index, size period) {
    if (flat(l)) {
        size at = index * LANES;
        return (Cursor){at % period, period, at, pooled_pixels(l) * l->channels};
    }
    size each = period / LANES, width = l->width / l->pool, height = l->height / l->pool;
    size pixel = index / each, row = pixel / width; /* row over all images */
    size under = (row / height * l->height + row % height * l->pool) * l->width;
    return (Cursor){index % each * LANES, period, 0, 0, pixel, pixel % width, row % height, under};
}

/* Return the bundle at the cursor, and move the cursor to the next one. */
INLINE Bundle next_bundle(const Layer *l, Cursor *c, int flat) {
    if (flat) {
        Bundle found = {c->at, c->at, c->channel, least(LANES, c->end - c->at)};
        c->at += LANES, c->channel += LANES;
        if (c->channel == c->period) c->channel = 0;
        return found;
    }
    size in = (c->under + c->column * l->pool) * l->channels + c->channel;
    Bundle found = {in, c->pixel * l->pitch + c->channel, c->channel, least(LANES, l->channels - c->channel)};
    c->channel += LANES;
    if (c->channel < c->period) return found;
    c->channel = 0, c->pixel++, c->column++;
    if (c->column < l->width / l->pool) return found;
    c->column = 0, c->row++, c->under += l->pool * l->width;
    if (c->row < l->height / l->pool) return found;
    c->row = 0, c->under += l->height % l->pool * l->width; /* rows below the last window */
    return found;
}

/* What the loops over steps need, separate from `Layer`: no store can alias it, so it stays in registers. */
typedef struct {
    size steps, timesteps, places, in_step, out_step, pool_currents, bf16, spikes_bf16;
    const size *places_at; /* (places,), offset of each place of a window from place 0 */
    Neuron neuron;
} Loop;

/* `at` (places,) is memory for the offsets: computed for each bundle, their divisions take a third of the time. */
static Loop loop_of(const Layer *l, size *at) {
    for (size w = 0; w < l->pool * l->pool; w++) at[w] = (w / l->pool * l->width + w % l->pool) * l->channels;
    return (Loop){l->steps, l->timesteps, l->pool * l->pool, l->images * l->height * l->width * l->channels,
        pooled_pixels(l) * l->pitch, l->pool_currents, l->bf16, l->spikes_bf16, at, l->neuron};
}

/* Offset of place `w` of a window from place 0. */
INLINE size place(Loop loop, size w) { return w ? loop.places_at[w] : 0; }

/* Repeat `channel` (channels,) over a period, or `missing` if it is NULL; 0 after the last channel of a pixel. */
static float *repeated(float *to, const float *channel, float missing, size channels, size period, int flat) {
    for (size i = 0; i < period; i++) to[i] = !channel ? missing : flat || i < channels ? channel[i % channels] : 0;
    return to;
}

/* The neighbouring values of a thread in an array of pixels, a bundle at a time. */
typedef struct {
    size at, end; /* index of the first value of the bundle, and after the last one of the thread */
    size channel, period; /* index of the bundle in a period of channels */
} Span;

static Span span_of(size values, size period, size thread, size threads) {
    size count = (values + LANES - 1) / LANES, at = count * thread / threads * LANES;
    return (Span){at, count * (thread + 1) / threads * LANES, at % period, period};
}

INLINE void advance(Span *span) {
    span->at += LANES, span->channel += LANES;
    if (span->channel == span->period) span->channel = 0;
}

/* Run `CALL` with `m` for `count` and `bf16` for `type`. Whole bundles get specialised code for each type of memory. */
#define WITH_MEMORY(count, type, CALL)      \
    {                                       \
        size m = count, bf16 = type;        \
        if (m < LANES) {                    \
            CALL;                           \
        } else if (bf16) {                  \
            m = LANES, bf16 = 1;            \
            CALL;                           \
        } else {                            \
            m = LANES, bf16 = 0;            \
            CALL;                           \
        }                                   \
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
