"""Which tiles a splat's ellipse reaches, and counting them per tile."""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.rules import MIN_ALPHA

LARGE = tl.constexpr(64)  # tiles; all lanes together go through a larger splat, which would otherwise delay the others of its warp
_MIN_ALPHA = tl.constexpr(MIN_ALPHA)


@triton.jit
def row_span(row, mx, my, a, r, k, reach, columns, TX: tl.constexpr, TY: tl.constexpr):
    """First and last tile column, in one row of tiles, with a pixel row inside the ellipse a (dx + r dy)^2 + k dy^2 <= reach (first > last: none).

    In a strip of pixel rows the ellipse's x-range is convex in dy, so its ends lie at the ellipse's own extremes or at the strip's edge nearest to them.
    """
    limit = tl.sqrt(reach / k)
    low, high = tl.maximum(row * TY + 0.5 - my, -limit), tl.minimum(row * TY + (TY - 0.5) - my, limit)
    slant = r * a / k
    extreme = -slant * tl.sqrt(reach / (a * (1 + r * slant)))
    right, left = tl.minimum(tl.maximum(extreme, low), high), tl.minimum(tl.maximum(-extreme, low), high)
    x_right = mx - r * right + tl.sqrt(tl.maximum(reach - k * right * right, 0.0) / a)
    x_left = mx - r * left - tl.sqrt(tl.maximum(reach - k * left * left, 0.0) / a)
    # clamped before the conversion: a huge extent does not fit an integer
    first = tl.ceil(tl.minimum(tl.maximum((x_left - (TX - 0.5)) / TX, 0.0), columns)).to(tl.int32)
    last = tl.floor(tl.minimum(tl.maximum((x_right - 0.5) / TX, -1.0), columns - 1.0)).to(tl.int32)
    return first, tl.where(low <= high, last, -1)


@triton.jit
def ellipse_rows(my, k, reach, tile_rows, TY: tl.constexpr):
    """First and last row of tiles that the ellipse reaches."""
    limit = tl.sqrt(reach / k)
    first = tl.ceil(tl.minimum(tl.maximum((my - limit - (TY - 0.5)) / TY, 0.0), tile_rows)).to(tl.int32)
    last = tl.floor(tl.minimum(tl.maximum((my + limit - 0.5) / TY, -1.0), tile_rows - 1.0)).to(tl.int32)
    return first, last


@triton.jit
def ellipse_reach(opacity):
    """Where the splat fades below MIN_ALPHA, a little more: the pixels decide exactly."""
    return tl.log2(tl.maximum(opacity / _MIN_ALPHA, 1.0)) * 1.0001 + 1e-4


@triton.jit
def select(pick, x):
    """The one value of x where `pick` is set."""
    return tl.sum(tl.where(pick, x, 0), 0)


@triton.jit
def two_counters(index, left):
    """Counters of neighbouring tiles lie two in a word of 64 bits, so that one atomic addition serves both.

    index: of a tile; left: how many tiles follow each other from it on, at least 1. Returns the word, what to add to it, and how many tiles that counts.
    """
    odd = index & 1
    both = (odd == 0) & (left > 1)
    one = tl.where(odd > 0, 1 << 32, 1).to(tl.int64)
    return index >> 1, tl.where(both, (1 << 32) + 1, one).to(tl.int64), 1 + both.to(tl.int32)


@triton.jit
def _count_large(large, tile_counts, base, row, last_row, mx, my, a, r, k, reach, columns, TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):
    """Count the tiles of the splats marked in `large`, one splat after the other: a lane takes a row of tiles. Returns the counts [BLOCK]."""
    lane = tl.arange(0, BLOCK)
    count = tl.zeros([BLOCK], tl.int32)
    while tl.max(large.to(tl.int32), 0) > 0:
        pick = lane == tl.min(tl.where(large, lane, BLOCK), 0)
        large = large & ~pick
        end = select(pick, last_row)
        for top in range(select(pick, row), end + 1, BLOCK):
            its = top + lane
            first, last = row_span(
                its, select(pick, mx), select(pick, my), select(pick, a), select(pick, r), select(pick, k), select(pick, reach), columns, TX, TY
            )
            last = tl.where(its <= end, last, -1)
            count += tl.where(pick, tl.sum(tl.maximum(last - first + 1, 0), 0), 0)
            column, its_tiles = first, base + its * columns
            while tl.max(last - column, 0) >= 0:
                word, ones, taken = two_counters(its_tiles + column, last - column + 1)
                tl.atomic_add(tile_counts + word, ones, column <= last, sem="relaxed")
                column += taken
    return count


@triton.jit
def count_tiles(tile_counts, base, mx, my, a, r, k, reach, extent_x, drawn, columns, tile_rows, TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):
    """Add 1 to the counter of every tile that a splat's ellipse reaches; returns how many tiles [BLOCK]. base: the view's first tile."""
    row, last_row = ellipse_rows(my, k, reach, tile_rows, TY)
    column, last = row_span(row, mx, my, a, r, k, reach, columns, TX, TY)
    live = drawn & (row <= last_row)
    tile_counts = tile_counts.to(tl.pointer_type(tl.int64), bitcast=True)
    large = live & ((last_row - row + 1) * tl.minimum(2 * extent_x / TX + 1, columns) > LARGE)
    count = _count_large(large, tile_counts, base, row, last_row, mx, my, a, r, k, reach, columns, TX, TY, BLOCK)
    live = live & ~large
    while tl.max(live.to(tl.int32), 0) > 0:
        hit = live & (column <= last)
        word, ones, taken = two_counters(base + row * columns + column, last - column + 1)
        tl.atomic_add(tile_counts + word, ones, hit, sem="relaxed")
        count += tl.where(hit, taken, 0)
        column += taken
        over = column > last
        row = tl.where(over, row + 1, row)
        next_column, next_last = row_span(row, mx, my, a, r, k, reach, columns, TX, TY)
        column, last = tl.where(over, next_column, column), tl.where(over, next_last, last)
        live = live & (row <= last_row)
    return count
