"""Lists of splats per tile, front to back: count, allocate, scatter in any order, then rank each tile's few entries by depth.

No global sort: a tile's list is short, so that counting for every entry how many of its tile lie in front of it is cheaper than moving all pairs
several times. An entry is two int64: depth bits and splat; and its slot, where the pair's gradient goes. Ties of depth go by splat, so the order does not
depend on which was written first.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu.ellipse import LARGE, ellipse_reach, ellipse_rows, row_span, select, two_counters
from pipeline.splat.gpu.project import UNSPECIALISED, load_four


@triton.jit(do_not_specialize=UNSPECIALISED)
def allocate(tile_counts, starts, cursors, totals, state, pair_count, projected, tiles, capacity, instances, RECORD: tl.constexpr, BLOCK: tl.constexpr):
    """Give every tile of every view a range of the lists: starts and cursors [tiles], in no particular order; totals: [pairs, allocated].

    Pairs beyond the capacity: state [2] = (1, most pairs ever needed) is set and stays. pair_count [1]: the number of pairs, for the host.
    The record after the last of `projected`: an empty splat, with which lists are padded to whole chunks.
    """
    tile = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = tile < tiles
    count = tl.load(tile_counts + tile, mask, 0)
    start = tl.atomic_add(totals + 1, tl.sum(count, 0), sem="relaxed") + tl.cumsum(count, 0) - count
    tl.store(cursors + tile, start, mask)
    start = tl.minimum(start, capacity)
    tl.store(starts + tile, start, mask)
    tl.store(tile_counts + tile, tl.minimum(count, capacity - start), mask)
    if tl.program_id(0) == 0:
        column = tl.arange(0, 64)
        tl.store(projected + instances * RECORD + column, tl.where(column == 5, float("-inf"), 0.0), column < RECORD)
        total = tl.load(totals)
        tl.store(pair_count, total)
        tl.store(state + 1, tl.maximum(tl.load(state + 1), total))
        if total > capacity:
            tl.store(state, 1)


@triton.jit
def _store_entry(entries, key, slot, position, hit, capacity):
    kept = tl.expand_dims(hit & (position < capacity), -1)
    tl.store(entries + 2 * tl.expand_dims(position, -1) + tl.arange(0, 2), tl.join(key, slot.to(tl.int64)), kept)


@triton.jit
def _store_two_entries(entries, key, slot, tile, taken, before, capacity):
    """Entries of a splat in `taken` tiles from `tile` on; before: the word of their counters before the addition."""
    low, high = (before & 0xFFFFFFFF).to(tl.int32), (before >> 32).to(tl.int32)
    _store_entry(entries, key, slot, tl.where((tile & 1) > 0, high, low), taken > 0, capacity)
    _store_entry(entries, key, slot + 1, high, taken > 1, capacity)


@triton.jit
def _scatter_large(large, entries, cursors, key, slot, row, last_row, mx, my, a, r, k, reach, base, columns, capacity,
                   TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """The entries of the splats marked in `large`, one splat after the other: a lane takes a row of tiles; slots follow the rows."""
    lane = tl.arange(0, BLOCK)
    while tl.max(large.to(tl.int32), 0) > 0:
        pick = lane == tl.min(tl.where(large, lane, BLOCK), 0)
        large = large & ~pick
        its_key, its_slot, end = select(pick, key), select(pick, slot), select(pick, last_row)
        for top in range(select(pick, row), end + 1, BLOCK):
            its = top + lane
            first, last = row_span(
                its, select(pick, mx), select(pick, my), select(pick, a), select(pick, r), select(pick, k), select(pick, reach), columns, TX, TY
            )
            last = tl.where(its <= end, last, -1)
            width = tl.maximum(last - first + 1, 0)
            shift = its_slot + tl.cumsum(width, 0) - width - first
            its_slot += tl.sum(width, 0)
            column, tiles = first, base + its * columns
            while tl.max(last - column, 0) >= 0:
                word, ones, taken = two_counters(tiles + column, last - column + 1)
                before = tl.atomic_add(cursors + word, ones, column <= last, sem="relaxed")
                _store_two_entries(
                    entries, its_key + tl.zeros([BLOCK], tl.int64), shift + column, tiles + column, tl.where(column <= last, taken, 0), before, capacity
                )
                column += taken


@triton.jit(do_not_specialize=UNSPECIALISED)
def scatter(projected, first_slot, counts, cursors, entries, N, columns, tile_rows, capacity,
            RECORD: tl.constexpr, TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Write the entry of every pair into its tile's range."""
    view = tl.program_id(1)
    splat = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    at = view * N + splat
    left = tl.load(counts + at, splat < N, 0)
    live = left > 0
    mx, my, a, r = load_four(projected + at * RECORD, live)
    k, _, depth, opacity = load_four(projected + at * RECORD + 4, live)
    a, k, depth, opacity = tl.where(live, -a, 1.0), tl.where(live, -k, 1.0), tl.where(live, depth, 1.0), tl.where(live, opacity, 1.0)
    slot = tl.load(first_slot + at, live, 0)
    key = (depth.to(tl.int32, bitcast=True).to(tl.int64) << 32) | at.to(tl.int64)
    reach = ellipse_reach(opacity)
    row, last_row = ellipse_rows(my, k, reach, tile_rows, TY)
    column, last = row_span(row, mx, my, a, r, k, reach, columns, TX, TY)
    cursors, base = cursors.to(tl.pointer_type(tl.int64), bitcast=True), view * tile_rows * columns
    large = left > LARGE
    _scatter_large(large, entries, cursors, key, slot, row, last_row, mx, my, a, r, k, reach, base, columns, capacity, TX, TY, BLOCK)
    left = tl.where(large, 0, left)
    while tl.max(left, 0) > 0:
        hit, tile = (left > 0) & (column <= last), base + row * columns + column
        word, ones, taken = two_counters(tile, last - column + 1)
        before = tl.atomic_add(cursors + word, ones, hit, sem="relaxed")
        taken, column = tl.where(hit, taken, 0), column + taken
        # the next row is computed while the counters are being loaded
        over = column > last
        row = tl.where(over, row + 1, row)
        next_column, next_last = row_span(row, mx, my, a, r, k, reach, columns, TX, TY)
        column, last = tl.where(over, next_column, column), tl.where(over, next_last, last)
        _store_two_entries(entries, key, slot, tile, taken, before, capacity)
        slot += taken
        left = tl.where(row <= last_row, left - taken, 0)


