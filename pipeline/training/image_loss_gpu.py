"""Picture and rendering, made comparable on a GPU (Triton): which picture and which camera are numbers on the device."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_VALUES, _PIXELS = 1024, 1024  # per program


def over_background(pictures: Tensor, index: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """Colours [h, w, 3] over `background` [3] and alpha [h, w], in 0..1, of picture `index` (int64 []) of `pictures` (uint8 RGBA [P, h, w, 4])."""
    height, width = pictures.shape[1:3]
    color, alpha = background.new_empty(height, width, 3), background.new_empty(height, width)
    grid = (triton.cdiv(color.numel(), _VALUES),)
    _over_background[grid](pictures.view(torch.int32), index, background, color, alpha, height * width, BLOCK=_VALUES)
    return color, alpha


def as_camera_sees(image: Tensor, alpha: Tensor, truth_alpha: Tensor, background: Tensor, change: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
    """A rendering [H, W, 3] with the colours of a camera (`CameraColor.apply_to`) over the background, and the mean difference of the mattes, [].

    Differentiable in image, alpha and change.

    Args:
        image: [H, W, 3] over black. alpha, truth_alpha: [H, W]. background: [3]. change: [C, 3, 4], the parameter of CameraColor. camera: int64 [].
    """
    return _Seen.apply(image, alpha, truth_alpha, background, change, camera)


class _Seen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, alpha, truth_alpha, background, change, camera):  # noqa: ANN001, ANN205
        image, alpha, truth_alpha, change = (x.detach().contiguous() for x in (image, alpha, truth_alpha, change))
        programs = triton.cdiv(image.numel(), _VALUES)
        matrix, sums, difference, seen = change.new_empty(12), alpha.new_empty(programs), alpha.new_empty(()), torch.empty_like(image)
        _map_of[(1,)](change, camera, matrix, len(change))
        _compose[(programs,)](image, alpha, truth_alpha, background, matrix, seen, sums, alpha.numel(), BLOCK=_VALUES)
        _mean[(1,)](sums, difference, programs, alpha.numel(), BLOCK=1024)
        ctx.save_for_backward(image, alpha, truth_alpha, background, matrix, camera)
        ctx.cameras = len(change)
        return seen, difference

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_seen, d_difference):  # noqa: ANN001, ANN205
        *given, camera = ctx.saved_tensors
        image, alpha = given[:2]
        programs = triton.cdiv(alpha.numel(), _PIXELS)
        d_image, d_alpha, partial = torch.empty_like(image), torch.empty_like(alpha), alpha.new_empty(programs, 16)
        _compose_backward[(programs,)](*given, d_seen.contiguous(), d_difference, d_image, d_alpha, partial, alpha.numel(), BLOCK=_PIXELS)
        d_change = None
        if ctx.needs_input_grad[4]:
            d_change = alpha.new_empty(ctx.cameras, 3, 4)
            _map_backward[(1,)](partial, camera, d_change, programs, ctx.cameras, ROWS=256, num_warps=8)
        return d_image, d_alpha, None, None, d_change, None


@triton.jit(do_not_specialize=["pixels"])
def _over_background(pictures, index, background, color, alpha, pixels, BLOCK: tl.constexpr):
    """One value (of three in a pixel) per lane."""
    value = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    pixel, channel = value // 3, value % 3
    on = pixel < pixels
    rgba = tl.load(pictures + tl.load(index) * pixels + pixel, mask=on, other=0)
    a, behind = ((rgba >> 24) & 255).to(tl.float32) / 255, tl.load(background + channel)
    tl.store(color + value, behind + a * (((rgba >> (8 * channel)) & 255).to(tl.float32) / 255 - behind), mask=on)
    tl.store(alpha + pixel, a, mask=on & (channel == 0))


@triton.jit(do_not_specialize=["cameras"])
def _map_of(change, camera, matrix, cameras):
    """matrix [3, 4] = identity + the camera's change - the mean change."""
    k = tl.arange(0, 16)
    on = k < 12
    total = tl.zeros([16], tl.float32)
    for c in range(cameras):
        total += tl.load(change + 12 * c + k, mask=on, other=0.0)
    same = tl.where((k == 0) | (k == 5) | (k == 10), 1.0, 0.0)
    tl.store(matrix + k, same + tl.load(change + 12 * tl.load(camera) + k, mask=on, other=0.0) - total / cameras, mask=on)


