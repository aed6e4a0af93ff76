"""L1 and D-SSIM with their gradient on a GPU (Triton): the images are read twice, once for the values and once for the gradient.

A program walks down a strip of the image, a lane for two neighbouring pixels of a channel. Each row goes through the horizontal half of the Gaussian window,
and the vertical half is a transposed filter in registers: eleven running sums, of which one is finished with every row. Nothing but the three maps that the
gradient filters once more is written.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.splat.ssim import C1, C2, RADIUS, window

_TAPS = tuple(float(tap) for tap in window())
_RADIUS, _C1, _C2 = tl.constexpr(RADIUS), tl.constexpr(C1), tl.constexpr(C2)
_BLOCK, _ROWS, _WARPS = 64, 14, 2  # lanes and rows of a program: the fastest of those tried on an H200 at 550 x 802


def l1_dssim_sums(image: Tensor, target: Tensor, with_maps: bool) -> tuple[Tensor, Tensor]:
    """Sums of |image - target| and of 1 - SSIM over each view's values, in parts still to be added: [2, V, parts]; and maps for `l1_dssim_gradient`.

    Args:
        image, target: float32 [V, H, W, C], contiguous.
    """
    views, height, width, channels = image.shape
    grid = _grid(image)
    maps = image.new_empty(3, *image.shape) if with_maps else image
    sums = image.new_empty(2, views, grid[0] * grid[1])
    _sums_and_maps[grid](
        image,
        target,
        maps,
        sums,
        height,
        width * channels,
        image.numel(),
        STEP=channels,
        TAPS=_TAPS,
        ROWS=_ROWS,
        MAPS=with_maps,
        BLOCK=_BLOCK,
        num_warps=_WARPS,
    )
    return sums, maps


def l1_dssim_gradient(image: Tensor, target: Tensor, maps: Tensor, scales: Tensor, upstream: Tensor, by_l1: float, by_dssim: float) -> Tensor:
    """Gradient by the image of sum_v scales[v] (upstream[0] by_l1 sum |image - target| + upstream[1] by_dssim sum (1 - SSIM)).

    Args:
        maps: of `l1_dssim_sums`. scales: float32 [V]. upstream: float32 [at least 2], of any stride.
    """
    _, height, width, channels = image.shape
    gradient = torch.empty_like(image)
    _gradient[_grid(image)](
        image, target, maps, scales, upstream, upstream.stride(0), gradient, height, width * channels, image.numel(), by_l1, by_dssim,
        STEP=channels, TAPS=_TAPS, ROWS=_ROWS, BLOCK=_BLOCK, num_warps=_WARPS,
    )  # fmt: skip
    return gradient


def _grid(image: Tensor) -> tuple[int, int, int]:
    views, height, width, channels = image.shape
    return triton.cdiv(triton.cdiv(width, 2) * channels, _BLOCK), triton.cdiv(height, _ROWS), views


@triton.jit
def _columns(STEP: tl.constexpr, BLOCK: tl.constexpr):
    """The first one of the two values of each lane; the second is its neighbour pixel's, so that both share all but one of the values under their windows."""
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return lane // STEP * (2 * STEP) + lane % STEP


@triton.jit
def _two(row, STEP: tl.constexpr, on, on_next):
    return tl.join(tl.load(row, mask=on, other=0.0), tl.load(row + STEP, mask=on_next, other=0.0))


@triton.jit
def _put_two(row, STEP: tl.constexpr, values, on, on_next):
    own, other = tl.split(values)
    tl.store(row, own, mask=on)
    tl.store(row + STEP, other, mask=on_next)


@triton.jit
def _near(column, width, STEP: tl.constexpr):
    """Which of the twelve values under the windows of a lane's two pixels lie in the image."""
    return (
        (column >= 5 * STEP) & (column - 5 * STEP < width),
        (column >= 4 * STEP) & (column - 4 * STEP < width),
        (column >= 3 * STEP) & (column - 3 * STEP < width),
        (column >= 2 * STEP) & (column - 2 * STEP < width),
        (column >= STEP) & (column - STEP < width),
        column < width,
        column + STEP < width,
        column + 2 * STEP < width,
        column + 3 * STEP < width,
        column + 4 * STEP < width,
        column + 5 * STEP < width,
        column + 6 * STEP < width,
    )


