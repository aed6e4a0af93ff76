"""Lists of splats per tile, front to back: count, reserve, fill in any order, then rank each tile's few entries by depth.

No global sort: a tile's list is short, so counting for every entry how many of its tile lie in front of it is cheaper than moving all pairs
several times. An entry is two int64: depth bits and splat, and its slot, where the pair's gradient goes. Ties of depth go by splat, so the order does not
depend on who was written first.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.splat.gpu_project import LARGE, UNSPECIALISED, ellipse_reach, ellipse_rows, picked, row_span, take_four


@triton.jit(do_not_specialize=UNSPECIALISED)
def reserve(tile_counts, starts, cursors, totals, state, seen, rows, tiles, capacity, instances, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """Give every tile of every view a range of the lists: starts and cursors [tiles], in no particular order; totals: [pairs, handed out].

    Pairs beyond the capacity: state [2] = (1, most pairs ever wanted) is set and stays. seen [1]: the number of pairs, for the host.
    The row behind the last of `rows`: a splat that is nowhere, with which lists are filled up to whole chunks.
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
        tl.store(rows + instances * WIDTH + column, tl.where(column == 5, float("-inf"), 0.0), column < WIDTH)
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
def _put(entries, key, slot, position, hit, capacity):
    kept = tl.expand_dims(hit & (position < capacity), -1)
    tl.store(entries + 2 * tl.expand_dims(position, -1) + tl.arange(0, 2), tl.join(key, slot.to(tl.int64)), kept)


@triton.jit
def _fill_large(large, entries, cursors, key, slot, row, last_row, mx, my, a, r, k, reach, columns, capacity,
                TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """The entries of the splats marked in `large`, one splat after the other: a lane takes a row of tiles; the slots go by rows."""
    lane, next_four = tl.arange(0, BLOCK), tl.arange(0, 4)[None, :]
    while tl.max(large.to(tl.int32), 0) > 0:
        pick = lane == tl.min(tl.where(large, lane, BLOCK), 0)
        large = large & ~pick
        its_key, its_slot, end = picked(pick, key), picked(pick, slot), picked(pick, last_row)
        for top in range(picked(pick, row), end + 1, BLOCK):
            its = top + lane
            first, last = row_span(
                its, picked(pick, mx), picked(pick, my), picked(pick, a), picked(pick, r), picked(pick, k), picked(pick, reach), columns, TX, TY
            )
            last = tl.where(its <= end, last, -1)
            width = tl.maximum(last - first + 1, 0)
            shift = its_slot + tl.cumsum(width, 0) - width - first
            its_slot += tl.sum(width, 0)
            column = first
            while tl.max(last - column, 0) >= 0:
                here = column[:, None] + next_four
                hit = here <= last[:, None]
                position = tl.atomic_add(cursors + its[:, None] * columns + here, 1, hit, sem="relaxed")
                _put(entries, its_key + tl.zeros([BLOCK, 4], tl.int64), shift[:, None] + here, position, hit, capacity)
                column += 4


@triton.jit(do_not_specialize=UNSPECIALISED)
def fill(rows, first_slot, counts, cursors, entries, N, columns, tile_rows, capacity,
         WIDTH: tl.constexpr, TX: tl.constexpr, TY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Write the entry of every pair into its tile's range.

    Four places are asked for before the first is used, because each answer takes as long as a hundred instructions.
    """
    view = tl.program_id(1)
    splat = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    at = view * N + splat
    left = tl.load(counts + at, splat < N, 0)
    live = left > 0
    mx, my, a, r = take_four(rows + at * WIDTH, live)
    k, _, depth, opacity = take_four(rows + at * WIDTH + 4, live)
    a, k, depth, opacity = tl.where(live, -a, 1.0), tl.where(live, -k, 1.0), tl.where(live, depth, 1.0), tl.where(live, opacity, 1.0)
    slot = tl.load(first_slot + at, live, 0)
    key = (depth.to(tl.int32, bitcast=True).to(tl.int64) << 32) | at.to(tl.int64)
    reach = ellipse_reach(opacity)
    row, last_row = ellipse_rows(my, k, reach, tile_rows, TY)
    column, last = row_span(row, mx, my, a, r, k, reach, columns, TX, TY)
    cursors += view * tile_rows * columns
    large = left > LARGE
    _fill_large(large, entries, cursors, key, slot, row, last_row, mx, my, a, r, k, reach, columns, capacity, TX, TY, BLOCK)
    left = tl.where(large, 0, left)
    while tl.max(left, 0) > 0:
        tile0 = row * columns + column
        hit0, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        tile1 = row * columns + column
        hit1, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        tile2 = row * columns + column
        hit2, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        tile3 = row * columns + column
        hit3, left, row, column, last = _step(left, row, last_row, column, last, mx, my, a, r, k, reach, columns, TX, TY)
        position0 = tl.atomic_add(cursors + tile0, 1, hit0, sem="relaxed")
        position1 = tl.atomic_add(cursors + tile1, 1, hit1, sem="relaxed")
        position2 = tl.atomic_add(cursors + tile2, 1, hit2, sem="relaxed")
        position3 = tl.atomic_add(cursors + tile3, 1, hit3, sem="relaxed")
        _put(entries, key, slot, position0, hit0, capacity)
        slot += hit0.to(tl.int32)
        _put(entries, key, slot, position1, hit1, capacity)
        slot += hit1.to(tl.int32)
        _put(entries, key, slot, position2, hit2, capacity)
        slot += hit2.to(tl.int32)
        _put(entries, key, slot, position3, hit3, capacity)
        slot += hit3.to(tl.int32)


@triton.jit
def _places(entries, sorted_splats, sorted_slots, begin, end, EXACT: tl.constexpr):
    """Write the entries begin..end of a tile in order of depth, EXACT: of (depth, splat). Returns the sum of their places."""
    lane = tl.arange(0, 32)
    total = tl.zeros([32], tl.int32)
    for i in range(begin, end, 32):
        mine = i + lane < end
        key, slot = tl.load(entries + 2 * (i + lane), mine, 0), tl.load(entries + 2 * (i + lane) + 1, mine, 0)
        place = tl.zeros([32], tl.int32)
        for j in range(begin, end, 32):
            other = tl.load(entries + 2 * (j + lane), j + lane < end, 0x7FFFFFFFFFFFFFFF)
            if EXACT:
                place += tl.sum((other[:, None] < key[None, :]).to(tl.int32), 0)
            else:
                place += tl.sum(((other >> 32).to(tl.int32)[:, None] < (key >> 32).to(tl.int32)[None, :]).to(tl.int32), 0)
        tl.store(sorted_splats + begin + place, (key & 0xFFFFFFFF).to(tl.int32), mine)
        tl.store(sorted_slots + begin + place, slot.to(tl.int32), mine)
        total += tl.where(mine, place, 0)
    return tl.sum(total.to(tl.int64), 0)


@triton.jit
def put_in_order(entries, sorted_splats, sorted_slots, begin, end):
    """Write the entries begin..end of a tile in order of (depth, splat). Without equal depths the places by depth alone are 0, 1, 2..., else again by both."""
    count = (end - begin).to(tl.int64)
    if _places(entries, sorted_splats, sorted_slots, begin, end, False) != count * (count - 1) // 2:
        tl.debug_barrier()
        _places(entries, sorted_splats, sorted_slots, begin, end, True)
