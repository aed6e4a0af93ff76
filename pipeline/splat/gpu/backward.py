"""Third stage of the GPU rasteriser: gradients of compositing, one row per (splat, tile) pair, no atomics.

Replays front to back: what lies behind a splat is the final sum less what was drawn up to it. Every sum over the pixels of a tile is a column of
a small matrix product: of the exponent's gradient with the pixels' moments about the tile's centre, and of the weights with the picture's gradient.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu.forward import any_lit, chunk_alpha, four, splats_at, tile_pixels, transmittance
from pipeline.splat.gpu.project import COLOURS
from pipeline.splat.rules import MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE

_MAX_ALPHA, _MIN_ALPHA, _MIN_TRANSMITTANCE = (tl.constexpr(x) for x in (MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE))


@triton.jit
def add(a, b):
    return a + b


@triton.jit
def moments(TX: tl.constexpr, TY: tl.constexpr, column):
    """[P, 8]: 1, x, y, xx, xy, yy of the pixels about the tile's centre, then zeros; column: [1, 8]."""
    pixel = tl.arange(0, TX * TY)
    x, y = (pixel % TX - (TX - 1) * 0.5)[:, None], (pixel // TX - (TY - 1) * 0.5)[:, None]
    value = tl.where(column == 0, 1.0, tl.where(column == 1, x, tl.where(column == 2, y, 0.0)))
    return tl.where(column == 3, x * x, tl.where(column == 4, x * y, tl.where(column == 5, y * y, value)))


@triton.jit
def _few_gradients(d_image, image, background, bg_channel, source, pixel, inside, CHANNELS: tl.constexpr):
    """The gradients [P] of at most three channels, their product with the picture and with the background, each summed over the channels."""
    zero = tl.zeros(pixel.shape, tl.float32)
    first, second, third, drawn, covered = zero, zero, zero, zero, zero
    for c in tl.static_range(CHANNELS):
        gradient = tl.load(d_image + pixel * CHANNELS + c, inside, 0.0)
        drawn += gradient * tl.load(image + pixel * CHANNELS + c, inside, 0.0)
        covered += gradient * tl.load(background + source + c * bg_channel, inside, 0.0)
        if c == 0:
            first = gradient
        elif c == 1:
            second = gradient
        else:
            third = gradient
    return (first, second, third), drawn, covered


@triton.jit
def _many_gradients(d_image, image, background, bg_channel, source, pixel, inside, CHANNELS: tl.constexpr, PADDED: tl.constexpr):
    """The gradients [PADDED, P] of all channels, their product with the picture and with the background, each summed over the channels."""
    channel = tl.arange(0, PADDED)[:, None]
    wanted = (channel < CHANNELS) & inside[None, :]
    gradient = tl.load(d_image + pixel[None, :] * CHANNELS + channel, wanted, 0.0)
    drawn = tl.sum(gradient * tl.load(image + pixel[None, :] * CHANNELS + channel, wanted, 0.0), 0)
    covered = tl.sum(gradient * tl.load(background + source[None, :] + channel * bg_channel, wanted, 0.0), 0)
    return gradient, drawn, covered


@triton.jit
def _few_targets(d_image, pixel, inside, d_far, column, CHANNELS: tl.constexpr):
    """The operand [P, 8] that weights are multiplied with: gradients of the channels and of depth, two columns each, the coarse part and what it leaves."""
    number = column // 2
    targets = tl.load(d_image + pixel[:, None] * CHANNELS + number, (number < CHANNELS) & inside[:, None], 0.0)
    targets = tl.where(number == CHANNELS, d_far[:, None], targets)
    return tl.where(column % 2 == 0, coarse(targets), targets - coarse(targets))


@triton.jit
def coarse(x):
    """The nearest number with the ten fraction bits that a tf32 operand keeps."""
    return ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)


@triton.jit
def product(values, coarse_operand):
    """values [CHUNK, P] times an operand that tf32 holds exactly; split in two tf32 parts, which keep 21 bits and fill the sixteen rows of a matrix unit."""
    high = (values.to(tl.int32, bitcast=True) & -0x2000).to(tl.float32, bitcast=True)
    parts = tl.reshape(tl.permute(tl.join(high, values - high), (2, 0, 1)), [2 * values.shape[0], values.shape[1]])
    sums = tl.dot(parts, coarse_operand, input_precision="tf32")
    return tl.sum(tl.reshape(sums, [2, values.shape[0], coarse_operand.shape[1]]), 0)


