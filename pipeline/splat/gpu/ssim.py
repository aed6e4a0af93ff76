"""L1 + D-SSIM with its gradient on a GPU (Triton): the picture is read twice, once for the value and once for the gradient.

A program walks down a strip of the picture, a lane for two neighbouring pixels of a channel. Each row goes through the horizontal half of the Gaussian window,
and the vertical half is a transposed filter in registers: eleven running sums, of which one is finished with every row. Nothing but the three maps that the
gradient filters once more is written.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from pipeline.splat.cpu.ssim import C1, C2, RADIUS, window

_TAPS = tuple(float(tap) for tap in window())
_RADIUS, _C1, _C2 = tl.constexpr(RADIUS), tl.constexpr(C1), tl.constexpr(C2)
_BLOCK, _ROWS, _WARPS = 64, 14, 2  # lanes and rows of a program: the fastest of those tried on an H200 at 550 x 802


class L1DSSIM(torch.autograd.Function):
    """(image, target [..., H, W, C], weight) -> (1 - weight) L1 + weight (1 - SSIM), []; no gradient reaches the target."""

    @staticmethod
    def forward(ctx, image, target, weight):  # noqa: ANN001, ANN205
        image, target = image.detach().contiguous(), target.detach().contiguous()
        wanted = ctx.needs_input_grad[0]
        grid, step = _grid(image), image.shape[-1]
        maps = image.new_empty(3, *image.shape) if wanted else image
        sums, loss = image.new_empty(2, grid[0] * grid[1] * grid[2]), image.new_empty(())
        size = image.shape[-3], image.shape[-2] * step
        _ssim_maps[grid](image, target, maps, sums, *size, image.numel(), STEP=step, TAPS=_TAPS, ROWS=_ROWS, MAPS=wanted, BLOCK=_BLOCK, num_warps=_WARPS)
        _mean[(1,)](sums, loss, sums.shape[1], (1 - weight) / image.numel(), weight / image.numel(), weight, BLOCK=1024)
        ctx.save_for_backward(image, target, maps)
        ctx.weight = weight
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_loss):  # noqa: ANN001, ANN205
        image, target, maps = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None, None
        gradient, count, step = torch.empty_like(image), image.numel(), image.shape[-1]
        scales, size = ((1 - ctx.weight) / count, -ctx.weight / count), (image.shape[-3], image.shape[-2] * step)
        _gradient[_grid(image)](image, target, maps, d_loss, gradient, *size, count, *scales, STEP=step, TAPS=_TAPS, ROWS=_ROWS, BLOCK=_BLOCK, num_warps=_WARPS)
        return gradient, None, None


def _grid(image: torch.Tensor) -> tuple[int, int, int]:
    height, width, step = image.shape[-3:]
    return triton.cdiv(triton.cdiv(width, 2) * step, _BLOCK), triton.cdiv(height, _ROWS), image.numel() // (height * width * step)


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
    """Which of the twelve values under the windows of a lane's two pixels lie in the picture."""
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
    """Those twelve values of a row, 0 outside of the picture."""
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
def _ssim_maps(
    image, target, maps, sums, height, width, count,
    STEP: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, MAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sums [2, programs] of SSIM and |image - target|; maps [3, count]: derivatives of SSIM by the window means of x, of x^2 (or y^2) and of x y.

    image, target: [B, height, width], width = pixels x STEP channels side by side. Zero padding outside of the picture.
    """
    column = _columns(STEP, BLOCK)
    first = tl.program_id(1) * ROWS
    last = tl.minimum(first + ROWS, height)
    inside, inside_next = column < width, column + STEP < width
    picture = tl.program_id(2) * height * width
    zero, two = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK, 2], tl.float32)
    sx = (two, two, two, two, two, two, two, two, two, two, two)
    sy, squares, products = sx, sx, sx
    similarity, difference = two, zero
    near = _near(column, width, STEP)
    for row in range(first - _RADIUS, last + _RADIUS):
        on, place = (row >= 0) & (row < height), picture + row * width + column
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
            at = picture + done * width + column
            if MAPS:
                _put_two(maps + at, STEP, 2 * inverse * (my * (a2 - a1) + mx * value * (b1 - b2)), inside, inside_next)
                _put_two(maps + count + at, STEP, -value * inverse * b1, inside, inside_next)
                _put_two(maps + 2 * count + at, STEP, 2 * a1 * inverse, inside, inside_next)
            similarity += value
            difference += tl.abs(tl.load(image + at, mask=inside, other=0.0) - tl.load(target + at, mask=inside, other=0.0))
            at += STEP
            difference += tl.abs(tl.load(image + at, mask=inside_next, other=0.0) - tl.load(target + at, mask=inside_next, other=0.0))
    own, other = tl.split(similarity)
    similarity = tl.where(inside, own, 0.0) + tl.where(inside_next, other, 0.0)
    programs = tl.num_programs(0) * tl.num_programs(1) * tl.num_programs(2)
    program = (tl.program_id(2) * tl.num_programs(1) + tl.program_id(1)) * tl.num_programs(0) + tl.program_id(0)
    tl.store(sums + program, tl.sum(similarity))
    tl.store(sums + programs + program, tl.sum(difference))


@triton.jit(do_not_specialize=["programs"])
def _mean(sums, loss, programs, by_difference, by_similarity, offset, BLOCK: tl.constexpr):
    """offset + by_difference * sum |x - y| - by_similarity * sum SSIM, of the sums [2, programs]."""
    lanes = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, programs, BLOCK):
        on = start + lanes < programs
        total -= by_similarity * tl.load(sums + start + lanes, mask=on, other=0.0)
        total += by_difference * tl.load(sums + programs + start + lanes, mask=on, other=0.0)
    tl.store(loss, offset + tl.sum(total))


@triton.jit(do_not_specialize=["height", "width", "count"])
def _gradient(
    image, target, maps, upstream, out, height, width, count, by_difference, by_similarity,
    STEP: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """out [B, height, width] = upstream x the gradient of by_difference * sum |x - y| + by_similarity * sum SSIM by the image; the rest as in `_ssim_maps`."""
    column = _columns(STEP, BLOCK)
    first = tl.program_id(1) * ROWS
    last = tl.minimum(first + ROWS, height)
    inside, inside_next = column < width, column + STEP < width
    picture = tl.program_id(2) * height * width
    scale = tl.load(upstream)
    two = tl.zeros([BLOCK, 2], tl.float32)
    sums0 = (two, two, two, two, two, two, two, two, two, two, two)
    sums1, sums2 = sums0, sums0
    near = _near(column, width, STEP)
    for row in range(first - _RADIUS, last + _RADIUS):
        on, place = (row >= 0) & (row < height), maps + picture + row * width + column
        map0, map1 = _under_window(place, near, on, STEP), _under_window(place + count, near, on, STEP)
        map2 = _under_window(place + 2 * count, near, on, STEP)
        sums0, sums1, sums2 = _slide(sums0, _across(map0, TAPS), TAPS), _slide(sums1, _across(map1, TAPS), TAPS), _slide(sums2, _across(map2, TAPS), TAPS)
        done = row - _RADIUS
        if done >= first:
            at = picture + done * width + column
            x, y = _two(image + at, STEP, inside, inside_next), _two(target + at, STEP, inside, inside_next)
            sign = tl.where(x > y, 1.0, tl.where(x < y, -1.0, 0.0))
            slope = by_difference * sign + by_similarity * (sums0[0] + 2 * x * sums1[0] + y * sums2[0])
            _put_two(out + at, STEP, scale * slope, inside, inside_next)
