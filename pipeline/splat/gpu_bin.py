"""Lists of splats per tile, front to back: count, reserve, fill in any order, then rank each tile's few entries by depth.

No global sort: a tile's list is short, so counting for every entry how many of its tile lie in front of it is cheaper than moving all pairs
several times. Entries are (depth, splat), so ties go by index and the order does not depend on who was written first.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu_project import UNSPECIALISED, ellipse_reach, ellipse_rows, row_span


@triton.jit(do_not_specialize=UNSPECIALISED)
def reserve(tile_counts, starts, cursors, totals, state, seen, tiles, capacity, BLOCK: tl.constexpr):
    """Give every tile of every view a range of the lists: starts and cursors [tiles], in no particular order; totals: [pairs, handed out].

    Pairs beyond the capacity: state [2] = (1, most pairs ever wanted) is set and stays. seen [1]: the number of pairs, for the host.
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
        total = tl.load(totals)
        tl.store(seen, total)
        tl.store(state + 1, tl.maximum(tl.load(state + 1), total))
        if total > capacity:
            tl.store(state, 1)


@triton.jit
def _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX: tl.constexpr, TY: tl.constexpr):
    """One step of a walk over an ellipse's tiles: whether there is a tile here (at row, column), and the walk's next state."""
    hit = (left > 0) & (column <= last)
    over = column >= last
    row = tl.where(over, row + 1, row)
    first, end = row_span(row, mx, my, a, r, k, reach, columns, TX, TY)
    left = tl.where(row <= last_row, left - hit.to(tl.int32), 0)
    return hit, left, row, tl.where(over, first, column + 1), tl.where(over, end, last)


@triton.jit
def _put(keys, slots, slot_tiles, key, slot, tile, position, hit, capacity):
    kept = hit & (position < capacity)
    tl.store(keys + position, key, kept)
    tl.store(slots + position, slot, kept)
    tl.store(slot_tiles + slot, tl.where(kept, tile, -1), hit & (slot < capacity))
    return slot + hit.to(tl.int32)


@triton.jit(do_not_specialize=UNSPECIALISED)
def fill(rows, first_slot, counts, cursors, keys, slots, slot_tiles, N, columns, tile_rows, capacity,
         WIDTH: tl.constexpr, TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Write every pair into its tile's range: keys = depth bits and splat, slots = where its gradient goes; slot_tiles: the tile of a slot,
    -1 where there was no room.

    Four places are asked for before the first is used, because each answer takes as long as a hundred instructions.
    """
    view = tl.program_id(1)
    splat = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    at = view * N + splat
    left = tl.load(counts + at, splat < N, 0)
    live = left > 0
    row_at = rows + at * WIDTH
    mx, my, a, r = tl.load(row_at, live, 0.0), tl.load(row_at + 1, live, 0.0), -tl.load(row_at + 2, live, -1.0), tl.load(row_at + 3, live, 0.0)
    k, opacity, depth = -tl.load(row_at + 4, live, -1.0), tl.load(row_at + 5, live, 1.0), tl.load(row_at + 6, live, 1.0)
    slot = tl.load(first_slot + at, live, 0)
    key = (depth.to(tl.int32, bitcast=True).to(tl.int64) << 32) | at.to(tl.int64)
    reach = ellipse_reach(opacity)
    row, last_row = ellipse_rows(my, k, reach, tile_rows, TY)
    column, last = row_span(row, mx, my, a, r, k, reach, columns, TX, TY)
    base = view * tile_rows * columns
    while tl.max(left, 0) > 0:
        tile0 = base + row * columns + column
        hit0, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        tile1 = base + row * columns + column
        hit1, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        tile2 = base + row * columns + column
        hit2, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        tile3 = base + row * columns + column
        hit3, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        position0 = tl.atomic_add(cursors + tile0, 1, hit0, sem="relaxed")
        position1 = tl.atomic_add(cursors + tile1, 1, hit1, sem="relaxed")
        position2 = tl.atomic_add(cursors + tile2, 1, hit2, sem="relaxed")
        position3 = tl.atomic_add(cursors + tile3, 1, hit3, sem="relaxed")
        slot = _put(keys, slots, slot_tiles, key, slot, tile0, position0, hit0, capacity)
        slot = _put(keys, slots, slot_tiles, key, slot, tile1, position1, hit1, capacity)
        slot = _put(keys, slots, slot_tiles, key, slot, tile2, position2, hit2, capacity)
        slot = _put(keys, slots, slot_tiles, key, slot, tile3, position3, hit3, capacity)


@triton.jit
def put_in_order(keys, slots, sorted_splats, sorted_slots, begin, end):
    """Write the entries begin..end of a tile in order of (depth, splat)."""
    lane = tl.arange(0, 32)
    for i in range(begin, end, 32):
        mine = i + lane < end
        key = tl.load(keys + i + lane, mine, 0)
        slot = tl.load(slots + i + lane, mine, 0)
        place = tl.zeros([32], tl.int32)
        for j in range(begin, end, 32):
            other = tl.load(keys + j + lane, j + lane < end, 0x7FFFFFFFFFFFFFFF)
            place += tl.sum((other[:, None] < key[None, :]).to(tl.int32), 0)
        tl.store(sorted_splats + begin + place, (key & 0xFFFFFFFF).to(tl.int32), mine)
        tl.store(sorted_slots + begin + place, slot, mine)
