"""Second stage of the GPU rasteriser: compositing. One warp owns a small tile and takes CHUNK splats at once.

Alphas of the chunk come in bulk, the transmittance in front of each splat as a prefix product along the chunk.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu.bin import put_in_order
from pipeline.splat.gpu.project import COLOURS
from pipeline.splat.rules import MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE

_MAX_ALPHA, _MIN_ALPHA, _MIN_TRANSMITTANCE = (tl.constexpr(x) for x in (MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE))


@triton.jit
def tile_pixels(tile, columns, tiles, TX: tl.constexpr, TY: tl.constexpr):
    """View of the tile, and x, y [P] of its pixels; tiles: in one view."""
    pixel = tl.arange(0, TX * TY)
    view = tile // tiles
    in_view = tile - view * tiles
    return view, (in_view % columns) * TX + pixel % TX, (in_view // columns) * TY + pixel // TX


@triton.jit
def splats_at(sorted_splats, at, end, nowhere, CHUNK: tl.constexpr):
    """The splats [CHUNK] at `at` of a list that ends at `end`; past its end the one that is nowhere, so that nothing has to be masked."""
    at += tl.arange(0, CHUNK)
    return tl.load(sorted_splats + at, at < end, nowhere)


@triton.jit
def four(rows, at):
    """Four neighbouring numbers at `at` [CHUNK], multiples of four, as four columns [CHUNK, 1]: one wide load, handed round in shared memory."""
    even, odd = tl.split(tl.reshape(tl.load(rows + (at[:, None] + tl.arange(0, 4)[None, :])), [at.shape[0], 2, 2]))
    first, third = tl.split(even)
    second, fourth = tl.split(odd)
    return first[:, None], second[:, None], third[:, None], fourth[:, None]


@triton.jit
def chunk_alpha(rows, at, px, py):
    """Opacity times falloff [CHUNK, P] of splat rows at `at` [CHUNK] on pixel centres px, py [1, P]."""
    mx, my, minus_a, r = four(rows, at)
    minus_k, log_opacity, _, _ = four(rows, at + 4)
    dy = my - py
    u = mx - px + r * dy
    return tl.exp2(minus_a * u * u + (minus_k * dy * dy + log_opacity))


@triton.jit
def _pass_on(product, before, next_product, next_before):
    return product * next_product, product * next_before


@triton.jit
def transmittance(value, light):
    """Transmittance [CHUNK, P] in front of and behind splats of alpha `value`; light: [P] in front of the first."""
    behind, before = tl.associative_scan((1 - value, tl.full(value.shape, 1.0, tl.float32)), 0, _pass_on)
    return before * light[None, :], behind * light[None, :]


@triton.jit
def any_lit(light):
    """Whether a splat would still be drawn on one of the pixels. The maximum of whole numbers is one instruction."""
    return tl.max((light > _MIN_TRANSMITTANCE).to(tl.int32), 0) > 0


@triton.jit
def _store_few(image, background, bg_channel, sums, light, at, pixel, inside, CHANNELS: tl.constexpr):
    """At most three channels [P] of the picture, over its background; `at`: where the pixels' background begins."""
    for c in tl.static_range(CHANNELS):
        behind = tl.load(background + at + c * bg_channel, inside, 0.0)
        tl.store(image + pixel * CHANNELS + c, sums[c] + light * behind, inside)


@triton.jit(do_not_specialize=("instances",))
def draw(starts, tile_counts, entries, sorted_splats, sorted_slots, rows, background, image, alpha, depth,
         instances, width, height, columns, tiles, bg_view, bg_y, bg_x, bg_channel,
         CHANNELS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr,
         TX: tl.constexpr, TY: tl.constexpr, CHUNK: tl.constexpr):  # fmt: skip
    """One program per tile of every view. Puts the tile's list in order, then fills image [B, H, W, CHANNELS], alpha and depth [B, H, W].

    instances: the row of the splat that is nowhere. bg_*: strides of background. DOT: the sums of colours are matrix products, over channels padded to PADDED; else there are at most three channels.
    """
    tile = tl.program_id(0)
    view, xs, ys = tile_pixels(tile, columns, tiles, TX, TY)
    px, py = (xs + 0.5)[None, :], (ys + 0.5)[None, :]
    light = tl.full([TX * TY], 1.0, tl.float32)
    solid, far, first, second, third = light * 0, light * 0, light * 0, light * 0, light * 0
    channel = tl.arange(0, PADDED)[None, :]
    if DOT:
        sums = tl.zeros([TX * TY, PADDED], tl.float32)
    begin = tl.load(starts + tile)
    end = begin + tl.load(tile_counts + tile)
    put_in_order(entries, sorted_splats, sorted_slots, begin, end)
    tl.debug_barrier()
    at, going, splats = begin, begin < end, splats_at(sorted_splats, begin, end, instances, CHUNK)
    while going:
        row = splats * WIDTH
        splats = splats_at(sorted_splats, at + CHUNK, end, instances, CHUNK)  # fetched a chunk ahead
        full = chunk_alpha(rows, row, px, py)
        value = tl.where(full >= _MIN_ALPHA, tl.minimum(full, _MAX_ALPHA), 0.0)
        before, behind = transmittance(value, light)
        weight = tl.where(before > _MIN_TRANSMITTANCE, value * before, 0.0)
        solid += tl.sum(weight, 0)
        if DOT:
            colour = tl.load(rows + row[:, None] + COLOURS + channel, channel < CHANNELS, 0.0)
            sums += tl.dot(tl.trans(weight), colour, input_precision="tf32x3")
            distance = tl.load(rows + row + COLOURS + CHANNELS)[:, None]
        else:
            red, green, blue, distance = four(rows, row + COLOURS)
            distance = green if CHANNELS == 1 else (blue if CHANNELS == 2 else distance)
            first += tl.sum(weight * red, 0)
            if CHANNELS > 1:
                second += tl.sum(weight * green, 0)
            if CHANNELS > 2:
                third += tl.sum(weight * blue, 0)
        far += tl.sum(weight * distance, 0)
        light = tl.min(behind, 0)
        at += CHUNK
        going = (at < end) & any_lit(light)
    # `light` also went through what was too dark to be drawn
    light = tl.maximum(1 - solid, 0.0)
    inside = (xs < width) & (ys < height)
    pixel = (view * height + ys) * width + xs
    tl.store(alpha + pixel, 1 - light, inside)
    tl.store(depth + pixel, far / tl.maximum(solid, 1e-6), inside)
    source = view * bg_view + ys * bg_y + xs * bg_x
    if DOT:
        wanted = inside[:, None] & (channel < CHANNELS)
        behind_all = tl.load(background + source[:, None] + channel * bg_channel, wanted, 0.0)
        tl.store(image + pixel[:, None] * CHANNELS + channel, sums + light[:, None] * behind_all, wanted)
    else:
        _store_few(image, background, bg_channel, (first, second, third), light, source, pixel, inside, CHANNELS)