@triton.jit
def _under_window(place, near, on, STEP: tl.constexpr):
    """Those twelve values of a row, 0 outside of the image."""
    return (
        tl.load(place - 5 * STEP, mask=on & near[0], other=0.0),
        tl.load(place - 4 * STEP, mask=on & near[1], other=0.0),
        tl.load(place - 3 * STEP, mask=on & near[2], other=0.0),
        tl.load(place - 2 * STEP, mask=on & near[3], other=0.0),
        tl.load(place - STEP, mask=on & near[4], other=0.0),
        tl.load(place, mask=on & near[5], other=0.0),
        tl.load(place + STEP, mask=on & near[6], other=0.0),
        tl.load(place + 2 * STEP, mask=on & near[7], other=0.0),
        tl.load(place + 3 * STEP, mask=on & near[8], other=0.0),
        tl.load(place + 4 * STEP, mask=on & near[9], other=0.0),
        tl.load(place + 5 * STEP, mask=on & near[10], other=0.0),
        tl.load(place + 6 * STEP, mask=on & near[11], other=0.0),
    )


@triton.jit
def _across(u, taps: tl.constexpr):
    """Horizontal half of the window for both pixels, [BLOCK, 2]."""
    own, other = taps[0] * u[0], taps[0] * u[1]
    for k in tl.static_range(1, 11):
        own, other = own + taps[k] * u[k], other + taps[k] * u[k + 1]
    return tl.join(own, other)


@triton.jit
def _across_products(u, v, taps: tl.constexpr):
    """`_across` of u v."""
    product = u[0] * v[0]
    own, other = taps[0] * product, tl.zeros_like(product)
    for k in tl.static_range(1, 11):
        product = u[k] * v[k]
        own, other = own + taps[k] * product, other + taps[k - 1] * product
    return tl.join(own, other + taps[10] * (u[11] * v[11]))


@triton.jit
def _across_squares(u, v, taps: tl.constexpr):
    """`_across` of u u + v v."""
    square = u[0] * u[0] + v[0] * v[0]
    own, other = taps[0] * square, tl.zeros_like(square)
    for k in tl.static_range(1, 11):
        square = u[k] * u[k] + v[k] * v[k]
        own, other = own + taps[k] * square, other + taps[k - 1] * square
    return tl.join(own, other + taps[10] * (u[11] * u[11] + v[11] * v[11]))


@triton.jit
def _slide(sums, value, taps: tl.constexpr):
    """Eleven running sums after one more row: each moves on by a row, the first one is finished, the last one new."""
    return (
        sums[1] + taps[0] * value,
        sums[2] + taps[1] * value,
        sums[3] + taps[2] * value,
        sums[4] + taps[3] * value,
        sums[5] + taps[4] * value,
        sums[6] + taps[5] * value,
        sums[7] + taps[6] * value,
        sums[8] + taps[7] * value,
        sums[9] + taps[8] * value,
        sums[10] + taps[9] * value,
        taps[10] * value,
    )