@triton.jit(do_not_specialize=["pixels"])
def _compose(image, alpha, truth_alpha, background, matrix, seen, sums, pixels, BLOCK: tl.constexpr):
    """seen = A c + alpha b + (1 - alpha) background for the matrix (A, b), one value (of three a pixel) per lane; sums [programs] of |alpha - truth_alpha|."""
    value = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    pixel, channel = value // 3, value % 3
    on = pixel < pixels
    a, truth = tl.load(alpha + pixel, mask=on, other=0.0), tl.load(truth_alpha + pixel, mask=on, other=0.0)
    row, color, behind = matrix + 4 * channel, image + 3 * pixel, tl.load(background + channel)
    total = tl.load(row + 3) * a + (1 - a) * behind
    for k in tl.static_range(3):
        total += tl.load(row + k) * tl.load(color + k, mask=on, other=0.0)
    tl.store(seen + value, total, mask=on)
    tl.store(sums + tl.program_id(0), tl.sum(tl.where(channel == 0, tl.abs(a - truth), 0.0)))


@triton.jit(do_not_specialize=["programs", "count"])
def _mean(sums, mean, programs, count, BLOCK: tl.constexpr):
    lanes, total = tl.arange(0, BLOCK), tl.zeros([BLOCK], tl.float32)
    for start in range(0, programs, BLOCK):
        total += tl.load(sums + start + lanes, mask=start + lanes < programs, other=0.0)
    tl.store(mean, tl.sum(total) / count)


@triton.jit(do_not_specialize=["pixels"])
def _compose_backward(
    image, alpha, truth_alpha, background, matrix, d_seen, d_difference, d_image, d_alpha, partial, pixels, BLOCK: tl.constexpr
):  # fmt: skip
    """d_image, d_alpha, and partial [programs, 16]: sums for the derivative by the matrix [3, 4]."""
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = pixel < pixels
    a, truth = tl.load(alpha + pixel, mask=on, other=0.0), tl.load(truth_alpha + pixel, mask=on, other=0.0)
    color, pull, to = image + 3 * pixel, d_seen + 3 * pixel, d_image + 3 * pixel
    x, y, z = tl.load(color, mask=on, other=0.0), tl.load(color + 1, mask=on, other=0.0), tl.load(color + 2, mask=on, other=0.0)
    dx, dy, dz = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    da = tl.where(a > truth, 1.0, tl.where(a < truth, -1.0, 0.0)) * (tl.load(d_difference) / pixels)
    for k in tl.static_range(3):
        g, row, sums = tl.load(pull + k, mask=on, other=0.0), matrix + 4 * k, partial + 16 * tl.program_id(0) + 4 * k
        dx, dy, dz = dx + g * tl.load(row), dy + g * tl.load(row + 1), dz + g * tl.load(row + 2)
        da += g * (tl.load(row + 3) - tl.load(background + k))
        tl.store(sums, tl.sum(g * x))
        tl.store(sums + 1, tl.sum(g * y))
        tl.store(sums + 2, tl.sum(g * z))
        tl.store(sums + 3, tl.sum(g * a))
    tl.store(to, dx, mask=on)
    tl.store(to + 1, dy, mask=on)
    tl.store(to + 2, dz, mask=on)
    tl.store(d_alpha + pixel, da, mask=on)


@triton.jit(do_not_specialize=["programs", "cameras"])
def _map_backward(partial, camera, d_change, programs, cameras, ROWS: tl.constexpr):
    """d_change [C, 3, 4] from the sums [programs, 16]: the camera's own part, and its share in the mean."""
    k = tl.arange(0, 16)
    total = tl.zeros([ROWS, 16], tl.float32)
    for start in range(0, programs, ROWS):
        row = (start + tl.arange(0, ROWS))[:, None]
        total += tl.load(partial + 16 * row + k[None, :], mask=(row < programs) & (k[None, :] < 12), other=0.0)
    d_matrix, drawn = tl.sum(total, axis=0), tl.load(camera)
    for c in range(cameras):
        tl.store(d_change + 12 * c + k, d_matrix * (tl.where(c == drawn, 1.0, 0.0) - 1.0 / cameras), mask=k < 12)
