"""Third stage of the GPU rasteriser: gradients of compositing, one record per (splat, tile) pair, no atomics.

Repeats the forward pass front to back: what lies behind a splat is the final sum minus what was drawn up to it. Every sum over the pixels of a tile is a column
of a small matrix product: of the exponent's gradient with the pixels' moments about the tile's centre, and of the weights with the image's gradient.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu.forward import any_visible, chunk_alpha, load_columns, splats_at, tile_pixels, transmittances
from pipeline.splat.gpu.project import COLOURS
from pipeline.splat.rules import MAX_ALPHA, MIN_ALPHA, MIN_DEPTH_ALPHA, MIN_TRANSMITTANCE

_MAX_ALPHA, _MIN_ALPHA, _MIN_DEPTH_ALPHA, _MIN_TRANSMITTANCE = (tl.constexpr(x) for x in (MAX_ALPHA, MIN_ALPHA, MIN_DEPTH_ALPHA, MIN_TRANSMITTANCE))


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
def _few_gradients(d_image, image, background, bg_channel, at_background, pixel, inside, CHANNELS: tl.constexpr):
    """The gradients [P] of at most three channels, their product with the image and with the background, each summed over the channels."""
    zero = tl.zeros(pixel.shape, tl.float32)
    first, second, third, image_product, background_product = zero, zero, zero, zero, zero
    for c in tl.static_range(CHANNELS):
        gradient = tl.load(d_image + pixel * CHANNELS + c, inside, 0.0)
        image_product += gradient * tl.load(image + pixel * CHANNELS + c, inside, 0.0)
        background_product += gradient * tl.load(background + at_background + c * bg_channel, inside, 0.0)
        if c == 0:
            first = gradient
        elif c == 1:
            second = gradient
        else:
            third = gradient
    return (first, second, third), image_product, background_product


@triton.jit
def _many_gradients(d_image, image, background, bg_channel, at_background, pixel, inside, CHANNELS: tl.constexpr, PADDED: tl.constexpr):
    """The gradients [PADDED, P] of all channels, their product with the image and with the background, each summed over the channels."""
    channel = tl.arange(0, PADDED)[:, None]
    mask = (channel < CHANNELS) & inside[None, :]
    gradient = tl.load(d_image + pixel[None, :] * CHANNELS + channel, mask, 0.0)
    image_product = tl.sum(gradient * tl.load(image + pixel[None, :] * CHANNELS + channel, mask, 0.0), 0)
    background_product = tl.sum(gradient * tl.load(background + at_background[None, :] + channel * bg_channel, mask, 0.0), 0)
    return gradient, image_product, background_product


@triton.jit
def _few_targets(d_image, pixel, inside, d_depth_sum, column, CHANNELS: tl.constexpr):
    """The operand [P, 8] that weights are multiplied with: gradients of the channels and of depth, two columns each: rounded to tf32, and the rest."""
    number = column // 2
    targets = tl.load(d_image + pixel[:, None] * CHANNELS + number, (number < CHANNELS) & inside[:, None], 0.0)
    targets = tl.where(number == CHANNELS, d_depth_sum[:, None], targets)
    return tl.where(column % 2 == 0, round_to_tf32(targets), targets - round_to_tf32(targets))


@triton.jit
def round_to_tf32(x):
    """The nearest number with the ten fraction bits that a tf32 operand keeps."""
    return ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)


@triton.jit
def split_product(values, tf32_operand):
    """values [CHUNK, P] times an operand that tf32 holds exactly; split in two tf32 parts, which keep 21 bits and fill the sixteen rows of a matrix unit."""
    high = (values.to(tl.int32, bitcast=True) & -0x2000).to(tl.float32, bitcast=True)
    parts = tl.reshape(tl.permute(tl.join(high, values - high), (2, 0, 1)), [2 * values.shape[0], values.shape[1]])
    sums = tl.dot(parts, tf32_operand, input_precision="tf32")
    return tl.sum(tl.reshape(sums, [2, values.shape[0], tf32_operand.shape[1]]), 0)


@triton.jit(do_not_specialize=("capacity", "instances"))
def draw_backward(starts, tile_counts, sorted_splats, sorted_slots, projected, background, image, alpha, depth, d_image, d_alpha, d_depth, d_pairs, d_absolute,
                  width, height, columns, tiles, bg_view, bg_y, bg_x, bg_channel, capacity, instances,
                  CHANNELS: tl.constexpr, RECORD: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr, ALPHA: tl.constexpr, DEPTH: tl.constexpr,
                  ABSOLUTE: tl.constexpr, TX: tl.constexpr, TY: tl.constexpr, CHUNK: tl.constexpr):  # fmt: skip
    """Fills d_pairs [pairs, RECORD]: six moments of the exponent's gradient, the centre of the tile, gradients of the colours, of depth.

    ALPHA, DEPTH: whether there are gradients of them. ABSOLUTE: also fill d_absolute [pairs, 2], the absolute gradients of the screen position (see
    `_store_absolute`). The record of a pair that its tile never reached has -1 as the centre's x and nothing else.
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
    at_background = view * bg_view + ys * bg_y + xs * bg_x
    column, lane = tl.arange(0, 8)[None, :], tl.arange(0, CHUNK)
    transmittance = tl.where(inside, 1.0, 0.0)
    accumulation = tl.load(alpha + pixel, inside, 0.0)
    if DOT:
        d_colour, remaining, background_product = _many_gradients(d_image, image, background, bg_channel, at_background, pixel, inside, CHANNELS, PADDED)
    else:
        d_few, remaining, background_product = _few_gradients(d_image, image, background, bg_channel, at_background, pixel, inside, CHANNELS)
    d_accumulation, d_depth_sum = -background_product, transmittance * 0
    remaining += d_accumulation
    if ALPHA:
        upstream = tl.load(d_alpha + pixel, inside, 0.0)
        d_accumulation += upstream
        remaining += upstream * accumulation
    if DEPTH:
        # depth = depth_sum / accumulation; its part of `remaining` cancels
        d_depth_sum = tl.load(d_depth + pixel, inside, 0.0) / tl.maximum(accumulation, _MIN_DEPTH_ALPHA)
        d_accumulation -= d_depth_sum * tl.load(depth + pixel, inside, 0.0)
    shapes = moments(TX, TY, column)
    targets = round_to_tf32(tl.trans(d_colour)) if DOT else _few_targets(d_image, pixel, inside, d_depth_sum, column, CHANNELS)
    centre = tl.where(column == 6, tl.min(xs, 0) + TX * 0.5, tl.where(column == 7, tl.min(ys, 0) + TY * 0.5, 0.0))
    at, active, splats = begin, begin < end, splats_at(sorted_splats, begin, end, instances, CHUNK)
    while active:
        at_splat = splats * RECORD
        slot = tl.load(sorted_slots + at + lane, at + lane < end, capacity)
        splats = splats_at(sorted_splats, at + CHUNK, end, instances, CHUNK)  # loaded a chunk ahead
        raw = chunk_alpha(projected, at_splat, px, py)
        splat_alpha = tl.where(raw >= _MIN_ALPHA, tl.minimum(raw, _MAX_ALPHA), 0.0)
        before, after = transmittances(splat_alpha, transmittance)
        drawn_alpha = tl.where(before > _MIN_TRANSMITTANCE, splat_alpha, 0.0)
        weight = drawn_alpha * before
        if DOT:
            d_weight = _d_weight_many(projected, at_splat, d_accumulation, d_image, pixel, inside, d_depth_sum, CHANNELS, DEPTH)
        else:
            d_weight = _d_weight_few(projected, at_splat, d_accumulation, d_few, d_depth_sum, CHANNELS, DEPTH)
        contribution = weight * d_weight
        remaining_behind = remaining[None, :] - tl.associative_scan(contribution, 0, add)
        root = tl.rsqrt(1 - splat_alpha)  # its square is the cheapest reciprocal
        d_exponent = tl.where(raw < _MAX_ALPHA, drawn_alpha * (remaining_behind * root * root - before * d_weight), 0.0)
        kept = (slot < capacity)[:, None]
        out = (d_pairs + slot.to(tl.int64) * RECORD)[:, None]
        tl.store(out + column, split_product(d_exponent, shapes) + centre, kept)
        _store_colours(out + COLOURS, weight, targets, d_depth_sum, kept, CHANNELS, PADDED, DOT, DEPTH)
        if ABSOLUTE:
            _store_absolute(d_absolute + 2 * slot, projected, at_splat, px, py, d_exponent, slot < capacity)
        remaining -= tl.sum(contribution, 0)
        transmittance = tl.min(after, 0)
        at += CHUNK
        active = (at < end) & any_visible(transmittance)
    _mark_hidden(d_pairs, d_absolute, sorted_slots, at, end, capacity, RECORD, ABSOLUTE)


