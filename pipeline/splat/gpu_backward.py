"""Third stage of the GPU rasteriser: gradients of compositing, one row per (splat, tile) pair, no atomics.

Replays front to back: what lies behind a splat is the final sum less what was drawn up to it. Every sum over the pixels of a tile is a column of
a small matrix product: of the exponent's gradient with the pixels' moments about the tile's centre, and of the weights with the picture's gradient.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu_forward import any_lit, chunk_alpha, four, splats_at, tile_pixels, transmittance
from pipeline.splat.gpu_project import COLOURS
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
def pixel_gradient(d_image, image, background, bg_channel, source, pixel, inside, c, CHANNELS: tl.constexpr):
    """One channel's gradient [P], its product with the picture and with the background."""
    gradient = tl.load(d_image + pixel * CHANNELS + c, inside, 0.0)
    drawn = tl.load(image + pixel * CHANNELS + c, inside, 0.0)
    return gradient, gradient * drawn, gradient * tl.load(background + source + c * bg_channel, inside, 0.0)


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
def draw_backward(starts, tile_counts, sorted_splats, sorted_slots, rows, background, image, alpha, depth, d_image, d_alpha, d_depth, d_rows,
                  width, height, columns, tiles, bg_view, bg_y, bg_x, bg_channel, capacity, instances,
                  CHANNELS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr, ALPHA: tl.constexpr, DEPTH: tl.constexpr,
                  TX: tl.constexpr, TY: tl.constexpr, CHUNK: tl.constexpr):  # fmt: skip
    """Fills d_rows [pairs, WIDTH]: six moments of the exponent's gradient, the centre of the tile, gradients of the colours, of depth.

    ALPHA, DEPTH: whether their gradients are given. The row of a pair that a tile never came to has -1 as the centre's x and nothing else.
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
    column, lane, channel = tl.arange(0, 8)[None, :], tl.arange(0, CHUNK), tl.arange(0, PADDED)
    light = tl.where(inside, 1.0, 0.0)
    rest, d_solid, d_far = light * 0, light * 0, light * 0
    solid = tl.load(alpha + pixel, inside, 0.0)
    if DOT:
        wanted = (channel < CHANNELS)[:, None] & inside[None, :]
        d_colour = tl.load(d_image + pixel[None, :] * CHANNELS + channel[:, None], wanted, 0.0)
        rest += tl.sum(d_colour * tl.load(image + pixel[None, :] * CHANNELS + channel[:, None], wanted, 0.0), 0)
        d_solid -= tl.sum(d_colour * tl.load(background + source[None, :] + (channel * bg_channel)[:, None], wanted, 0.0), 0)
    else:
        d_first, drawn, covered = pixel_gradient(d_image, image, background, bg_channel, source, pixel, inside, 0, CHANNELS)
        rest, d_solid = rest + drawn, d_solid - covered
        if CHANNELS > 1:
            d_second, drawn, covered = pixel_gradient(d_image, image, background, bg_channel, source, pixel, inside, 1, CHANNELS)
            rest, d_solid = rest + drawn, d_solid - covered
        if CHANNELS > 2:
            d_third, drawn, covered = pixel_gradient(d_image, image, background, bg_channel, source, pixel, inside, 2, CHANNELS)
            rest, d_solid = rest + drawn, d_solid - covered
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
    if DOT:
        targets = coarse(tl.trans(d_colour))
    else:
        # two columns each, the coarse part and what it leaves
        number = column // 2
        targets = tl.load(d_image + pixel[:, None] * CHANNELS + number, (number < CHANNELS) & inside[:, None], 0.0)
        targets = tl.where(number == CHANNELS, d_far[:, None], targets)
        targets = tl.where(column % 2 == 0, coarse(targets), targets - coarse(targets))
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
        along = tl.zeros([CHUNK, TX * TY], tl.float32) + d_solid[None, :]
        if DOT:
            for c in range(CHANNELS):
                along += tl.load(rows + row + COLOURS + c)[:, None] * tl.load(d_image + pixel[None, :] * CHANNELS + c, inside[None, :], 0.0)
        else:
            red, green, blue, distance = four(rows, row + COLOURS)
            distance = green if CHANNELS == 1 else (blue if CHANNELS == 2 else distance)
            along += red * d_first[None, :]
            if CHANNELS > 1:
                along += green * d_second[None, :]
            if CHANNELS > 2:
                along += blue * d_third[None, :]
        if DEPTH:
            if DOT:
                distance = tl.load(rows + row + COLOURS + CHANNELS)[:, None]
            along += distance * d_far[None, :]
        share = weight * along
        hidden = rest[None, :] - tl.associative_scan(share, 0, add)
        root = tl.rsqrt(1 - value)  # its square is the cheapest reciprocal
        d_exponent = tl.where(full < _MAX_ALPHA, value_drawn * (hidden * root * root - before * along), 0.0)
        kept = (slot < capacity)[:, None]
        out = (d_rows + slot.to(tl.int64) * WIDTH)[:, None]
        tl.store(out + column, product(d_exponent, shapes) + centre, kept)
        if DOT:
            tl.store(out + COLOURS + channel[None, :], product(weight, targets), kept & (channel < CHANNELS)[None, :])
            if DEPTH:
                tl.store(out + COLOURS + CHANNELS, tl.sum(weight * d_far[None, :], 1)[:, None], kept)
        else:
            both = tl.reshape(tl.dot(coarse(weight), targets, input_precision="tf32"), [CHUNK, 4, 2])
            tl.store(out + COLOURS + tl.arange(0, 4)[None, :], tl.sum(both, 2), kept)
        rest -= tl.sum(share, 0)
        light = tl.min(behind, 0)
        at += CHUNK
        going = (at < end) & any_lit(light)
    _mark_hidden(d_rows, sorted_slots, at, end, capacity, WIDTH)


@triton.jit
def _mark_hidden(d_rows, sorted_slots, at, end, capacity, WIDTH: tl.constexpr):
    """Pairs behind an opaque tile have no gradient: their row is only marked, by -1 where the tile's centre would be."""
    lane = tl.arange(0, 32)
    while at < end:
        slot = tl.load(sorted_slots + at + lane, at + lane < end, capacity)
        tl.store(d_rows + slot.to(tl.int64) * WIDTH + 6, -1.0, slot < capacity)
        at += 32
