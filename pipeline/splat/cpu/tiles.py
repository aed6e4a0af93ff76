"""Per-tile numba kernels of the CPU rasteriser: lists of splats per tile, compositing, and its gradients.

Why it is fast: one thread owns a tile, so nothing is atomic and every sum has a fixed order; the rows of a tile that a splat reaches are
one run of pixels and one vectorised loop.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numba import float32 as f4
from numba import prange

from pipeline.splat.cpu.jit import helper, kernel
from pipeline.splat.cpu.math import exp_negative
from pipeline.splat.rules import MAX_ALPHA, MIN_ALPHA, MIN_DEPTH_ALPHA, MIN_TRANSMITTANCE

TILE = 16
PLANE = TILE * TILE
CHECK = 32  # splats between two checks whether the whole tile is opaque


@partial(kernel, parallel=False)
def list_tiles(order, boxes, counts, columns, starts, splat_of, slot_of, first):
    """Counting sort of (splat, tile) pairs by tile, keeping the depth order within a tile.

    order: [N] splats front to back. Fills starts [tiles + 1], splat_of [pairs] and slot_of [pairs]: where a pair's gradient goes; those of a splat follow each
    other from first [N] on.
    """
    starts[:] = 0
    for i in order:
        if counts[i]:
            for ty in range(boxes[i, 1], boxes[i, 3]):
                for tx in range(boxes[i, 0], boxes[i, 2]):
                    starts[ty * columns + tx + 1] += 1
    for tile in range(1, len(starts)):
        starts[tile] += starts[tile - 1]
    position = starts[:-1].copy()
    for i in order:
        if counts[i]:
            slot = first[i]
            for ty in range(boxes[i, 1], boxes[i, 3]):
                for tx in range(boxes[i, 0], boxes[i, 2]):
                    place = position[ty * columns + tx]
                    position[ty * columns + tx] = place + 1
                    splat_of[place] = i
                    slot_of[place] = slot
                    slot += 1


@helper
def _span(splat, i, top):
    """First and one past the last of the tile's pixels in the rows that splat i reaches, as unsigned integers: numba then leaves out its test for
    negative indices, which would keep the pixel loops from being vectorised."""
    centre = splat[i, 1] - f4(top) - f4(0.5)
    first = int(math.ceil(max(centre - splat[i, 8], f4(0))))
    last = int(math.floor(min(centre + splat[i, 8], f4(TILE - 1))))
    return np.uint64(first * TILE), np.uint64(max(last + 1, first) * TILE)


@helper
def _shape(splat, i, left, top):
    """Mean relative to the tile's first pixel centre, the exponent's a, r, k (see cpu/project.py), and the opacity."""
    half = f4(0.5)
    return splat[i, 0] - f4(left) - half, splat[i, 1] - f4(top) - half, splat[i, 2], splat[i, 3], splat[i, 4], splat[i, 5]


@helper
def _maximum(values):
    maximum = values[0]
    for value in values:
        maximum = max(maximum, value)
    return maximum


@kernel
def draw(starts, splat_of, splat, colours, columns, background, image, alpha, depth, ends):
    """Composite front to back over background [1 or H, 1 or W, C]: image [H, W, C], alpha, depth [H, W], ends [tiles] = where each tile stopped in its list.

    colours: [N, C + 1], depth last.
    """
    height, width, channels = alpha.shape[0], alpha.shape[1], colours.shape[1]
    step_y, step_x = int(background.shape[0] > 1), int(background.shape[1] > 1)
    for tile in prange(len(ends)):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        across, down = min(TILE, width - left), min(TILE, height - top)
        xs, ys = _pixel_grid()
        transmittance, weights, planes = np.zeros(PLANE, np.float32), np.empty(PLANE, np.float32), np.zeros(PLANE * channels, np.float32)
        for y in range(down):
            for x in range(across):
                transmittance[y * TILE + x] = 1  # 0 outside of the image: nothing is drawn there
        j = starts[tile]
        while j < starts[tile + 1]:
            i = splat_of[j]
            x_mean, y_mean, a, r, k, opacity = _shape(splat, i, left, top)
            begin, end = _span(splat, i, top)
            for p in range(begin, end):
                dy = y_mean - ys[p]
                u = x_mean - xs[p] + r * dy
                value = min(f4(MAX_ALPHA), opacity * exp_negative(-(a * u * u + k * dy * dy)))
                value = value if value >= f4(MIN_ALPHA) else f4(0)
                value = value if transmittance[p] > f4(MIN_TRANSMITTANCE) else f4(0)
                weights[p] = value * transmittance[p]
                transmittance[p] -= weights[p]
            for c in range(channels):
                colour, plane = colours[i, c], np.uint64(c * PLANE)
                for p in range(begin, end):
                    planes[plane + p] += colour * weights[p]
            j += 1
            if (j - starts[tile]) % CHECK == 0 and _maximum(transmittance) <= f4(MIN_TRANSMITTANCE):
                break
        ends[tile] = j
        for y in range(down):
            for x in range(across):
                pixel = y * TILE + x
                row, column = top + y, left + x
                accumulation = f4(1) - transmittance[pixel]
                alpha[row, column] = accumulation
                for c in range(channels - 1):
                    image[row, column, c] = planes[c * PLANE + pixel] + transmittance[pixel] * background[row * step_y, column * step_x, c]
                depth[row, column] = planes[(channels - 1) * PLANE + pixel] / max(accumulation, f4(MIN_DEPTH_ALPHA))


@helper
def _pixel_grid():
    """Column and row [PLANE] of the pixels of a tile."""
    xs, ys = np.empty(PLANE, np.float32), np.empty(PLANE, np.float32)
    for p in range(PLANE):
        xs[p], ys[p] = p % TILE, p // TILE
    return xs, ys


@kernel
def draw_backward(starts, ends, splat_of, slot_of, splat, colours, columns, background, image, alpha, depth, d_image, d_alpha, d_depth, absolute, d_pairs):
    """Gradients of `draw`, one record per pair: d_pairs [pairs, 6 + C] of mean x y, a r k, opacity, colours; one more of depth where there is a d_depth;
    absolute: two more, of mean x y, absolute values summed. d_alpha, d_depth: [H, W], or [0, 0] where there is none.

    Repeats the forward pass front to back: what lies behind a splat is the final sum minus what was drawn up to it, so that nothing but the images is kept.
    """
    height, width, colour_count = d_image.shape
    channels = colour_count + int(len(d_depth) > 0)
    step_y, step_x = int(background.shape[0] > 1), int(background.shape[1] > 1)
    for tile in prange(len(ends)):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        xs, ys = _pixel_grid()
        transmittance, remaining, weights, d_weights = (
            np.zeros(PLANE, np.float32),
            np.zeros(PLANE, np.float32),
            np.empty(PLANE, np.float32),
            np.empty(PLANE, np.float32),
        )
        d_accumulation, planes, d_exponents = np.zeros(PLANE, np.float32), np.zeros(PLANE * channels, np.float32), np.empty(PLANE, np.float32)
        for y in range(min(TILE, height - top)):
            for x in range(min(TILE, width - left)):
                pixel = y * TILE + x
                row, column = top + y, left + x
                accumulation = alpha[row, column]
                transmittance[pixel] = 1
                d_total = d_alpha[row, column] if len(d_alpha) else f4(0)
                remaining_total = f4(0)
                for c in range(colour_count):
                    d_colour, base = d_image[row, column, c], background[row * step_y, column * step_x, c]
                    planes[c * PLANE + pixel] = d_colour
                    d_total -= d_colour * base
                    remaining_total += d_colour * (image[row, column, c] - (f4(1) - accumulation) * base)
                if len(d_depth):
                    d_depth_sum = d_depth[row, column] / max(accumulation, f4(MIN_DEPTH_ALPHA))
                    planes[colour_count * PLANE + pixel] = d_depth_sum
                    d_total -= d_depth_sum * depth[row, column]
                    remaining_total += d_depth_sum * depth[row, column] * accumulation
                d_accumulation[pixel] = d_total
                remaining[pixel] = remaining_total + d_total * accumulation
        for j in range(starts[tile], ends[tile]):
            i = splat_of[j]
            out = d_pairs[slot_of[j]]
            x_mean, y_mean, a, r, k, opacity = _shape(splat, i, left, top)
            begin, end = _span(splat, i, top)
            for p in range(begin, end):
                d_weights[p] = d_accumulation[p]
            for c in range(channels):
                colour, plane = colours[i, c], np.uint64(c * PLANE)
                for p in range(begin, end):
                    d_weights[p] += colour * planes[plane + p]
            m = mu = my = muu = muy = myy = f4(0)
            for p in range(begin, end):
                dy = y_mean - ys[p]
                u = x_mean - xs[p] + r * dy
                falloff = exp_negative(-(a * u * u + k * dy * dy))
                value = min(f4(MAX_ALPHA), opacity * falloff)
                value = value if value >= f4(MIN_ALPHA) else f4(0)
                value = value if transmittance[p] > f4(MIN_TRANSMITTANCE) else f4(0)
                weights[p] = value * transmittance[p]
                remaining[p] -= weights[p] * d_weights[p]
                d_value = transmittance[p] * d_weights[p] - remaining[p] / (f4(1) - value)
                transmittance[p] -= weights[p]
                d_value = d_value if value > f4(0) else f4(0)
                d_value = d_value if opacity * falloff < f4(MAX_ALPHA) else f4(0)
                g = falloff * d_value
                d_exponents[p] = g
                m += g
                mu += g * u
                my += g * dy
                muu += g * u * u
                muy += g * u * dy
                myy += g * dy * dy
            out[0], out[1] = f4(-2) * opacity * a * mu, f4(-2) * opacity * (a * r * mu + k * my)
            out[2], out[3], out[4], out[5] = -opacity * muu, f4(-2) * opacity * a * muy, -opacity * myy, m
            for c in range(channels):
                total, plane = f4(0), np.uint64(c * PLANE)
                for p in range(begin, end):
                    total += weights[p] * planes[plane + p]
                out[6 + c] = total
            if absolute:
                absolute_x = absolute_y = f4(0)
                for p in range(begin, end):
                    dy = y_mean - ys[p]
                    tilt = a * (x_mean - xs[p] + r * dy)
                    absolute_x += abs(d_exponents[p] * tilt)
                    absolute_y += abs(d_exponents[p] * (r * tilt + k * dy))
                out[6 + channels], out[7 + channels] = f4(2) * opacity * absolute_x, f4(2) * opacity * absolute_y
        for j in range(ends[tile], starts[tile + 1]):
            for c in range(d_pairs.shape[1]):
                d_pairs[slot_of[j], c] = 0
