"""BatchNorm, LIF over T steps and max pooling in Triton: snnkit/kernels/native/lif.c for GPUs, in channels_last.

A program runs ROWS pixels of the spikes, COLUMNS channels and all places of their windows through all steps. It has one
neuron per place, or one per window if currents are pooled. Without fused multiply-adds (``enable_fp_fusion=False`` at
launch), spikes equal the reference's bit by bit.
"""

# mypy: ignore-errors
# ruff: noqa: N803, RUF005
# Triton compiles these functions: their arguments are not Python values, and compile-time constants are in capitals.

import triton
import triton.language as tl


@triton.jit
def _integrate(left, reset, x, leak, threshold, RESET: tl.constexpr):
    """Integrate one step. Return the membrane minus the threshold, and the state for the next step."""
    p = (left * leak + x) - reset
    above = p - threshold
    fall = tl.where(above > 0, threshold, 0.0)
    if RESET == "subtract delayed":
        left = p
        reset = fall
    elif RESET == "subtract":
        left = p - (fall - reset)
        reset = tl.where(left > threshold, threshold, 0.0)
    else:
        left = p - p * tl.where(above > 0, 1.0, 0.0)  # NaN from an infinite p on, as in the reference
    return above, left, reset


@triton.jit
def _derivative(x, slope, SURROGATE: tl.constexpr):
    if SURROGATE == "atan":
        d = 1.0 / (2.0 / slope + (4.934802200544679 * slope) * x * x)  # pi^2 / 2
    elif SURROGATE == "fast_sigmoid":
        part = 1.0 + slope * tl.abs(x)
        d = 1.0 / (part * part)
    elif SURROGATE == "sigmoid":
        e = tl.exp(-slope * tl.abs(x))
        d = slope * e / ((1.0 + e) * (1.0 + e))
    elif SURROGATE == "triangular":
        d = tl.where(x < 0, 1.0, -1.0)
    else:
        d = tl.where(x < 0, 1.0, 1.0)
    return d


@triton.jit
def _largest(x, place, POOL: tl.constexpr):
    """The largest current of each window and its place, (1, ROWS, COLUMNS): the first one, or the last NaN, as in
    torch."""
    last_nan = tl.max(tl.where(x != x, place, -1), axis=0)[None, :, :]
    top = tl.max(x, axis=0)[None, :, :]
    first = tl.min(tl.where(x == top, place, POOL * POOL), axis=0)[None, :, :]
    return tl.where(last_nan >= 0, float("nan"), top), tl.where(last_nan >= 0, last_nan, first)


@triton.jit
def _tile_of_program(
    pixels, channels, out_height, out_width, POOL: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """The program's pixels (1, ROWS, 1) and channels (1, 1, COLUMNS), the mask of the existing ones, and the indices of
    their windows in the current (POOL * POOL, ROWS, COLUMNS)."""
    pixel = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[None, :, None]
    channel = (tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS))[None, None, :]
    inside = (pixel < pixels) & (channel < channels)
    place = tl.arange(0, POOL * POOL)[:, None, None]
    row, column = pixel // out_width, pixel % out_width  # row over all images
    image, row = row // out_height, row % out_height
    under_row = (image * out_height + row) * POOL + place // POOL
    under = (under_row * (out_width * POOL) + column * POOL + place % POOL) * channels + channel
    return pixel, channel, inside, under


@triton.jit
def lif_forward(
    current, scale, shift, spikes, counts, pixels, channels, out_height, out_width, pitch, in_step, out_step,
    leak, threshold,
    NORMED: tl.constexpr, COUNTED: tl.constexpr, STILL: tl.constexpr, T: tl.constexpr, POOL: tl.constexpr,
    NEURONS: tl.constexpr, RESET: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    pixel, channel, inside, under = _tile_of_program(pixels, channels, out_height, out_width, POOL, ROWS, COLUMNS)
    left = tl.zeros((NEURONS, ROWS, COLUMNS), tl.float32)
    reset = tl.zeros((NEURONS, ROWS, COLUMNS), tl.float32)
    x = left
    if NORMED:
        factor = tl.load(scale + channel, mask=channel < channels, other=0.0)
        offset = tl.load(shift + channel, mask=channel < channels, other=0.0)
    fired = tl.zeros((NEURONS, ROWS, COLUMNS), tl.int32)
    for t in tl.static_range(T):
        if t == 0 or not STILL:
            x = tl.load(current + t * in_step + under, mask=inside, other=0.0).to(tl.float32)
            if NORMED:
                x = x * factor + offset
            if NEURONS < POOL * POOL:
                x, _ = _largest(x, tl.arange(0, POOL * POOL)[:, None, None], POOL)
        above, left, reset = _integrate(left, reset, x, leak, threshold, RESET)
        spike = tl.where(above > 0, 1, 0)
        if COUNTED:
            fired += tl.where(inside, spike, 0)
        pooled = tl.max(spike, axis=0)[None, :, :]
        out = spikes + t * out_step + pixel * pitch + channel
        tl.store(out, pooled.to(tl.float32).to(spikes.dtype.element_ty), mask=inside)
    if COUNTED:
        total = tl.sum(tl.sum(tl.sum(fired, axis=2), axis=1), axis=0)
        tl.store(counts + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1), total)


