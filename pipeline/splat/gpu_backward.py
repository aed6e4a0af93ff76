"""Third stage of the GPU rasteriser: gradients of compositing, one row per (splat, tile) pair, no atomics.

Replays front to back: what lies behind a splat is the final sum less what was drawn up to it. Every sum over the pixels of a tile is a column of
a small matrix product: of the exponent's gradient with the pixels' moments about the tile's centre, and of the weights with the picture's gradient.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu_forward import chunk_alpha, four, splats_at, tile_pixels, transmittance
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
    """values [CHUNK, P] times an operand that tf32 holds exactly: two products keep 21 bits of the values."""
    high = coarse(values)
    return tl.dot(values - high, coarse_operand, tl.dot(high, coarse_operand, input_precision="tf32"), input_precision="tf32")


@triton.jit(do_not_specialize=("capacity",))
def draw_backward(starts, tile_counts, sorted_splats, sorted_slots, slot_tiles, rows, background, image, alpha, depth, d_image, d_alpha, d_depth, d_rows,
                  width, height, columns, tiles, bg_view, bg_y, bg_x, bg_channel, capacity,
                  CHANNELS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr, ALPHA: tl.constexpr, DEPTH: tl.constexpr,
                  TX: tl.constexpr, TY: tl.constexpr, CHUNK: tl.constexpr):  # fmt: skip
    """Fills d_rows [pairs, WIDTH]: six moments of the exponent's gradient, two free, gradients of the colours, of depth.

    ALPHA, DEPTH: whether their gradients are given. A pair that a tile never came to is marked in slot_tiles.
    """
    tile = tl.program_id(0)
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
        targets = tl.load(d_image + pixel[:, None] * CHANNELS + column, (column < CHANNELS) & inside[:, None], 0.0)
        targets = coarse(tl.where(column == CHANNELS, d_far[:, None], targets))
    begin = tl.load(starts + tile)
    end = begin + tl.load(tile_counts + tile)
    at, going, splats = begin, begin < end, splats_at(sorted_splats, begin, begin, end, CHUNK)
    while going:
        present = at + lane < end
        row = rows + splats * WIDTH
        splats = splats_at(sorted_splats, at + CHUNK, begin, end, CHUNK)  # fetched a chunk ahead
        full, distance = chunk_alpha(row, present, px, py)
        value = tl.minimum(full, _MAX_ALPHA)
        value = tl.where(value >= _MIN_ALPHA, value, 0.0)
        before, behind = transmittance(value, light)
        lit = before > _MIN_TRANSMITTANCE
        weight = tl.where(lit, value * before, 0.0)
        if DOT:
            along = tl.zeros([CHUNK, TX * TY], tl.float32)
            for c in range(CHANNELS):
                along += tl.load(row + COLOURS + c)[:, None] * tl.load(d_image + pixel[None, :] * CHANNELS + c, inside[None, :], 0.0)
        else:
            red, green, blue, _ = four(row + COLOURS)
            along = red * d_first[None, :]
            if CHANNELS > 1:
                along += green * d_second[None, :]
            if CHANNELS > 2:
                along += blue * d_third[None, :]
        if DEPTH:
            along += distance * d_far[None, :]
        along += d_solid[None, :]
        share = weight * along
        hidden = rest[None, :] - tl.associative_scan(share, 0, add)
        root = tl.rsqrt(1 - value)  # its square is the cheapest reciprocal
        d_exponent = tl.where((weight > 0) & (full < _MAX_ALPHA), full * (hidden * root * root - before * along), 0.0)
        slot = tl.load(sorted_slots + at + lane, present, capacity)
        kept = (slot < capacity)[:, None]
        out = (d_rows + slot.to(tl.int64) * WIDTH)[:, None]
        tl.store(out + column, product(d_exponent, shapes), kept & (column < 6))
        if DOT:
            tl.store(out + COLOURS + channel[None, :], product(weight, targets), kept & (channel < CHANNELS)[None, :])
            if DEPTH:
                tl.store(out + COLOURS + CHANNELS, tl.sum(weight * d_far[None, :], 1)[:, None], kept)
        else:
            tl.store(out + COLOURS + column, product(weight, targets), kept & (column <= CHANNELS))
        rest -= tl.sum(share, 0)
        light = tl.minimum(light, tl.min(tl.where(lit, behind, 1.0), 0))
        at += CHUNK
        going = (at < end) & (tl.max(light, 0) > _MIN_TRANSMITTANCE)
    _mark_hidden(slot_tiles, sorted_slots, at, end, capacity)


@triton.jit
def _mark_hidden(slot_tiles, sorted_slots, at, end, capacity):
    """Pairs behind an opaque tile have no gradient: their slot belongs to no tile (-1), so that its row is neither written nor read."""
    lane = tl.arange(0, 32)
    while at < end:
        slot = tl.load(sorted_slots + at + lane, at + lane < end, capacity)
        tl.store(slot_tiles + slot, -1, slot < capacity)
        at += 32
