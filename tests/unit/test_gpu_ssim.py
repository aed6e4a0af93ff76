"""The Triton loss, under Triton's interpreter, against its torch twin in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from pipeline.splat.losses import l1, ssim
from tests.unit.triton_interpreter import interpreted

gpu_ssim = interpreted("pipeline.splat.gpu.ssim")


@pytest.mark.parametrize("shape", [(31, 23, 3), (2, 16, 8, 3), (1, 1, 3), (5, 47, 1)])
def test_loss_equals_torch(shape):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=generator).requires_grad_()
    target = (image.detach() + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1)
    wide = image.detach().double().requires_grad_()
    fused, twin = 3 * gpu_ssim.L1DSSIM.apply(image, target, 0.2), 3 * (0.8 * l1(wide, target.double()) + 0.2 * (1 - ssim(wide, target.double())))
    fused.backward()
    twin.backward()
    assert fused.item() == pytest.approx(twin.item(), rel=1e-5)
    assert_close(image.grad.double(), wide.grad, rtol=1e-4, atol=1e-5 * float(wide.grad.abs().max()))


def test_value_alone_equals_value_with_gradient():
    image, target = torch.rand(9, 20, 3), torch.rand(9, 20, 3)
    assert torch.equal(gpu_ssim.L1DSSIM.apply(image, target, 0.3), gpu_ssim.L1DSSIM.apply(image.requires_grad_(), target, 0.3))
