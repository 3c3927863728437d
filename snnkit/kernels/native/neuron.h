/* Leaky integrate-and-fire neurons of one tile over all steps, forward and backward: the definition of
 * snnkit/kernels/reference.py with its order of roundings, so that spikes are equal bit by bit (compiled without fused
 * multiply-add).
 */
#include <math.h>

enum { SUBTRACT_DELAYED, SUBTRACT, ZERO_DELAYED, ZERO };
enum { ATAN, FAST_SIGMOID, SIGMOID, TRIANGULAR, STRAIGHT_THROUGH };

/* What a step leaves to the next, (n,): the membrane, and what is taken off after it has leaked. */
typedef struct {
    float *left, *reset;
} State;

/* The membrane minus the threshold at each step, `above` (timesteps, lane), from `current` (steps, lane), and scale and
 * shift (n,) of its BatchNorm, or NULL. */
static void integrate(const Layer *l, float *restrict above, const float *restrict current, const float *restrict scale,
                      const float *restrict shift, State state, size n, size lane) {
    float *restrict left = state.left, *restrict reset = state.reset;
    const float leak = l->leak, v = l->threshold;
    memset(left, 0, n * sizeof(float));
    memset(reset, 0, n * sizeof(float));
    for (size t = 0; t < l->timesteps; t++, above += lane) {
        const float *restrict y = current + (l->steps == 1 ? 0 : t * lane);
#define STEP(LEFT, RESET)                                          \
    for (size i = 0; i < n; i++) {                                 \
        float x = scale ? y[i] * scale[i] + shift[i] : y[i];       \
        float p = (left[i] * leak + x) - reset[i], over = p - v;   \
        float fall = over > 0 ? v : 0, after = LEFT;               \
        above[i] = over, left[i] = after, reset[i] = RESET;        \
    }
        if (l->reset == SUBTRACT_DELAYED)
            STEP(p, fall)
        else if (l->reset == SUBTRACT) /* the next reset follows the membrane, which two thresholds can be above */
            STEP(p - (fall - reset[i]), after > v ? v : 0)
        else
            STEP(fall > 0 ? 0 : p, 0)
    }
}

static inline float exponential(float x) { /* of x <= 0, within 2e-7 of the value */
    float scaled = x * 1.44269504f; /* 1 / log 2 */
    scaled = scaled < -126 ? -126 : scaled;
    float whole = rintf(scaled), f = (scaled - whole) * 0.69314718f, power;
    float series = 1 + f * (1 + f * (1 / 2.f + f * (1 / 6.f + f * (1 / 24.f + f * (1 / 120.f + f / 720)))));
    int32_t bits = ((int32_t)whole + 127) * (1 << 23);
    memcpy(&power, &bits, 4);
    return series * power;
}

/* The surrogate's derivative of a spike by membrane - threshold. */
static void differentiate(const Layer *l, float *restrict derivative, const float *restrict above, size n) {
    const float slope = l->slope, a = 2 / slope, b = (float)(M_PI * M_PI / 2) * slope;
#define EACH(VALUE)                  \
    for (size i = 0; i < n; i++) {   \
        float x = above[i];          \
        derivative[i] = VALUE;       \
    }
    switch (l->surrogate) {
    case ATAN:
        EACH(1 / (a + b * x * x))
        break;
    case FAST_SIGMOID:
        EACH(1 / ((1 + slope * fabsf(x)) * (1 + slope * fabsf(x))))
        break;
    case SIGMOID:
        for (size i = 0; i < n; i++) {
            float e = exponential(-slope * fabsf(above[i]));
            derivative[i] = slope * e / ((1 + e) * (1 + e));
        }
        break;
    case TRIANGULAR:
        EACH(x < 0 ? 1 : -1)
        break;
    default:
        EACH(1 + 0 * x)
    }
}

/* The currents' gradients, in place of `above` (timesteps, lane), from the spikes' gradients (timesteps, lane). */
static void integrate_back(const Layer *l, float *restrict above, const float *restrict grad, float *restrict carried,
                           float *restrict derivative, size n, size lane) {
    const float leak = l->leak, v = l->threshold;
    memset(carried, 0, n * sizeof(float)); /* what step t + 1 passes back to step t */
    for (size t = l->timesteps - 1; t >= 0; t--) {
        float *restrict x = above + t * lane;
        const float *restrict g = grad + t * lane;
        differentiate(l, derivative, x, n);
#define STEP_BACK(CARRIED, GRAD)                                    \
    for (size i = 0; i < n; i++) {                                  \
        float c = carried[i], kept = CARRIED;                       \
        float total = kept + derivative[i] * (GRAD);                \
        x[i] = total, carried[i] = total * leak;                    \
    }
        if (l->reset == SUBTRACT_DELAYED)
            STEP_BACK(c, g[i])
        else if (l->reset == SUBTRACT)
            STEP_BACK(c, g[i] - c * v)
        else if (l->reset == ZERO_DELAYED)
            STEP_BACK(x[i] > 0 ? 0 : c, g[i])
        else
            STEP_BACK(x[i] > 0 ? 0 : c, g[i] - c * (x[i] + v))
    }
}
