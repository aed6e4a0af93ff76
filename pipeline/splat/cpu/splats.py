"""Per-splat numba kernels of the CPU rasteriser: everything before the tiles in one pass, everything after them in another.

Few, long passes: each start of a parallel pass waits for all threads, which is expensive where other work shares the cores.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numba import float32 as f4
from numba import prange

from pipeline.splat.cpu.jit import MATH, helper, kernel
from pipeline.splat.cpu.project import project_splat, project_splat_backward
from pipeline.splat.cpu.shade import shade_splat, shade_splat_backward
from pipeline.splat.cpu.tiles import TILE

BLOCK = 128  # splats handled together by one thread; sums over splats are made per block, so they do not depend on the number of threads


@partial(kernel, fastmath=MATH)
def prepare(camera, means, quats, log_scales, opacities, colour, active, screen, columns, rows, splat, radii, colours, boxes, counts):
    """Project and shade all splats and find the tiles that their bounding boxes touch.

    colour: [N, K, 3] SH of which `active` coefficients are used, or [N, 1, C] features with active = 0. screen: [N, 2] or [0, 2].
    Fills radii [N] and counts [N] (tiles); for splats that are drawn also splat [N, SPLAT], colours [N, C + 1] (depth last) and
    boxes [N, 4] = x0, y0, x1, y1 in tiles (ends excluded).
    """
    count = len(means)
    for block in prange((count + BLOCK - 1) // BLOCK):
        basis = np.empty(16, np.float32)
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            shift_x, shift_y = (screen[i, 0], screen[i, 1]) if len(screen) else (f4(0), f4(0))
            radii[i] = project_splat(camera, means[i], quats[i], log_scales[i], opacities[i], shift_x, shift_y, splat[i])
            counts[i] = 0
            if radii[i] == 0:
                continue
            counts[i] = _box(splat[i], columns, rows, boxes[i])
            if active:
                shade_splat(camera, means[i], colour[i], active, basis, colours[i])
            else:
                for k in range(colour.shape[2]):
                    colours[i, k] = colour[i, 0, k]
            colours[i, -1] = splat[i, 6]


@partial(helper, fastmath=MATH)
def _box(splat, columns, rows, box):
    """Fill box [4] with the tiles that the splat's extent touches; their number."""
    size, low = f4(TILE), f4(0)
    # clamped before the conversion: a huge extent does not fit an integer
    box[0], box[2] = int(max((splat[0] - splat[7]) / size, low)), int(math.ceil(min((splat[0] + splat[7]) / size, f4(columns))))
    box[1], box[3] = int(max((splat[1] - splat[8]) / size, low)), int(math.ceil(min((splat[1] + splat[8]) / size, f4(rows))))
    return (box[2] - box[0]) * (box[3] - box[1])


@partial(kernel, fastmath=MATH)
def prepare_backward(camera, means, quats, log_scales, colour, active, radii, splat, colours, first, counts, d_pairs, has_depth,
                    d_means, d_quats, d_log_scales, d_opacities, d_colour, d_screen, d_camera):  # fmt: skip
    """Gradients of `prepare` from those of the (splat, tile) pairs, which are summed first: d_pairs as of `tiles.draw_backward`, splat i's from first[i] on.

    Writes into zeros: d_means, d_quats, d_log_scales, d_opacities, d_colour (shape of colour), d_screen [N, 2 or 4] and d_camera [blocks, 15]
    (R row-major, t, camera centre).
    """
    count, width, channels = len(means), d_pairs.shape[1], colour.shape[2]
    absolute = 6 + channels + int(has_depth)
    for block in prange((count + BLOCK - 1) // BLOCK):
        basis, weight, g = np.empty(16, np.float32), np.empty(16, np.float32), np.empty(width, np.float32)
        pose = d_camera[block]
        for i in range(block * BLOCK, min(count, block * BLOCK + BLOCK)):
            if radii[i] == 0:
                continue
            for k in range(width):
                g[k] = 0
            for slot in range(first[i], first[i] + counts[i]):
                for k in range(width):
                    g[k] += d_pairs[slot, k]
            d_screen[i, 0], d_screen[i, 1] = g[0], g[1]
            for k in range(absolute, width):
                d_screen[i, 2 + k - absolute] = g[k]
            d_depth = g[6 + channels] if has_depth else f4(0)
            d_opacities[i] = project_splat_backward(
                camera, means[i], quats[i], log_scales[i], splat[i], g, d_depth, d_means[i], d_quats[i], d_log_scales[i], pose
            )
            if active:
                shade_splat_backward(camera, means[i], colour[i], active, basis, weight, colours[i], g[6:], d_colour[i], d_means[i], pose[12:])
            else:
                for k in range(6, 6 + channels):
                    d_colour[i, 0, k - 6] = g[k]