@triton.jit
def _d_weight_few(projected, at_splat, d_accumulation, d_few, d_depth_sum, CHANNELS: tl.constexpr, DEPTH: tl.constexpr):
    """Gradient [CHUNK, P] of the weights: colours and depth times their gradients, plus d_accumulation."""
    red, green, blue, distance = load_columns(projected, at_splat + COLOURS)
    d_weight = d_accumulation[None, :] + red * d_few[0][None, :]
    if CHANNELS > 1:
        d_weight += green * d_few[1][None, :]
    if CHANNELS > 2:
        d_weight += blue * d_few[2][None, :]
    if DEPTH:
        d_weight += (green if CHANNELS == 1 else (blue if CHANNELS == 2 else distance)) * d_depth_sum[None, :]
    return d_weight


@triton.jit
def _d_weight_many(projected, at_splat, d_accumulation, d_image, pixel, inside, d_depth_sum, CHANNELS: tl.constexpr, DEPTH: tl.constexpr):
    d_weight = tl.zeros([at_splat.shape[0], pixel.shape[0]], tl.float32) + d_accumulation[None, :]
    for c in range(CHANNELS):
        d_weight += tl.load(projected + at_splat + COLOURS + c)[:, None] * tl.load(d_image + pixel[None, :] * CHANNELS + c, inside[None, :], 0.0)
    if DEPTH:
        d_weight += tl.load(projected + at_splat + COLOURS + CHANNELS)[:, None] * d_depth_sum[None, :]
    return d_weight


