"""The image loss in Triton, under Triton's interpreter, against its torch twin in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from pipeline.splat.ssim import ssim_map
from tests.unit.test_image_loss import WEIGHTS, agree, results, scene
from tests.unit.triton_interpreter import interpreted

image_loss_gpu = interpreted("pipeline.training.image_loss_gpu")
gpu_ssim = interpreted("pipeline.splat.gpu.ssim")


@pytest.mark.parametrize(("masked", "colors", "views", "size"), [(False, True, 1, (24, 17)), (True, True, 3, (15, 9)), (True, False, 2, (9, 14))])
def test_terms_and_gradients_agree_with_the_reference(masked, colors, views, size):
    agree(image_loss_gpu.image_terms_on_gpu, scene(masked=masked, colors=colors, views=views, height=size[0], width=size[1]))


def test_terms_without_gradients_are_the_same():
    s = scene(height=9, width=8, views=1)
    with torch.no_grad():
        terms, composed = image_loss_gpu.image_terms_on_gpu(s.image, s.alpha, s.target, s.background, s.change, WEIGHTS)
    with_gradients = results(image_loss_gpu.image_terms_on_gpu, s, torch.float32)
    assert torch.equal(terms.double(), with_gradients[0]) and torch.equal(composed.double(), with_gradients[1])


@pytest.mark.parametrize("shape", [(1, 31, 23, 3), (2, 9, 8, 3), (1, 1, 1, 3), (1, 5, 47, 1)])
def test_sums_and_their_gradient_equal_torch(shape):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=generator)
    target = (image + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1)
    scales, upstream = torch.tensor([0.7, 1.9][: shape[0]]), torch.tensor([2.0, 3.0])
    sums, maps = gpu_ssim.l1_dssim_sums(image, target, True)
    gradient = gpu_ssim.l1_dssim_gradient(image, target, maps, scales, upstream, 0.5, 0.25)
    wide = image.double().requires_grad_()
    expected = torch.stack([(wide - target).abs().sum((1, 2, 3)), (1 - ssim_map(wide, target.double())).sum((1, 2, 3))])
    assert_close(sums.sum(2).double(), expected.detach(), rtol=1e-5, atol=1e-6)
    (expected * torch.tensor([[2 * 0.5], [3 * 0.25]]) * scales).sum().backward()
    assert_close(gradient.double(), wide.grad, rtol=1e-4, atol=1e-5 * float(wide.grad.abs().max()))
    assert torch.equal(gpu_ssim.l1_dssim_sums(image, target, False)[0], sums)
