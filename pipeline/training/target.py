"""What rendered views are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Weights = tuple[float, float, float]  # of the terms l1, dssim, alpha


@dataclass(frozen=True, eq=False)
class Target:
    """What V rendered views are compared with; everything on one device. Indices are tensors, so that a CUDA graph can be replayed with others.

    Attributes:
        images: uint8 RGBA [slots, H, W, 4], foreground colour (not multiplied) and alpha.
        slot: int64 [V] into `images`. camera: int64 [V] into `valid`, `weight` and the maps of camera colours.
        valid: uint8 [C, H, W], 1 = the camera has a pixel here, 0 = padding or a border of undistortion; None = all valid.
        weight: float32 [C], 1 / number of valid pixels of the camera.
    """

    images: Tensor
    slot: Tensor
    camera: Tensor
    valid: Tensor | None
    weight: Tensor

    @staticmethod
    def of(images: Tensor) -> Target:
        """Targets for as many views as there are images, uint8 [V, H, W, 4], each of a camera of its own, all pixels valid."""
        views, height, width, _ = images.shape
        each = torch.arange(views, device=images.device)
        return Target(images, each, each, None, torch.full((views,), 1 / (height * width), device=images.device))

    def over(self, background: Tensor) -> tuple[Tensor, Tensor]:
        """Colours [V, H, W, 3] over `background` [3] and alpha [V, H, W], in its dtype; where not valid the background and 0."""
        values = self.images.index_select(0, self.slot).to(background.dtype) / 255
        alpha = values[..., 3] if self.valid is None else values[..., 3] * self.valid.index_select(0, self.camera)
        return torch.addcmul(background, alpha[..., None], values[..., :3] - background), alpha