@triton.jit(do_not_specialize=["height", "width", "count"])
def _sums_and_maps(
    image, target, maps, sums, height, width, count,
    STEP: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, MAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sums [2, V, programs of a view] of |image - target| and 1 - SSIM; maps [3, count]: derivatives of SSIM by the window means of x, x^2 (or y^2) and x y.

    image, target: [V, height, width], width = pixels x STEP channels side by side. Zero padding outside of the image.
    """
    column = _columns(STEP, BLOCK)
    first = tl.program_id(1) * ROWS
    last = tl.minimum(first + ROWS, height)
    inside, inside_next = column < width, column + STEP < width
    origin = tl.program_id(2) * height * width
    zero, two = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK, 2], tl.float32)
    sx = (two, two, two, two, two, two, two, two, two, two, two)
    sy, squares, products = sx, sx, sx
    absolute, dissimilar = zero, two
    near = _near(column, width, STEP)
    for row in range(first - _RADIUS, last + _RADIUS):
        on, place = (row >= 0) & (row < height), origin + row * width + column
        u, v = _under_window(image + place, near, on, STEP), _under_window(target + place, near, on, STEP)
        sx, sy = _slide(sx, _across(u, TAPS), TAPS), _slide(sy, _across(v, TAPS), TAPS)
        squares, products = _slide(squares, _across_squares(u, v, TAPS), TAPS), _slide(products, _across_products(u, v, TAPS), TAPS)
        done = row - _RADIUS
        if done >= first:
            mx, my = sx[0], sy[0]
            a1, a2 = 2 * mx * my + _C1, 2 * (products[0] - mx * my) + _C2
            b1, b2 = mx * mx + my * my + _C1, squares[0] - mx * mx - my * my + _C2
            inverse = 1 / (b1 * b2)
            value = a1 * a2 * inverse
            at = origin + done * width + column
            if MAPS:
                _put_two(maps + at, STEP, 2 * inverse * (my * (a2 - a1) + mx * value * (b1 - b2)), inside, inside_next)
                _put_two(maps + count + at, STEP, -value * inverse * b1, inside, inside_next)
                _put_two(maps + 2 * count + at, STEP, 2 * a1 * inverse, inside, inside_next)
            dissimilar += 1 - value
            absolute += tl.abs(tl.load(image + at, mask=inside, other=0.0) - tl.load(target + at, mask=inside, other=0.0))
            at += STEP
            absolute += tl.abs(tl.load(image + at, mask=inside_next, other=0.0) - tl.load(target + at, mask=inside_next, other=0.0))
    own, other = tl.split(dissimilar)
    dissimilar = tl.where(inside, own, 0.0) + tl.where(inside_next, other, 0.0)
    programs = tl.num_programs(0) * tl.num_programs(1)
    out = sums + tl.program_id(2) * programs + tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    tl.store(out, tl.sum(absolute))
    tl.store(out + tl.num_programs(2) * programs, tl.sum(dissimilar))


@triton.jit(do_not_specialize=["stride", "height", "width", "count"])
def _gradient(
    image, target, maps, scales, upstream, stride, out, height, width, count, by_l1, by_dssim,
    STEP: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """out [V, height, width]: see `l1_dssim_gradient`; the rest as in `_sums_and_maps`."""
    column = _columns(STEP, BLOCK)
    first = tl.program_id(1) * ROWS
    last = tl.minimum(first + ROWS, height)
    inside, inside_next = column < width, column + STEP < width
    origin = tl.program_id(2) * height * width
    scale = tl.load(scales + tl.program_id(2))
    l1_scale, dssim_scale = scale * by_l1 * tl.load(upstream), scale * by_dssim * tl.load(upstream + stride)
    two = tl.zeros([BLOCK, 2], tl.float32)
    sums0 = (two, two, two, two, two, two, two, two, two, two, two)
    sums1, sums2 = sums0, sums0
    near = _near(column, width, STEP)
    for row in range(first - _RADIUS, last + _RADIUS):
        on, place = (row >= 0) & (row < height), maps + origin + row * width + column
        map0, map1 = _under_window(place, near, on, STEP), _under_window(place + count, near, on, STEP)
        map2 = _under_window(place + 2 * count, near, on, STEP)
        sums0, sums1, sums2 = _slide(sums0, _across(map0, TAPS), TAPS), _slide(sums1, _across(map1, TAPS), TAPS), _slide(sums2, _across(map2, TAPS), TAPS)
        done = row - _RADIUS
        if done >= first:
            at = origin + done * width + column
            x, y = _two(image + at, STEP, inside, inside_next), _two(target + at, STEP, inside, inside_next)
            sign = tl.where(x > y, 1.0, tl.where(x < y, -1.0, 0.0))
            _put_two(out + at, STEP, l1_scale * sign - dssim_scale * (sums0[0] + 2 * x * sums1[0] + y * sums2[0]), inside, inside_next)
