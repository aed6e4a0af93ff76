"""Pictures and renderings made comparable in Triton, under Triton's interpreter, against torch in double precision."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from pipeline.training.camera_color import CameraColor
from tests.unit.triton_interpreter import interpreted

compare_gpu = interpreted("pipeline.training.image_loss_gpu")


def test_a_picture_of_the_stack_lies_over_the_background():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (3, 30, 23, 4), dtype=torch.uint8, generator=generator)
    background = torch.tensor([0.2, 0.9, 0.5])
    color, alpha = compare_gpu.over_background(pictures, torch.tensor(2), background)
    values = pictures[2].double() / 255
    assert_close(alpha.double(), values[..., 3], rtol=1e-6, atol=1e-7)
    assert_close(color.double(), values[..., :3] * values[..., 3:] + (1 - values[..., 3:]) * background.double(), rtol=1e-6, atol=1e-7)


def test_rendering_as_a_camera_sees_it_and_its_gradients():
    generator = torch.Generator().manual_seed(1)
    truth_alpha, background = torch.rand(30, 23, generator=generator), torch.tensor([0.2, 0.9, 0.5])
    given = [torch.rand(shape, generator=generator) for shape in ((30, 23, 3), (30, 23))] + [0.1 * torch.randn(4, 3, 4, generator=generator)]
    weights, results = torch.randn(30, 23, 3, generator=generator), []
    for dtype in (torch.float32, torch.float64):
        image, alpha = (x.to(dtype).clone().requires_grad_() for x in given[:2])
        color = CameraColor(4).to(dtype)
        color.change.data.copy_(given[2])
        if dtype == torch.float32:
            seen, difference = compare_gpu.as_camera_sees(image, alpha, truth_alpha, background, color.change, torch.tensor(2))
        else:
            seen = color.apply_to(image, alpha, 2) + (1 - alpha)[..., None] * background
            difference = (alpha - truth_alpha).abs().mean()
        ((weights * seen).sum() + 7 * difference).backward()
        results.append([x.detach().double() for x in (seen, difference, image.grad, alpha.grad, color.change.grad)])
    for ours, reference in zip(*results):
        assert_close(ours, reference, rtol=1e-4, atol=2e-6 * float(reference.abs().max()))