@triton.jit
def _ranks(entries, sorted_splats, sorted_slots, begin, end, EXACT: tl.constexpr):
    """Write the entries begin..end of a tile in order of depth, EXACT: of (depth, splat). Returns the sum of their ranks."""
    lane = tl.arange(0, 32)
    total = tl.zeros([32], tl.int32)
    for i in range(begin, end, 32):
        mine = i + lane < end
        key, slot = tl.load(entries + 2 * (i + lane), mine, 0), tl.load(entries + 2 * (i + lane) + 1, mine, 0)
        rank = tl.zeros([32], tl.int32)
        for j in range(begin, end, 32):
            other = tl.load(entries + 2 * (j + lane), j + lane < end, 0x7FFFFFFFFFFFFFFF)
            if EXACT:
                rank += tl.sum((other[:, None] < key[None, :]).to(tl.int32), 0)
            else:
                rank += tl.sum(((other >> 32).to(tl.int32)[:, None] < (key >> 32).to(tl.int32)[None, :]).to(tl.int32), 0)
        tl.store(sorted_splats + begin + rank, (key & 0xFFFFFFFF).to(tl.int32), mine)
        tl.store(sorted_slots + begin + rank, slot.to(tl.int32), mine)
        total += tl.where(mine, rank, 0)
    return tl.sum(total.to(tl.int64), 0)


@triton.jit
def sort_tile(entries, sorted_splats, sorted_slots, begin, end):
    """Write the entries begin..end of a tile in order of (depth, splat). Without equal depths the ranks by depth alone are 0, 1, 2...; else again by both."""
    count = (end - begin).to(tl.int64)
    if _ranks(entries, sorted_splats, sorted_slots, begin, end, False) != count * (count - 1) // 2:
        tl.debug_barrier()
        _ranks(entries, sorted_splats, sorted_slots, begin, end, True)
