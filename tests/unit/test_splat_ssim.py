"""What SSIM must be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pipeline.splat.ssim import ssim_map


def test_ssim_is_local_correlation_of_the_window():
    """Equal images give 1; otherwise weighted covariances taken pixel by pixel, the window cut off by zeros at the border."""
    image = torch.rand(17, 14, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = (image + 0.2 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    assert_close(ssim_map(image[None], image[None]), torch.ones(1, 17, 14, 2, dtype=torch.float64))
    similarity = ssim_map(image[None], target[None])[0]
    offsets = np.arange(-5, 6)
    taps = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    x, y = (np.pad(v.numpy(), ((5, 5), (5, 5), (0, 0))) for v in (image, target))
    for row, column, channel in np.ndindex(17, 14, 2):
        a, b = x[row : row + 11, column : column + 11, channel], y[row : row + 11, column : column + 11, channel]
        ma, mb = (taps * a).sum(), (taps * b).sum()
        va, vb, cov = (taps * a * a).sum() - ma**2, (taps * b * b).sum() - mb**2, (taps * a * b).sum() - ma * mb
        expected = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
        assert similarity[row, column, channel].item() == pytest.approx(expected, abs=1e-6)
