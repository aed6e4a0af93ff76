"""Placeholder until the kernels land."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.splat.losses import ssim


@dataclass(frozen=True, eq=False)
class Target:
    images: Tensor
    slot: Tensor
    camera: Tensor
    valid: Tensor | None
    weight: Tensor

    def over(self, background: Tensor) -> tuple[Tensor, Tensor]:
        v = self.images.index_select(0, self.slot).to(background.dtype) / 255
        a = v[..., 3]
        c = background + a[..., None] * (v[..., :3] - background)
        if self.valid is not None:
            m = self.valid.index_select(0, self.camera).to(c.dtype)
            a = a * m
            c = torch.where(m[..., None] > 0, c, background)
        return c, a


def image_terms(image, alpha, target: Target, background, color_change, dssim_weight=0.2):  # noqa
    truth, ta = target.over(background)
    if color_change is not None:
        maps = torch.eye(3, 4, device=image.device) + color_change - color_change.mean(0)
        m = maps.index_select(0, target.camera)
        image = torch.einsum("vhwc,vdc->vhwd", image, m[:, :, :3]) + alpha[..., None] * m[:, None, None, :, 3]
    x = image + (1 - alpha)[..., None] * background
    if target.valid is not None:
        mask = target.valid.index_select(0, target.camera).to(x.dtype)
        x = torch.where(mask[..., None] > 0, x, background)
        alpha = alpha * mask
    w = target.weight.index_select(0, target.camera)
    pixels = image.shape[1] * image.shape[2]
    l1 = ((x - truth).abs().mean((1, 2, 3)) * w * pixels).mean()
    s = torch.stack([1 - ssim(a, b) for a, b in zip(x, truth)])
    d = (s * w * pixels).mean()
    al = ((alpha - ta).abs().mean((1, 2)) * w * pixels).mean()
    return torch.stack([(1 - dssim_weight) * l1, dssim_weight * d, al]), x.detach()