@triton.jit(do_not_specialize=("capacity", "instances"))
def draw_backward(starts, tile_counts, sorted_splats, sorted_slots, rows, background, image, alpha, depth, d_image, d_alpha, d_depth, d_rows, d_pulls,
                  width, height, columns, tiles, bg_view, bg_y, bg_x, bg_channel, capacity, instances,
                  CHANNELS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr, ALPHA: tl.constexpr, DEPTH: tl.constexpr,
                  ABSOLUTE: tl.constexpr,                  TX: tl.constexpr, TY: tl.constexpr, CHUNK: tl.constexpr):  # fmt: skip
    """Fills d_rows [pairs, WIDTH]: six moments of the exponent's gradient, the centre of the tile, gradients of the colours, of depth.

    ALPHA, DEPTH: whether their gradients are given. ABSOLUTE: fill d_pulls [pairs, 2] too, absolute gradients of the place on the screen (see `_store_pulls`). The row of a pair that a tile never came to has -1 as the centre's x and nothing else.
    """
    tile = tl.program_id(0)
    begin = tl.load(starts + tile)
    end = begin + tl.load(tile_counts + tile)
    if begin >= end:
        return
    view, xs, ys = tile_pixels(tile, columns, tiles, TX, TY)
    px, py = (xs + 0.5)[None, :], (ys + 0.5)[None, :]
    inside = (xs < width) & (ys < height)
    pixel = (view * height + ys) * width + xs
    source = view * bg_view + ys * bg_y + xs * bg_x
    column, lane = tl.arange(0, 8)[None, :], tl.arange(0, CHUNK)
    light = tl.where(inside, 1.0, 0.0)
    solid = tl.load(alpha + pixel, inside, 0.0)
    if DOT:
        d_colour, rest, covered = _many_gradients(d_image, image, background, bg_channel, source, pixel, inside, CHANNELS, PADDED)
    else:
        d_few, rest, covered = _few_gradients(d_image, image, background, bg_channel, source, pixel, inside, CHANNELS)
    d_solid, d_far = -covered, light * 0
    rest += d_solid
    if ALPHA:
        given = tl.load(d_alpha + pixel, inside, 0.0)
        d_solid += given
        rest += given * solid
    if DEPTH:
        # depth = far / solid; its share of `rest` cancels
        d_far = tl.load(d_depth + pixel, inside, 0.0) / tl.maximum(solid, 1e-6)
        d_solid -= d_far * tl.load(depth + pixel, inside, 0.0)
    shapes = moments(TX, TY, column)
    targets = coarse(tl.trans(d_colour)) if DOT else _few_targets(d_image, pixel, inside, d_far, column, CHANNELS)
    centre = tl.where(column == 6, tl.min(xs, 0) + TX * 0.5, tl.where(column == 7, tl.min(ys, 0) + TY * 0.5, 0.0))
    at, going, splats = begin, begin < end, splats_at(sorted_splats, begin, end, instances, CHUNK)
    while going:
        row = splats * WIDTH
        slot = tl.load(sorted_slots + at + lane, at + lane < end, capacity)
        splats = splats_at(sorted_splats, at + CHUNK, end, instances, CHUNK)  # fetched a chunk ahead
        full = chunk_alpha(rows, row, px, py)
        value = tl.where(full >= _MIN_ALPHA, tl.minimum(full, _MAX_ALPHA), 0.0)
        before, behind = transmittance(value, light)
        value_drawn = tl.where(before > _MIN_TRANSMITTANCE, value, 0.0)
        weight = value_drawn * before
        if DOT:
            along = _along_many(rows, row, d_solid, d_image, pixel, inside, d_far, CHANNELS, DEPTH)
        else:
            along = _along_few(rows, row, d_solid, d_few, d_far, CHANNELS, DEPTH)
        share = weight * along
        hidden = rest[None, :] - tl.associative_scan(share, 0, add)
        root = tl.rsqrt(1 - value)  # its square is the cheapest reciprocal
        d_exponent = tl.where(full < _MAX_ALPHA, value_drawn * (hidden * root * root - before * along), 0.0)
        kept = (slot < capacity)[:, None]
        out = (d_rows + slot.to(tl.int64) * WIDTH)[:, None]
        tl.store(out + column, product(d_exponent, shapes) + centre, kept)
        _store_colours(out + COLOURS, weight, targets, d_far, kept, CHANNELS, PADDED, DOT, DEPTH)
        if ABSOLUTE:
            _store_pulls(d_pulls + 2 * slot, rows, row, px, py, d_exponent, slot < capacity)
        rest -= tl.sum(share, 0)
        light = tl.min(behind, 0)
        at += CHUNK
        going = (at < end) & any_lit(light)
    _mark_hidden(d_rows, d_pulls, sorted_slots, at, end, capacity, WIDTH, ABSOLUTE)


