"""Structural similarity in plain PyTorch: the definition that the kernels in cpu/ and gpu/ follow."""

from __future__ import annotations

import numpy as np
import torch

RADIUS = 5
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


def window() -> np.ndarray:
    """The 11 taps of the Gaussian window, sum 1 (Wang et al. 2004, section III.B)."""
    taps = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    return (taps / taps.sum()).astype(np.float32)


def ssim_map(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13) of each value [V, H, W, C] in 0..1: 11 x 11 Gaussian window, zero padding, any device and dtype."""
    views, height, width, channels = image.shape
    x, y = (v.movedim(-1, 1).reshape(-1, 1, height, width) for v in (image, target))
    taps = torch.from_numpy(window()).to(x)

    def blur(v: torch.Tensor) -> torch.Tensor:
        v = torch.nn.functional.conv2d(v, taps.view(1, 1, -1, 1), padding=(RADIUS, 0))
        return torch.nn.functional.conv2d(v, taps.view(1, 1, 1, -1), padding=(0, RADIUS))

    mx, my = blur(x), blur(y)
    xx, yy, xy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    similarity = (2 * mx * my + C1) * (2 * xy + C2) / ((mx * mx + my * my + C1) * (xx + yy + C2))
    return similarity.view(views, channels, height, width).movedim(1, -1)
