"""Second stage of the GPU rasteriser: compositing. One warp owns a small tile and reads CHUNK splats at once.

Alphas of the chunk come in bulk, the transmittance in front of each splat as a prefix product along the chunk.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu.bin import sort_tile
from pipeline.splat.gpu.project import COLOURS
from pipeline.splat.rules import MAX_ALPHA, MIN_ALPHA, MIN_DEPTH_ALPHA, MIN_TRANSMITTANCE

_MAX_ALPHA, _MIN_ALPHA, _MIN_DEPTH_ALPHA, _MIN_TRANSMITTANCE = (tl.constexpr(x) for x in (MAX_ALPHA, MIN_ALPHA, MIN_DEPTH_ALPHA, MIN_TRANSMITTANCE))


@triton.jit
def tile_pixels(tile, columns, tiles, TX: tl.constexpr, TY: tl.constexpr):
    """View of the tile, and x, y [P] of its pixels; tiles: in one view."""
    pixel = tl.arange(0, TX * TY)
    view = tile // tiles
    in_view = tile - view * tiles
    return view, (in_view % columns) * TX + pixel % TX, (in_view // columns) * TY + pixel // TX


@triton.jit
def splats_at(sorted_splats, at, end, empty, CHUNK: tl.constexpr):
    """The splats [CHUNK] at `at` of a list that ends at `end`; past its end the empty one, so that nothing has to be masked."""
    at += tl.arange(0, CHUNK)
    return tl.load(sorted_splats + at, at < end, empty)


@triton.jit
def load_columns(projected, at):
    """Four neighbouring numbers at offsets `at` [CHUNK], multiples of four, as columns [CHUNK, 1]: one wide load, distributed through shared memory."""
    even, odd = tl.split(tl.reshape(tl.load(projected + (at[:, None] + tl.arange(0, 4)[None, :])), [at.shape[0], 2, 2]))
    first, third = tl.split(even)
    second, fourth = tl.split(odd)
    return first[:, None], second[:, None], third[:, None], fourth[:, None]


@triton.jit
def chunk_alpha(projected, at, px, py):
    """Opacity times falloff [CHUNK, P] of the splats at offsets `at` [CHUNK] of `projected` on pixel centres px, py [1, P]."""
    mx, my, minus_a, r = load_columns(projected, at)
    minus_k, log_opacity, _, _ = load_columns(projected, at + 4)
    dy = my - py
    u = mx - px + r * dy
    return tl.exp2(minus_a * u * u + (minus_k * dy * dy + log_opacity))


@triton.jit
def _through_both(product, before, next_product, next_before):
    return product * next_product, product * next_before


@triton.jit
def transmittances(splat_alpha, transmittance):
    """Transmittance [CHUNK, P] before and after each splat of alpha `splat_alpha` [CHUNK, P]; transmittance: [P] before the first."""
    after, before = tl.associative_scan((1 - splat_alpha, tl.full(splat_alpha.shape, 1.0, tl.float32)), 0, _through_both)
    return before * transmittance[None, :], after * transmittance[None, :]


@triton.jit
def any_visible(transmittance):
    """Whether a splat would still be drawn on one of the pixels. The maximum of integers is one instruction."""
    return tl.max((transmittance > _MIN_TRANSMITTANCE).to(tl.int32), 0) > 0


@triton.jit
def _store_few(image, background, bg_channel, sums, transmittance, at, pixel, inside, CHANNELS: tl.constexpr):
    """At most three channels [P] of the image over its background; `at`: offsets of the pixels in `background`."""
    for c in tl.static_range(CHANNELS):
        base = tl.load(background + at + c * bg_channel, inside, 0.0)
        tl.store(image + pixel * CHANNELS + c, sums[c] + transmittance * base, inside)


@triton.jit(do_not_specialize=("instances",))
def draw(starts, tile_counts, entries, sorted_splats, sorted_slots, projected, background, image, alpha, depth,
         instances, width, height, columns, tiles, bg_view, bg_y, bg_x, bg_channel,
         CHANNELS: tl.constexpr, RECORD: tl.constexpr, PADDED: tl.constexpr, DOT: tl.constexpr,
         TX: tl.constexpr, TY: tl.constexpr, CHUNK: tl.constexpr):  # fmt: skip
    """One program per tile of every view. Puts the tile's list in order, then fills image [B, H, W, CHANNELS], alpha and depth [B, H, W].

    instances: index of the empty splat. bg_*: strides of background. DOT: colours are summed by matrix products, over channels padded to PADDED; without it
    there are at most three channels.
    """
    tile = tl.program_id(0)
    view, xs, ys = tile_pixels(tile, columns, tiles, TX, TY)
    px, py = (xs + 0.5)[None, :], (ys + 0.5)[None, :]
    transmittance = tl.full([TX * TY], 1.0, tl.float32)
    accumulation, depth_sum, first, second, third = transmittance * 0, transmittance * 0, transmittance * 0, transmittance * 0, transmittance * 0
    channel = tl.arange(0, PADDED)[None, :]
    if DOT:
        sums = tl.zeros([TX * TY, PADDED], tl.float32)
    begin = tl.load(starts + tile)
    end = begin + tl.load(tile_counts + tile)
    sort_tile(entries, sorted_splats, sorted_slots, begin, end)
    tl.debug_barrier()
    at, active, splats = begin, begin < end, splats_at(sorted_splats, begin, end, instances, CHUNK)
    while active:
        at_splat = splats * RECORD
        splats = splats_at(sorted_splats, at + CHUNK, end, instances, CHUNK)  # loaded a chunk ahead
        raw = chunk_alpha(projected, at_splat, px, py)
        splat_alpha = tl.where(raw >= _MIN_ALPHA, tl.minimum(raw, _MAX_ALPHA), 0.0)
        before, after = transmittances(splat_alpha, transmittance)
        weight = tl.where(before > _MIN_TRANSMITTANCE, splat_alpha * before, 0.0)
        accumulation += tl.sum(weight, 0)
        if DOT:
            colour = tl.load(projected + at_splat[:, None] + COLOURS + channel, channel < CHANNELS, 0.0)
            sums += tl.dot(tl.trans(weight), colour, input_precision="tf32x3")
            distance = tl.load(projected + at_splat + COLOURS + CHANNELS)[:, None]
        else:
            red, green, blue, distance = load_columns(projected, at_splat + COLOURS)
            distance = green if CHANNELS == 1 else (blue if CHANNELS == 2 else distance)
            first += tl.sum(weight * red, 0)
            if CHANNELS > 1:
                second += tl.sum(weight * green, 0)
            if CHANNELS > 2:
                third += tl.sum(weight * blue, 0)
        depth_sum += tl.sum(weight * distance, 0)
        transmittance = tl.min(after, 0)
        at += CHUNK
        active = (at < end) & any_visible(transmittance)
    # the product of all alphas has those that were not drawn, too
    transmittance = tl.maximum(1 - accumulation, 0.0)
    inside = (xs < width) & (ys < height)
    pixel = (view * height + ys) * width + xs
    tl.store(alpha + pixel, 1 - transmittance, inside)
    tl.store(depth + pixel, depth_sum / tl.maximum(accumulation, _MIN_DEPTH_ALPHA), inside)
    at_background = view * bg_view + ys * bg_y + xs * bg_x
    if DOT:
        mask = inside[:, None] & (channel < CHANNELS)
        base = tl.load(background + at_background[:, None] + channel * bg_channel, mask, 0.0)
        tl.store(image + pixel[:, None] * CHANNELS + channel, sums + transmittance[:, None] * base, mask)
    else:
        _store_few(image, background, bg_channel, (first, second, third), transmittance, at_background, pixel, inside, CHANNELS)
