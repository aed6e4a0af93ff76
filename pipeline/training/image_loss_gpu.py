"""`image_terms` on a GPU (Triton), for all views of a step together: four launches forward and three backward.

Which images and which cameras are numbers on the device. Sums are made in a fixed order, so that results are equal to the bit from run to run.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.splat.gpu.ssim import l1_dssim_gradient, l1_dssim_sums
from pipeline.training.target import Target, Weights

_VALUES, _PIXELS = 1024, 1024  # per program


def image_terms_on_gpu(
    image: Tensor, alpha: Tensor, target: Target, background: Tensor, color_change: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor]:
    """See `image_terms`; float32."""
    return _ImageTerms.apply(image, alpha, color_change, target, background, weights)


class _ImageTerms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, alpha, change, target, background, weights):
        image, alpha, background = (x.detach().contiguous() for x in (image, alpha, background))
        slot, camera = target.slot.contiguous(), target.camera.contiguous()
        views, height, width, _ = image.shape
        pixels, programs = height * width, triton.cdiv(3 * height * width, _VALUES)
        with_maps = change is not None
        maps = image.new_empty(views, 12) if with_maps else image
        if with_maps:
            _maps[(views,)](change.detach().contiguous(), camera, maps, len(change))
        composed, color, alpha_sums = torch.empty_like(image), torch.empty_like(image), image.new_empty(views, programs)
        flags = {"MAPS": with_maps, "MASK": target.valid is not None}
        inputs = image, alpha, target.images.view(torch.int32), slot, camera, image if target.valid is None else target.valid, background, maps
        _compose[(programs, views)](*inputs, composed, color, alpha_sums, pixels, **flags, BLOCK=_VALUES)
        sums, ssim_maps = l1_dssim_sums(composed, color, any(ctx.needs_input_grad[:3]))
        terms, scales = image.new_empty(3), image.new_empty(views)
        by_l1, by_dssim, by_alpha = weights[0] / (3 * views), weights[1] / (3 * views), weights[2] / views
        _terms[(1,)](sums, alpha_sums, camera, target.weight, terms, scales, views, sums.shape[2], programs, by_l1, by_dssim, by_alpha, BLOCK=1024)
        ctx.save_for_backward(*inputs, composed, color, ssim_maps, scales)
        ctx.settings = by_l1, by_dssim, by_alpha, flags, len(change) if with_maps else 0
        ctx.mark_non_differentiable(composed)
        return terms, composed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_terms, _):
        *inputs, composed, color, ssim_maps, scales = ctx.saved_tensors
        by_l1, by_dssim, by_alpha, flags, cameras = ctx.settings
        image, alpha, camera = inputs[0], inputs[1], inputs[4]
        views, pixels = len(image), alpha[0].numel()
        programs = triton.cdiv(pixels, _PIXELS)
        d_composed = l1_dssim_gradient(composed, color, ssim_maps, scales, d_terms, by_l1, by_dssim)
        d_image, d_alpha, partial = torch.empty_like(image), torch.empty_like(alpha), image.new_empty(views, programs, 16) if cameras else image
        _compose_backward[(programs, views)](
            *inputs, d_composed, scales, d_terms, d_terms.stride(0), by_alpha, d_image, d_alpha, partial, pixels, **flags, BLOCK=_PIXELS
        )
        d_change = None
        if ctx.needs_input_grad[2]:
            d_change = image.new_empty(cameras, 3, 4)
            _maps_backward[(cameras,)](partial, camera, d_change, views, programs, cameras, ROWS=256, num_warps=8)
        return d_image, d_alpha, d_change, None, None, None


@triton.jit(do_not_specialize=["cameras"])
def _maps(change, camera, maps, cameras):
    """maps [V, 3, 4] = identity + change of the view's camera - mean change, one view per program."""
    k, view = tl.arange(0, 16), tl.program_id(0)
    on = k < 12
    total = tl.zeros([16], tl.float32)
    for c in range(cameras):
        total += tl.load(change + 12 * c + k, mask=on, other=0.0)
    same = tl.where((k == 0) | (k == 5) | (k == 10), 1.0, 0.0)
    own = tl.load(change + 12 * tl.load(camera + view) + k, mask=on, other=0.0)
    tl.store(maps + 12 * view + k, same + own - total / cameras, mask=on)