@triton.jit
def lif_backward(
    current, mean, invstd, scale, shift, grad_spikes, grad, sums, leaks, pixels, channels, out_height, out_width, pitch,
    in_step, out_step, leak, threshold, slope,
    NORMED: tl.constexpr, LEARNS: tl.constexpr, STILL: tl.constexpr, T: tl.constexpr, POOL: tl.constexpr,
    NEURONS: tl.constexpr, RESET: tl.constexpr, SURROGATE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    pixel, channel, inside, under = _tile_of_program(pixels, channels, out_height, out_width, POOL, ROWS, COLUMNS)
    place = tl.arange(0, POOL * POOL)[:, None, None]
    left = tl.zeros((NEURONS, ROWS, COLUMNS), tl.float32)
    reset = tl.zeros((NEURONS, ROWS, COLUMNS), tl.float32)
    x, y = left, left
    valid = channel < channels
    if NORMED:
        factor = tl.load(scale + channel, mask=valid, other=0.0)
        offset = tl.load(shift + channel, mask=valid, other=0.0)
        middle = tl.load(mean + channel, mask=valid, other=0.0)
        rate = tl.load(invstd + channel, mask=valid, other=0.0)
    above = ()
    kept = ()
    largest = ()  # by step: the place of a window's largest current
    for t in tl.static_range(T):
        if t == 0 or not STILL:
            x = tl.load(current + t * in_step + under, mask=inside, other=0.0).to(tl.float32)
            y = x
            if NORMED:
                x = x * factor + offset
            if NEURONS < POOL * POOL:
                x, at = _largest(x, place, POOL)
                largest = largest + (at,)
        over, left, reset = _integrate(left, reset, x, leak, threshold, RESET)
        above = above + (over,)
        kept = kept + (left,)
    carried = tl.zeros((NEURONS, ROWS, COLUMNS), tl.float32)
    together = carried
    sum_gx, sum_g, sum_leak = carried, carried, carried
    for t in tl.static_range(T - 1, -1, -1):
        over = above[t]
        arriving = grad_spikes + t * out_step + pixel * pitch + channel
        g = tl.load(arriving, mask=inside, other=0.0).to(tl.float32)
        if POOL > 1 and NEURONS == POOL * POOL:  # the first place that spikes gets it, or place 0 if none does
            rank = tl.where(over > 0, place, POOL * POOL)
            first = tl.min(rank, axis=0)[None, :, :]
            first = tl.where(first == POOL * POOL, 0, first)
            g = tl.where(place == first, g, 0.0)
        else:
            g = g + tl.zeros((1, ROWS, COLUMNS), tl.float32)
        passed = carried
        if RESET == "subtract":
            g = g - carried * threshold
        if RESET == "zero":
            g = g - carried * (over + threshold)
        if RESET == "zero" or RESET == "zero delayed":
            passed = tl.where(over > 0, 0.0, carried)
        total = passed + _derivative(over, slope, SURROGATE) * g
        carried = total * leak
        if LEARNS and t > 0:
            sum_leak += tl.where(inside, total * kept[t - 1], 0.0)
        together += total
        if t == 0 or not STILL:
            spread = together
            if NEURONS < POOL * POOL:
                spread = tl.where(place == largest[t], together, 0.0)
            tl.store(grad + t * in_step + under, spread.to(grad.dtype.element_ty), mask=inside)
            if NORMED:
                if not STILL and t > 0:
                    y = tl.load(current + t * in_step + under, mask=inside, other=0.0).to(tl.float32)
                if not STILL and t == 0:
                    y = tl.load(current + under, mask=inside, other=0.0).to(tl.float32)
                if NEURONS < POOL * POOL:
                    y = tl.sum(tl.where(place == largest[t], y, 0.0), axis=0)[None, :, :]
                sum_gx += tl.where(inside, together * ((y - middle) * rate), 0.0)
                sum_g += tl.where(inside, together, 0.0)
            together = tl.zeros((NEURONS, ROWS, COLUMNS), tl.float32)
    if LEARNS:
        of_all = tl.sum(tl.sum(tl.sum(sum_leak, axis=2), axis=1), axis=0)
        tl.store(leaks + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1), of_all)
    if NORMED:  # sums over this program's pixels: (programs, 2, channels)
        own = sums + tl.program_id(0) * 2 * channels + tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
        written = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS) < channels
        tl.store(own, tl.sum(tl.sum(sum_gx, axis=0), axis=0), mask=written)
        tl.store(own + channels, tl.sum(tl.sum(sum_g, axis=0), axis=0), mask=written)


@triton.jit
def channel_sums(current, sums, pixels, channels, per_program, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Sums and sums of squares over a program's pixels: (programs, 2, channels), in float64."""
    channel = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((ROWS, COLUMNS), tl.float64)
    square = tl.zeros((ROWS, COLUMNS), tl.float64)
    first = tl.program_id(0).to(tl.int64) * per_program
    for start in range(0, per_program, ROWS):
        pixel = first + start + tl.arange(0, ROWS)[:, None]
        inside = (pixel < pixels) & (channel[None, :] < channels)
        x = tl.load(current + pixel * channels + channel[None, :], mask=inside, other=0.0).to(tl.float64)
        total += x
        square += x * x
    own = sums + tl.program_id(0) * 2 * channels + channel
    tl.store(own, tl.sum(total, axis=0), mask=channel < channels)
    tl.store(own + channels, tl.sum(square, axis=0), mask=channel < channels)


@triton.jit
def batchnorm_backward(
    current, grad, mean, invstd, scale, means, pixels, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    pixel = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    channel = (tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    valid = channel < channels
    inside = (pixel < pixels) & valid
    at = pixel * channels + channel
    g = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
    y = tl.load(current + at, mask=inside, other=0.0).to(tl.float32)
    unit = (y - tl.load(mean + channel, mask=valid, other=0.0)) * tl.load(invstd + channel, mask=valid, other=0.0)
    g = g - tl.load(means + channels + channel, mask=valid, other=0.0)
    g = (g - unit * tl.load(means + channel, mask=valid, other=0.0)) * tl.load(scale + channel, mask=valid, other=0.0)
    tl.store(grad + at, g.to(grad.dtype.element_ty), mask=inside)
