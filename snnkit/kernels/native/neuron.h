/* Leaky integrate-and-fire neurons over all steps, forward and backward. They round in the order of
 * snnkit/kernels/reference.py, so that spikes are equal bit by bit (compiled without fused multiply-add).
 */

enum { SUBTRACT_DELAYED, SUBTRACT, ZERO_DELAYED, ZERO };
enum { ATAN, FAST_SIGMOID, SIGMOID, TRIANGULAR, STRAIGHT_THROUGH };

typedef struct {
    size reset, surrogate;
    float leak, threshold, slope;
} Neuron;

/* State between steps: the membrane, and the reset to subtract after it has leaked. */
typedef struct {
    lanes left, reset;
} State;

/* Integrate one step. Return the membrane minus the threshold. */
INLINE lanes integrate(Neuron neuron, State *state, lanes current) {
    const lanes v = all(neuron.threshold);
    lanes p = (state->left * neuron.leak + current) - state->reset, above = p - v;
    bits fires = above > 0;
    if (neuron.reset == SUBTRACT_DELAYED) {
        state->left = p;
        state->reset = only(fires, v);
    } else if (neuron.reset == SUBTRACT) { /* the membrane can exceed two thresholds, so the next reset depends on it */
        state->left = p - (only(fires, v) - state->reset);
        state->reset = only(state->left > v, v);
    } else {
        state->left = only(~fires, p) - (p - p); /* NaN from an infinite p on, as in the reference */
    }
    return above;
}

INLINE lanes magnitude(lanes x) { return (lanes)((bits)x & 0x7fffffff); }

INLINE lanes exponential(lanes x) { /* for x <= 0, with a relative error below 2e-7; 0 if it underflows */
    const lanes shift = all(12582912); /* 1.5 * 2^23: adding it rounds to whole numbers */
    lanes scaled = x * 1.44269504f;    /* 1 / log 2 */
    bits tiny = scaled < -126;
    scaled = either(tiny, all(-126), scaled);
    lanes whole = (scaled + shift) - shift, f = (scaled - whole) * 0.69314718f;
    lanes series = 1 + f * (1 + f * (1 / 2.f + f * (1 / 6.f + f * (1 / 24.f + f * (1 / 120.f + f / 720)))));
    return only(~tiny, series * (lanes)((__builtin_convertvector(whole, bits) + 127) << 23));
}

/* Surrogate derivative of a spike by membrane - threshold. */
INLINE lanes derivative(Neuron neuron, lanes x) {
    const float slope = neuron.slope;
    lanes one = all(1), part;
    switch (neuron.surrogate) {
    case ATAN:
        return 1 / (2 / slope + ((float)(M_PI * M_PI / 2) * slope) * x * x);
    case FAST_SIGMOID:
        part = 1 + slope * magnitude(x);
        return 1 / (part * part);
    case SIGMOID:
        part = exponential(-slope * magnitude(x));
        return slope * part / ((1 + part) * (1 + part));
    case TRIANGULAR:
        return either(x < 0, one, -one);
    default:
        return one;
    }
}

/* One step back. Return the current's gradient, from the spike's and from `carried`, the gradient of the next step. */
INLINE lanes integrate_backward(Neuron neuron, lanes *carried, lanes above, lanes grad_spike) {
    lanes kept = *carried;
    if (neuron.reset == SUBTRACT) grad_spike -= *carried * neuron.threshold;
    if (neuron.reset == ZERO) grad_spike -= *carried * (above + neuron.threshold);
    if (neuron.reset >= ZERO_DELAYED) kept = only(~(above > 0), kept); /* a NaN is not above */
    lanes total = kept + derivative(neuron, above) * grad_spike;
    *carried = total * neuron.leak;
    return total;
}
