"""Colour differences between cameras, learned: one affine map each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.training.quadratic import quadratic


class CameraColor(nn.Module):
    """A 3x4 map of colour for every training camera, c' = A c + b, which begins as no change.

    Their mean over the cameras is always the identity: what all cameras share belongs to the avatar, and cameras that were not trained are shown by it as it is.
    """

    def __init__(self, cameras: int):
        super().__init__()
        self.change = nn.Parameter(torch.zeros(cameras, 3, 4))

    def maps(self) -> Tensor:
        """[C, 3, 4]."""
        return torch.eye(3, 4, device=self.change.device) + self.change - self.change.mean(0)

    def apply_to(self, image: Tensor, alpha: Tensor, camera: int | Tensor) -> Tensor:
        """Colours as a camera sees them: image [H, W, 3] over black (so already multiplied with alpha [H, W])."""
        maps = self.maps()
        change = maps[camera] if isinstance(camera, int) else maps.index_select(0, camera.view(1))[0]  # indexing by a device tensor would wait for it
        return torch.addmm(alpha.reshape(-1, 1) * change[:, 3], image.reshape(-1, 3), change[:, :3].T).view_as(image)

    def penalty(self) -> Tensor:
        """Mean square of the change, []."""
        return quadratic(self.change, 1 / self.change.numel())
