"""Image losses on [B, H, W, C] or [H, W, C] with values in 0..1."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.machine.backend import backend_of
from pipeline.splat.cpu import ssim as cpu_ssim
from pipeline.splat.cpu.jit import use_threads


def psnr(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio in dB over all values, peak 1."""
    return -10 * torch.log10((image - target).square().mean())


def l1(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference."""
    return (image - target).abs().mean()


def ssim(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity (Wang et al. 2004, eq. 13): 11 x 11 Gaussian window of sigma 1.5, zero padding, any device and dtype."""
    x, y = (v.reshape(-1, *v.shape[-3:]).movedim(-1, 1) for v in (image, target))
    x, y = x.reshape(-1, 1, *x.shape[2:]), y.reshape(-1, 1, *y.shape[2:])
    taps = torch.from_numpy(cpu_ssim.window()).to(x)

    def blur(v: torch.Tensor) -> torch.Tensor:
        v = torch.nn.functional.conv2d(v, taps.view(1, 1, -1, 1), padding=(cpu_ssim.RADIUS, 0))
        return torch.nn.functional.conv2d(v, taps.view(1, 1, 1, -1), padding=(0, cpu_ssim.RADIUS))

    mx, my = blur(x), blur(y)
    xx, yy, xy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = cpu_ssim.C1, cpu_ssim.C2
    return ((2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2))).mean()


def l1_dssim(image: torch.Tensor, target: torch.Tensor, weight: float = 0.2) -> torch.Tensor:
    """(1 - weight) L1 + weight (1 - SSIM), Kerbl et al. 2023 eq. 7; no gradient reaches the target.

    float32 on the CPU and on a CUDA device takes the fused kernels, everything else the torch functions above (see `backend_of`).
    """
    if image.shape != target.shape:
        raise ValueError(f"image {tuple(image.shape)} and target {tuple(target.shape)} differ in shape")
    match backend_of(image, "image_loss"):
        case "cpu":
            return _L1DSSIM.apply(image, target, weight)
        case "gpu":
            from pipeline.splat.gpu.ssim import L1DSSIM

            return L1DSSIM.apply(image, target, weight)
    target = target.detach()
    return (1 - weight) * l1(image, target) + weight * (1 - ssim(image, target))


class _L1DSSIM(torch.autograd.Function):
    """Value and gradient in one go; the backward pass only scales."""

    @staticmethod
    def forward(ctx, image, target, weight):
        use_threads()
        height, width, step = image.shape[-3:]
        pictures = [np.ascontiguousarray(v.detach().numpy(), np.float32).reshape(-1, height, width * step) for v in (image, target)]
        taps, count = cpu_ssim.window(), image.numel()
        gradient = np.empty_like(pictures[0]) if ctx.needs_input_grad[0] else None
        maps, rows = np.empty((3, *pictures[0].shape[1:]), np.float32), np.empty((len(pictures[0]), 2, height), np.float32)
        for b, (x, y) in enumerate(zip(*pictures)):
            cpu_ssim.ssim_maps(x, y, taps, step, maps, rows[b, 0], rows[b, 1])
            if gradient is not None:
                cpu_ssim.ssim_backward(x, y, taps, step, maps, np.float32((1 - weight) / count), np.float32(-weight / count), gradient[b])
        similarity, difference = rows.sum(axis=(0, 2), dtype=np.float64) / count
        ctx.gradient = None if gradient is None else torch.from_numpy(gradient).view(image.shape)
        return image.new_tensor((1 - weight) * difference + weight * (1 - similarity))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_loss):
        return None if ctx.gradient is None else ctx.gradient * d_loss, None, None
