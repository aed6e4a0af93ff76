"""The fused loss against its torch twin, and the twin against what SSIM and PSNR must be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.splat.losses import l1, l1_dssim, psnr, ssim


def pair(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    image = torch.rand(shape, generator=g)
    return image, (image + 0.2 * torch.randn(shape, generator=g)).clamp(0, 1)


@pytest.mark.parametrize("shape", [(37, 29, 3), (2, 16, 40, 3), (1, 1, 3), (5, 3, 1), (12, 13, 4)])
def test_fused_loss_equals_torch(shape):
    image, target = pair(*shape)
    image.requires_grad_()
    wide = image.detach().double().requires_grad_()
    fused, twin = 3 * l1_dssim(image, target), 3 * (0.8 * l1(wide, target) + 0.2 * (1 - ssim(wide, target.double())))
    fused.backward()
    twin.backward()
    assert fused.item() == pytest.approx(twin.item(), abs=1e-5)
    torch.testing.assert_close(image.grad.double(), wide.grad, rtol=1e-4, atol=1e-5 * wide.grad.abs().max().item())


def test_fused_loss_on_equal_and_flat_pictures():
    image = torch.full((20, 20, 3), 0.3, requires_grad=True)
    loss = l1_dssim(image, image.detach())
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert image.grad.abs().max() < 1e-6


def test_twin_gradient():
    image, target = pair(4, 3, 1)
    assert torch.autograd.gradcheck(lambda x: l1_dssim(x, target.double()), [image.double().requires_grad_()])


def test_ssim_is_local_correlation_of_the_window():
    """Equal pictures give 1; otherwise weighted covariances taken pixel by pixel, the window cut off by zeros at the rim."""
    image, target = (x.double() for x in pair(17, 14, 1))
    assert ssim(image, image).item() == pytest.approx(1, abs=1e-12)
    offsets = np.arange(-5, 6)
    taps = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    x, y = (np.pad(v[..., 0].numpy(), 5) for v in (image, target))
    total = 0.0
    for row, column in np.ndindex(17, 14):
        a, b = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
        ma, mb = (taps * a).sum(), (taps * b).sum()
        va, vb, cov = (taps * a * a).sum() - ma**2, (taps * b * b).sum() - mb**2, (taps * a * b).sum() - ma * mb
        total += (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    assert ssim(image, target).item() == pytest.approx(total / (17 * 14), abs=1e-6)


def test_psnr():
    assert psnr(torch.zeros(4, 4, 3), torch.full((4, 4, 3), 0.1)).item() == pytest.approx(20, abs=1e-4)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        l1_dssim(torch.zeros(4, 4, 3), torch.zeros(4, 5, 3))