@triton.jit(do_not_specialize=["pixels"])
def _compose(
    image, alpha, images, slot, camera, valid, background, maps, composed, color, alpha_sums, pixels,
    MAPS: tl.constexpr, MASK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """composed = A c + alpha b + (1 - alpha) background for the map (A, b) of the view, color = the target over the background; alpha_sums [V, programs] of
    |alpha - target alpha|. One value (of three a pixel) per lane; grid (programs, views)."""
    view, value = tl.program_id(1), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    pixel, channel = value // 3, value % 3
    on = pixel < pixels
    rgba = tl.load(images + tl.load(slot + view) * pixels + pixel, mask=on, other=0)
    target_alpha, base = ((rgba >> 24) & 255).to(tl.float32) / 255, tl.load(background + channel)
    target = base + target_alpha * (((rgba >> (8 * channel)) & 255).to(tl.float32) / 255 - base)
    a = tl.load(alpha + view * pixels + pixel, mask=on, other=0.0)
    total, difference = (1 - a) * base, tl.abs(a - target_alpha)
    image += view * pixels * 3
    if MAPS:
        row = maps + 12 * view + 4 * channel
        total += tl.load(row + 3) * a
        for k in tl.static_range(3):
            total += tl.load(row + k) * tl.load(image + 3 * pixel + k, mask=on, other=0.0)
    else:
        total += tl.load(image + value, mask=on, other=0.0)
    if MASK:
        keep = tl.load(valid + tl.load(camera + view) * pixels + pixel, mask=on, other=0) > 0
        total, target, difference = tl.where(keep, total, base), tl.where(keep, target, base), tl.where(keep, difference, 0.0)
    tl.store(composed + view * pixels * 3 + value, total, mask=on)
    tl.store(color + view * pixels * 3 + value, target, mask=on)
    tl.store(alpha_sums + view * tl.num_programs(0) + tl.program_id(0), tl.sum(tl.where(channel == 0, difference, 0.0)))


@triton.jit(do_not_specialize=["views", "ssim_parts", "alpha_parts"])
def _terms(
    sums, alpha_sums, camera, weight, terms, scales, views, ssim_parts, alpha_parts, by_l1, by_dssim, by_alpha, BLOCK: tl.constexpr
):  # fmt: skip
    """terms [3] of the sums [2, V, ssim_parts] of `l1_dssim_sums` and [V, alpha_parts]; scales [V]: the weight of each view's camera."""
    lanes = tl.arange(0, BLOCK)
    l1, dssim, alpha = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for view in range(views):
        scale = tl.load(weight + tl.load(camera + view))
        tl.store(scales + view, scale)
        for start in range(0, ssim_parts, BLOCK):
            at, on = view * ssim_parts + start + lanes, start + lanes < ssim_parts
            l1 += scale * tl.load(sums + at, mask=on, other=0.0)
            dssim += scale * tl.load(sums + views * ssim_parts + at, mask=on, other=0.0)
        for start in range(0, alpha_parts, BLOCK):
            alpha += scale * tl.load(alpha_sums + view * alpha_parts + start + lanes, mask=start + lanes < alpha_parts, other=0.0)
    tl.store(terms, by_l1 * tl.sum(l1))
    tl.store(terms + 1, by_dssim * tl.sum(dssim))
    tl.store(terms + 2, by_alpha * tl.sum(alpha))


@triton.jit(do_not_specialize=["stride", "pixels"])
def _compose_backward(
    image, alpha, images, slot, camera, valid, background, maps, d_composed, scales, d_terms, stride, by_alpha, d_image, d_alpha, partial, pixels,
    MAPS: tl.constexpr, MASK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """d_image, d_alpha, and partial [V, programs, 16]: sums for the derivative by the maps [V, 3, 4]. One pixel per lane; grid (programs, views)."""
    view, pixel = tl.program_id(1), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = pixel < pixels
    at = view * pixels + pixel
    live = on
    if MASK:
        live = on & (tl.load(valid + tl.load(camera + view) * pixels + pixel, mask=on, other=0) > 0)
    a = tl.load(alpha + at, mask=on, other=0.0)
    target_alpha = ((tl.load(images + tl.load(slot + view) * pixels + pixel, mask=on, other=0) >> 24) & 255).to(tl.float32) / 255
    da = tl.where(a > target_alpha, 1.0, tl.where(a < target_alpha, -1.0, 0.0)) * (tl.load(d_terms + 2 * stride) * tl.load(scales + view) * by_alpha)
    if MAPS:
        color = image + 3 * at
        x, y, z = tl.load(color, mask=live, other=0.0), tl.load(color + 1, mask=live, other=0.0), tl.load(color + 2, mask=live, other=0.0)
        dx, dy, dz = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(3):
        g = tl.load(d_composed + 3 * at + k, mask=live, other=0.0)
        da -= g * tl.load(background + k)
        if MAPS:
            row, sums = maps + 12 * view + 4 * k, partial + 16 * (view * tl.num_programs(0) + tl.program_id(0)) + 4 * k
            dx, dy, dz = dx + g * tl.load(row), dy + g * tl.load(row + 1), dz + g * tl.load(row + 2)
            da += g * tl.load(row + 3)
            tl.store(sums, tl.sum(g * x))
            tl.store(sums + 1, tl.sum(g * y))
            tl.store(sums + 2, tl.sum(g * z))
            tl.store(sums + 3, tl.sum(g * a))
        else:
            tl.store(d_image + 3 * at + k, g, mask=on)
    if MAPS:
        tl.store(d_image + 3 * at, dx, mask=on)
        tl.store(d_image + 3 * at + 1, dy, mask=on)
        tl.store(d_image + 3 * at + 2, dz, mask=on)
    tl.store(d_alpha + at, tl.where(live, da, 0.0), mask=on)


@triton.jit(do_not_specialize=["views", "programs", "cameras"])
def _maps_backward(partial, camera, d_change, views, programs, cameras, ROWS: tl.constexpr):
    """d_change [C, 3, 4] from the sums [V, programs, 16], one camera per program: its own views, and its share in the mean of every view."""
    k, own = tl.arange(0, 16), tl.program_id(0)
    total = tl.zeros([ROWS, 16], tl.float32)
    for view in range(views):
        share = tl.where(tl.load(camera + view) == own, 1.0, 0.0) - 1.0 / cameras
        for start in range(0, programs, ROWS):
            row = (start + tl.arange(0, ROWS))[:, None]
            total += share * tl.load(partial + 16 * (view * programs + row) + k[None, :], mask=(row < programs) & (k[None, :] < 12), other=0.0)
    tl.store(d_change + 12 * own + k, tl.sum(total, axis=0), mask=k < 12)
