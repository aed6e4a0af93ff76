"""The image loss: what its terms are, and that the CPU's windows change nothing about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pipeline.splat.ssim import ssim_map
from pipeline.training import image_loss_cpu
from pipeline.training.image_loss import image_terms, image_terms_reference
from pipeline.training.target import Target

HEIGHT, WIDTH, CAMERAS, WEIGHTS = 52, 61, 4, (0.7, 0.2, 0.5)
BACKGROUND = torch.tensor([0.2013, 0.8991, 0.5032])  # no whole numbers of 255ths, which a pixel could equal


@dataclass
class Scene:
    """Rendered views, their target, and the change of camera colours."""

    image: torch.Tensor
    alpha: torch.Tensor
    target: Target
    change: torch.Tensor | None
    background: torch.Tensor


def blob(generator: torch.Generator, height: int, width: int) -> torch.Tensor:
    """A soft disc somewhere: alpha [height, width], 0 around it."""
    y, x, r = torch.rand(3, generator=generator).tolist()
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distance = ((rows - height * (0.35 + 0.3 * y)) ** 2 + (columns - width * (0.35 + 0.3 * x)) ** 2).sqrt()
    return (1 + (height * (0.08 + 0.1 * r) - distance) / 4).clamp(0, 1)


def scene(*, masked: bool = True, colors: bool = True, stray: bool = True, views: int = 3, height: int = HEIGHT, width: int = WIDTH) -> Scene:
    """Subjects near their targets, seen by cameras 2, 0, 2...; stray splats lie far outside of the matte, one in a corner."""
    g = torch.Generator().manual_seed(0)
    rgba = torch.randint(0, 256, (views + 2, height, width, 4), dtype=torch.uint8, generator=g)
    for slot in range(len(rgba)):
        rgba[slot, ..., 3] = (255 * blob(g, height, width)).round().to(torch.uint8)
    alpha = torch.stack([blob(g, height, width) * (1 - 0.2 * torch.rand(height, width, generator=g)) for _ in range(views)])
    if stray:
        alpha[0, -2:, -3:], alpha[-1, height // 20, width // 2] = 0.4, 0.7
    image = alpha[..., None] * torch.rand(views, height, width, 3, generator=g)
    valid = (torch.rand(CAMERAS, height, width, generator=g) < 0.97).to(torch.uint8)
    valid[2, :, : width // 3], valid[0, height // 2 :] = 0, 0
    weight = 1 / valid.sum((1, 2)) if masked else torch.full((CAMERAS,), 1 / (height * width))
    table = torch.stack([torch.arange(views).flip(0) + 1, torch.tensor([2, 0, 2][:views])], dim=1)  # its columns are not contiguous
    target = Target(rgba, table[:, 0], table[:, 1], valid if masked else None, weight.float())
    return Scene(image, alpha, target, 0.1 * torch.randn(CAMERAS, 3, 4, generator=g) if colors else None, BACKGROUND)


def results(function, s: Scene, dtype: torch.dtype) -> list[torch.Tensor]:  # noqa: ANN001
    """Terms, composed images and the gradients of a combination of the terms by image, alpha and change."""
    leaves = [x.to(dtype).clone().requires_grad_() for x in (s.image, s.alpha, s.change) if x is not None]
    change = leaves[2] if s.change is not None else None
    terms, composed = function(*leaves[:2], s.target, s.background, change, WEIGHTS)
    assert not composed.requires_grad
    (terms * torch.tensor([1.0, 2.0, 3.0], dtype=dtype)).sum().backward()
    return [x.detach().double() for x in (terms, composed, *(x.grad for x in leaves))]


def agree(function, s: Scene) -> None:  # noqa: ANN001
    """With the reference in double precision. On flat backgrounds SSIM divides rounding errors by C2 = 9e-4, in any single precision."""
    terms, *tensors = zip(results(function, s, torch.float32), results(image_terms_reference, s, torch.float64), strict=True)
    assert_close(*terms, rtol=2e-5, atol=1e-8)
    for ours, reference in tensors:
        assert_close(ours, reference, rtol=1e-4, atol=1e-4 * float(reference.abs().max()))
        assert (ours - reference).norm() < 5e-5 * reference.norm()


@pytest.mark.parametrize("stray", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("colors", [False, True])
def test_windows_give_the_terms_of_whole_images(stray, masked, colors, monkeypatch):
    sizes, kernel = [], image_loss_cpu.ssim_maps
    monkeypatch.setattr(image_loss_cpu, "ssim_maps", lambda image, *rest: (sizes.append(image.size), kernel(image, *rest)))
    agree(image_terms, scene(stray=stray, masked=masked, colors=colors))
    assert len(sizes) == 3 and (stray or max(sizes) < 0.9 * HEIGHT * WIDTH * 3)


def test_color_without_alpha_counts():
    """A method may colour pixels that no splat covers."""
    s = scene(stray=False, masked=False)
    s.image[0, 2, 3] = 0.5
    agree(image_terms, s)


def test_terms_without_mask_are_means_over_whole_images():
    s = scene(masked=False)
    maps = (torch.eye(3, 4) + s.change - s.change.mean(0))[s.target.camera]
    shown = torch.einsum("vcd,vhwd->vhwc", maps, torch.cat([s.image, s.alpha[..., None]], dim=-1)) + (1 - s.alpha)[..., None] * BACKGROUND
    truth, truth_alpha = s.target.over(BACKGROUND)
    expected = [(shown - truth).abs().mean(), 1 - ssim_map(shown, truth).mean(), (s.alpha - truth_alpha).abs().mean()]
    terms, composed = image_terms(s.image, s.alpha, s.target, BACKGROUND, s.change, WEIGHTS)
    assert_close(terms, torch.tensor(WEIGHTS) * torch.stack(expected).detach(), rtol=1e-4, atol=1e-6)
    assert_close(composed, shown.detach())


def test_target_over_a_background():
    s = scene()
    color, alpha = s.target.over(BACKGROUND.double())
    for v, (slot, camera) in enumerate(zip(s.target.slot.tolist(), s.target.camera.tolist())):
        rgba, valid = s.target.images[slot].double() / 255, s.target.valid[camera].double()
        assert_close(alpha[v], rgba[..., 3] * valid)
        assert_close(color[v], alpha[v][..., None] * rgba[..., :3] + (1 - alpha[v])[..., None] * BACKGROUND.double())


@pytest.mark.parametrize("function", [image_terms, image_terms_reference])
def test_pixels_that_are_not_valid_teach_nothing(function):
    """Whatever is there: the terms are the same, and nothing has a gradient there. Sums of a view are divided by the number of its valid pixels."""
    s = scene()
    off = s.target.valid[s.target.camera] == 0
    first = results(function, s, torch.float32)
    assert not first[2][off].any() and not first[3][off].any() and first[2][~off].any() and first[3][~off].any()
    changed = replace(s, image=s.image.clone(), alpha=s.alpha.clone(), target=replace(s.target, images=s.target.images.clone()))
    changed.image[off], changed.alpha[off] = 0.7, 0.3
    for v, slot in enumerate(s.target.slot):
        changed.target.images[slot][off[v]] = 200
    for before, after in zip(first, results(function, changed, torch.float32)):
        assert_close(after, before, rtol=1e-5, atol=1e-6)
    truth_alpha = s.target.over(BACKGROUND)[1]
    by_hand = [(s.alpha[v] - truth_alpha[v]).abs()[~off[v]].mean() for v in range(3)]
    assert first[0][2].item() == pytest.approx(WEIGHTS[2] * float(np.mean(by_hand)), rel=1e-5)


@pytest.mark.parametrize("function", [image_terms, image_terms_reference])
def test_views_count_the_same(function):
    """The terms of three views are the means of the terms of each; so are the gradients of the camera colours, also where views share a camera."""
    s = scene()
    together, parts = results(function, s, torch.float32), []
    for v in range(3):
        target = replace(s.target, slot=s.target.slot[v : v + 1], camera=s.target.camera[v : v + 1])
        parts.append(results(function, replace(s, image=s.image[v : v + 1], alpha=s.alpha[v : v + 1], target=target), torch.float32))
    for k in (0, 4):
        assert_close(together[k], torch.stack([part[k] for part in parts]).mean(0), rtol=1e-4, atol=1e-7)


def test_nothing_to_see_costs_nothing():
    s = scene(stray=False, masked=False)
    nothing = replace(s, image=0 * s.image, alpha=0 * s.alpha, target=replace(s.target, images=torch.zeros_like(s.target.images)))
    terms, composed, *gradients = results(image_terms, nothing, torch.float32)
    assert terms.tolist() == [0, 0, 0] and not any(gradient.any() for gradient in gradients)
    assert_close(composed, BACKGROUND.double().expand(composed.shape))


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (12, 13), (37, 29)])
def test_small_images_full_of_the_subject(size):
    s = scene(views=1, height=size[0], width=size[1], masked=False)
    s.alpha[:], s.target.images[..., 3] = 0.9, 255
    s.image[:] = torch.rand(s.image.shape, generator=torch.Generator().manual_seed(1))
    agree(image_terms, s)


def test_equal_flat_images_have_no_loss():
    target, black = Target.of(torch.full((1, 20, 20, 4), 76, dtype=torch.uint8)), torch.zeros(3)
    image, alpha = (x.requires_grad_() for x in target.over(black))
    terms, _ = image_terms(image, alpha, target, black)
    terms.sum().backward()
    assert terms.abs().max() < 1e-6 and image.grad.abs().max() < 1e-6 and alpha.grad.abs().max() < 1e-6


def test_one_target_per_image():
    s = scene(masked=False, colors=False)
    target = Target.of(s.target.images[s.target.slot])
    assert_close(image_terms(s.image, s.alpha, target, BACKGROUND), image_terms(s.image, s.alpha, s.target, BACKGROUND))


def test_shapes_must_suit_each_other():
    s = scene()
    for wrong, name in (
        (replace(s, alpha=s.alpha[:2]), "alpha"),
        (replace(s, change=s.change[:2]), "color_change"),
        (replace(s, image=s.image[:, 1:]), "alpha"),
    ):
        with pytest.raises(ValueError, match=name):
            image_terms(wrong.image, wrong.alpha, wrong.target, wrong.background, wrong.change)
