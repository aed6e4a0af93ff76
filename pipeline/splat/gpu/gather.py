"""Sums of each splat's pair gradients, in order: no atomics, the same bits every time."""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu.ellipse import LARGE, select
from pipeline.splat.gpu.project import COLOURS, load_four


@triton.jit
def _pair(d_pairs, slot, here, mx, my, r, CHANNELS: tl.constexpr, RECORD: tl.constexpr, DEPTH: tl.constexpr, RGB: tl.constexpr):
    """Of the pairs [S] in `slot`: g, g u, g dy, g uu, g u dy, g dy dy and the gradients of depth, red, green, blue.

    g: gradient of the exponent, u = dx + r dy.
    """
    at = d_pairs + slot.to(tl.int64) * RECORD
    m, mx1, my1, mxx = load_four(at, here)
    mxy, myy, centre_x, centre_y = load_four(at + 4, here)
    here = here & (centre_x >= 0)
    m, mx1, my1 = tl.where(here, m, 0.0), tl.where(here, mx1, 0.0), tl.where(here, my1, 0.0)
    mxx, mxy, myy = tl.where(here, mxx, 0.0), tl.where(here, mxy, 0.0), tl.where(here, myy, 0.0)
    y = my - centre_y
    u = mx - centre_x + r * y
    # moments of x + r y of the pixels about the tile's centre
    mu, muy = mx1 + r * my1, mxy + r * myy
    muu = mxx + r * (mxy + muy)
    zero = m * 0.0
    d_depth, red, green, blue = zero, zero, zero, zero
    if RGB:
        red, green, blue, d_depth = load_four(at + COLOURS, here)
    if DEPTH:
        if not RGB:
            d_depth = tl.load(at + COLOURS + CHANNELS, here, 0.0)
    else:
        d_depth = zero
    gu, gy = u * m - mu, y * m - my1
    return m, gu, gy, u * (gu - mu) + muu, u * gy - y * mu + muy, y * (gy - my1) + myy, d_depth, red, green, blue


@triton.jit
def gather(
    d_pairs, first, count, mx, my, r, capacity, CHANNELS: tl.constexpr, RECORD: tl.constexpr, DEPTH: tl.constexpr, RGB: tl.constexpr, BLOCK: tl.constexpr
):
    """Sums [BLOCK] over each splat's pairs of what `_pair` gives, in order. Unrolled, because the records come from far memory."""
    zero = mx * 0.0
    g, gu, gy, guu, guy, gyy, d_depth, red, green, blue = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
    large, lane = count > LARGE, tl.arange(0, BLOCK)
    few = tl.where(large, 0, count)
    for i in tl.range(0, tl.max(few, 0), loop_unroll_factor=4):
        slot = first + i
        p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 = _pair(d_pairs, slot, (i < few) & (slot < capacity), mx, my, r, CHANNELS, RECORD, DEPTH, RGB)
        g, gu, gy, guu, guy, gyy, d_depth, red, green, blue = (
            g + p0,
            gu + p1,
            gy + p2,
            guu + p3,
            guy + p4,
            gyy + p5,
            d_depth + p6,
            red + p7,
            green + p8,
            blue + p9,
        )
    while tl.max(large.to(tl.int32), 0) > 0:
        # all lanes together go through the pairs of one splat
        pick = lane == tl.min(tl.where(large, lane, BLOCK), 0)
        large = large & ~pick
        start, its = select(pick, first), select(pick, count)
        its_x, its_y, its_r = select(pick, mx) + zero, select(pick, my) + zero, select(pick, r) + zero
        s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(0, its, BLOCK):
            slot = start + i + lane
            p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 = _pair(
                d_pairs, slot, (i + lane < its) & (slot < capacity), its_x, its_y, its_r, CHANNELS, RECORD, DEPTH, RGB
            )
            s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 = s0 + p0, s1 + p1, s2 + p2, s3 + p3, s4 + p4, s5 + p5, s6 + p6, s7 + p7, s8 + p8, s9 + p9
        g, gu, gy, guu = _into(g, pick, s0), _into(gu, pick, s1), _into(gy, pick, s2), _into(guu, pick, s3)
        guy, gyy, d_depth = _into(guy, pick, s4), _into(gyy, pick, s5), _into(d_depth, pick, s6)
        red, green, blue = _into(red, pick, s7), _into(green, pick, s8), _into(blue, pick, s9)
    return g, gu, gy, guu, guy, gyy, d_depth, red, green, blue


@triton.jit
def gather_absolute(d_absolute, first, count, capacity, zero, BLOCK: tl.constexpr):
    """Sums [BLOCK] over each splat's pairs of both columns of d_absolute [pairs, 2], as `gather` does it."""
    sum_x, sum_y = zero, zero
    large, lane = count > LARGE, tl.arange(0, BLOCK)
    few = tl.where(large, 0, count)
    for i in range(0, tl.max(few, 0)):
        at, here = d_absolute + 2 * (first + i), (i < few) & (first + i < capacity)
        sum_x, sum_y = sum_x + tl.load(at, here, 0.0), sum_y + tl.load(at + 1, here, 0.0)
    while tl.max(large.to(tl.int32), 0) > 0:
        pick = lane == tl.min(tl.where(large, lane, BLOCK), 0)
        large = large & ~pick
        start, its, part_x, part_y = select(pick, first), select(pick, count), zero, zero
        for i in range(0, its, BLOCK):
            at, here = d_absolute + 2 * (start + i + lane), (i + lane < its) & (start + i + lane < capacity)
            part_x, part_y = part_x + tl.load(at, here, 0.0), part_y + tl.load(at + 1, here, 0.0)
        sum_x, sum_y = _into(sum_x, pick, part_x), _into(sum_y, pick, part_y)
    return sum_x, sum_y


@triton.jit
def _into(sums, pick, parts):
    return tl.where(pick, tl.sum(parts, 0), sums)