@triton.jit
def _store_colours(out, weight, targets, d_depth_sum, kept, CHANNELS: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr, DEPTH: tl.constexpr):
    """Gradients of the colours and of depth: weight [CHUNK, P] times targets [P, PADDED or 8]."""
    if DOT:
        channel = tl.arange(0, PADDED)[None, :]
        tl.store(out + channel, split_product(weight, targets), kept & (channel < CHANNELS))
        if DEPTH:
            tl.store(out + CHANNELS, tl.sum(weight * d_depth_sum[None, :], 1)[:, None], kept)
    else:
        both = tl.reshape(tl.dot(round_to_tf32(weight), targets, input_precision="tf32"), [weight.shape[0], 4, 2])
        tl.store(out + tl.arange(0, 4)[None, :], tl.sum(both, 2), kept)


@triton.jit
def _store_absolute(out, projected, at_splat, px, py, d_exponent, kept):
    """Sums over pixels of |g a u| and |g (a r u + k dy)|, up to a constant the absolute gradients of the mean x y (Ye et al. 2024, AbsGS, arXiv 2404.10484)."""
    mx, my, minus_a, r = load_columns(projected, at_splat)
    minus_k = tl.load(projected + at_splat + 4)[:, None]
    dy = my - py
    tilt = minus_a * (mx - px + r * dy)
    tl.store(out, tl.sum(tl.abs(d_exponent * tilt), 1), kept)
    tl.store(out + 1, tl.sum(tl.abs(d_exponent * (r * tilt + minus_k * dy)), 1), kept)


@triton.jit
def _mark_hidden(d_pairs, d_absolute, sorted_slots, at, end, capacity, RECORD: tl.constexpr, ABSOLUTE: tl.constexpr):
    """Pairs behind an opaque tile have no gradient: their record is only marked, by -1 where the tile's centre would be."""
    lane = tl.arange(0, 32)
    while at < end:
        slot = tl.load(sorted_slots + at + lane, at + lane < end, capacity)
        tl.store(d_pairs + slot.to(tl.int64) * RECORD + 6, -1.0, slot < capacity)
        if ABSOLUTE:
            tl.store(d_absolute + 2 * slot, 0.0, slot < capacity)
            tl.store(d_absolute + 2 * slot + 1, 0.0, slot < capacity)
        at += 32