@triton.jit
def _along_few(rows, row, d_solid, d_few, d_far, CHANNELS: tl.constexpr, DEPTH: tl.constexpr):
    """A splat's colours, and its depth, times their gradients, and d_solid: [CHUNK, P]."""
    red, green, blue, distance = four(rows, row + COLOURS)
    along = d_solid[None, :] + red * d_few[0][None, :]
    if CHANNELS > 1:
        along += green * d_few[1][None, :]
    if CHANNELS > 2:
        along += blue * d_few[2][None, :]
    if DEPTH:
        along += (green if CHANNELS == 1 else (blue if CHANNELS == 2 else distance)) * d_far[None, :]
    return along


@triton.jit
def _along_many(rows, row, d_solid, d_image, pixel, inside, d_far, CHANNELS: tl.constexpr, DEPTH: tl.constexpr):
    along = tl.zeros([row.shape[0], pixel.shape[0]], tl.float32) + d_solid[None, :]
    for c in range(CHANNELS):
        along += tl.load(rows + row + COLOURS + c)[:, None] * tl.load(d_image + pixel[None, :] * CHANNELS + c, inside[None, :], 0.0)
    if DEPTH:
        along += tl.load(rows + row + COLOURS + CHANNELS)[:, None] * d_far[None, :]
    return along


@triton.jit
def _store_colours(out, weight, targets, d_far, kept, CHANNELS: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr, DEPTH: tl.constexpr):
    """Gradients of the colours and of depth: weight [CHUNK, P] times targets [P, PADDED or 8]."""
    if DOT:
        channel = tl.arange(0, PADDED)[None, :]
        tl.store(out + channel, product(weight, targets), kept & (channel < CHANNELS))
        if DEPTH:
            tl.store(out + CHANNELS, tl.sum(weight * d_far[None, :], 1)[:, None], kept)
    else:
        both = tl.reshape(tl.dot(coarse(weight), targets, input_precision="tf32"), [weight.shape[0], 4, 2])
        tl.store(out + tl.arange(0, 4)[None, :], tl.sum(both, 2), kept)


@triton.jit
def _store_pulls(out, rows, row, px, py, d_exponent, kept):
    """Sums over the pixels of |g a u| and |g (a r u + k dy)|: up to a constant the absolute gradients of the mean x y, pixel by pixel (Ye et al. 2024, AbsGS, arXiv 2404.10484)."""
    mx, my, minus_a, r = four(rows, row)
    minus_k = tl.load(rows + row + 4)[:, None]
    dy = my - py
    pull = minus_a * (mx - px + r * dy)
    tl.store(out, tl.sum(tl.abs(d_exponent * pull), 1), kept)
    tl.store(out + 1, tl.sum(tl.abs(d_exponent * (r * pull + minus_k * dy)), 1), kept)


@triton.jit
def _mark_hidden(d_rows, d_pulls, sorted_slots, at, end, capacity, WIDTH: tl.constexpr, ABSOLUTE: tl.constexpr):
    """Pairs behind an opaque tile have no gradient: their row is only marked, by -1 where the tile's centre would be."""
    lane = tl.arange(0, 32)
    while at < end:
        slot = tl.load(sorted_slots + at + lane, at + lane < end, capacity)
        tl.store(d_rows + slot.to(tl.int64) * WIDTH + 6, -1.0, slot < capacity)
        if ABSOLUTE:
            tl.store(d_pulls + 2 * slot, 0.0, slot < capacity)
            tl.store(d_pulls + 2 * slot + 1, 0.0, slot < capacity)
        at += 32
