"""Colour differences between cameras, learned: one affine map each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.training.quadratic import quadratic


def color_maps(change: Tensor) -> Tensor:
    """Maps [C, 3, 4] of camera colours: identity + change [C, 3, 4] - mean change."""
    return torch.eye(3, 4, dtype=change.dtype, device=change.device) + change - change.mean(0)


def as_taken_by(image: Tensor, alpha: Tensor, color: Tensor | None) -> Tensor:
    """Colours [H, W, 3] over black as a camera with the map [3, 4] has them: c' = A c + b, of what alpha [H, W] covers. None: as they are."""
    return image if color is None else image @ color[:, :3].T + alpha[..., None] * color[:, 3]


class CameraColor(nn.Module):
    """A 3x4 map of colour for every training camera, c' = A c + b, which begins as no change.

    Their mean over the cameras is always the identity: what all cameras share belongs to the avatar, and cameras that were not trained are shown by it as it is.
    """

    def __init__(self, cameras: int):
        super().__init__()
        self.change = nn.Parameter(torch.zeros(cameras, 3, 4))

    def maps(self) -> Tensor:
        """[C, 3, 4]."""
        return color_maps(self.change)

    def penalty(self, weight: float = 1.0) -> Tensor:
        """Weighted mean square of the change, []."""
        return quadratic(self.change, weight / self.change.numel())
