"""The image terms: means over valid pixels, over one background, seen through each camera's colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.training.camera_color import CameraColor
from pipeline.training.contract import Rendering
from pipeline.training.image_loss import compose
from pipeline.training.images import Batch, TrainingImages
from pipeline.training.objective import ImageObjective
from pipeline.training.objective import flat as flattened
from tests.unit import flat_avatar as flat

MIXED = ((12, 10), (9, 14))


def batch_of(images: TrainingImages, items: list[int]) -> Batch:
    images.select([items])
    return images.batches()[0]


def rendering(views: int, height: int, width: int) -> Rendering:
    """Random colours over black, as a rasteriser gives them."""
    generator = torch.Generator().manual_seed(0)
    alpha = torch.rand(views, height, width, generator=generator)
    return Rendering((alpha[..., None] * torch.rand(views, height, width, 3, generator=generator)).requires_grad_(), alpha.requires_grad_())


def objective(cameras: int, **settings: object) -> ImageObjective:
    return ImageObjective(replace(flat.SETTINGS, **settings), cameras, torch.device("cpu"))


def test_terms_are_means_over_the_valid_pixels_of_each_view(tmp_path):
    mask = np.full((14, 9), 255, np.uint8)
    mask[5:9, 2:7] = 0
    source = flat.source(tmp_path, MIXED, masks={1: mask})
    images = TrainingImages([source], views=2, memory_mb=10)
    drawn = rendering(2, 14, 12)
    names, values = flattened(objective(2, lambda_alpha=0.5).terms(drawn, batch_of(images, [0, 1])))
    terms = dict(zip(names, values.tolist()))
    l1, alphas = [], []
    for view, (name, valid) in enumerate([("c0", np.ones((10, 12), bool)), ("c1", mask > 0)]):
        height, width = valid.shape
        rgba = source.images.open(name).read(flat.FRAMES[0]).astype(np.float64) / 255
        truth = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
        alpha = drawn.alpha[view, :height, :width].detach().numpy().astype(np.float64)
        image = drawn.image[view, :height, :width].detach().numpy() + 1 - alpha[..., None]
        l1.append(np.abs(image - truth)[valid].mean())
        alphas.append(np.abs(alpha - rgba[..., 3])[valid].mean())
    assert terms["l1"] == pytest.approx(0.8 * np.mean(l1), rel=1e-5)
    assert terms["alpha"] == pytest.approx(0.5 * np.mean(alphas), rel=1e-5)


def test_what_is_drawn_on_pixels_that_are_not_valid_is_not_taught_anything(tmp_path):
    mask = np.full((14, 9), 255, np.uint8)
    mask[5:9, 2:7] = 0
    images = TrainingImages([flat.source(tmp_path, MIXED, masks={1: mask})], memory_mb=10)
    outside = torch.ones(14, 12, dtype=torch.bool)
    outside[:, :9] = torch.from_numpy(mask == 0)
    results = []
    for change in (0.0, 0.3):
        drawn, compared = rendering(1, 14, 12), objective(2)
        with torch.no_grad():
            drawn.image[0, outside] += change
            drawn.alpha[0, outside] *= 1 - change
        _, values = flattened(compared.terms(drawn, batch_of(images, [1])))
        values.sum().backward()
        assert not drawn.image.grad[0, outside].any() and not drawn.alpha.grad[0, outside].any()
        assert drawn.image.grad[0, ~outside].any() and drawn.alpha.grad[0, ~outside].any()
        results.append((values, drawn.image.grad, drawn.alpha.grad, compared.psnr()))
    for before, after in zip(results[0][:3], results[1][:3]):
        assert torch.equal(before, after)
    assert results[0][3] == results[1][3], "PSNR counts valid pixels alone too"


def test_terms_of_a_batch_are_means_of_those_of_its_views(tmp_path):
    images = {views: TrainingImages([flat.source(tmp_path / str(views), MIXED)], views=views, memory_mb=10) for views in (1, 2)}
    drawn = rendering(2, 14, 12)
    compared = objective(2)
    with torch.no_grad():
        compared.color.change.copy_(0.1 * torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1)))
    together = flattened(compared.terms(drawn, batch_of(images[2], [0, 1])))[1]
    alone = [flattened(compared.terms(Rendering(drawn.image[v : v + 1], drawn.alpha[v : v + 1]), batch_of(images[1], [v])))[1] for v in (0, 1)]
    torch.testing.assert_close(together, torch.stack(alone).mean(0))


def test_psnr_is_that_of_the_valid_pixels(tmp_path):
    source = flat.source(tmp_path, MIXED)
    images, compared = TrainingImages([source], memory_mb=10), objective(2)
    drawn = rendering(1, 14, 12)
    compared.terms(drawn, batch_of(images, [1]))
    rgba = source.images.open("c1").read(flat.FRAMES[0]).astype(np.float64) / 255
    image = (drawn.image + 1 - drawn.alpha[..., None])[0, :, :9].detach().numpy()
    error = np.square(image - (rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:])).mean()
    assert compared.psnr() == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_a_random_background_is_behind_both_images_and_part_of_the_state(tmp_path):
    images = TrainingImages([flat.source(tmp_path)], memory_mb=10)
    batch = batch_of(images, [0])
    rgba = batch.target.images[batch.target.slot].float() / 255
    perfect = Rendering(rgba[..., :3] * rgba[..., 3:], rgba[..., 3])
    compared, other = objective(2, background="random"), objective(2, background="random")
    for _ in range(3):
        compared.begin_step()
        assert float(flattened(compared.terms(perfect, batch))[1].detach().sum()) < 1e-5
    other.load(compared.state())
    drawn = rendering(1, 10, 12)
    values = []
    for one in (compared, other, compared):
        one.begin_step()
        values.append(flattened(one.terms(drawn, batch))[1])
    assert torch.equal(values[0], values[1]) and not torch.equal(values[0], values[2])


def test_colors_of_cameras_are_no_change_on_average_and_learn_a_gain():
    color = CameraColor(2)
    image, alpha, black = torch.rand(2, 4, 5, 3), torch.ones(2, 4, 5), torch.zeros(3)
    torch.testing.assert_close(compose(image, alpha, black, color.maps(), None)[0], image)
    with torch.no_grad():
        color.change[0, :, :3] = 0.4 * torch.eye(3)
        color.change[1, :, 3] = 0.2
    torch.testing.assert_close(color.maps().mean(0), torch.eye(3, 4))
    torch.testing.assert_close(compose(image, alpha, black, color.maps(), None)[0][0], 1.2 * image[0] - 0.1)
    assert torch.equal(compose(0 * image, 0 * alpha, black, color.maps(), None)[0], 0 * image)


def test_each_view_is_compared_through_the_colors_of_its_camera(tmp_path):
    images = TrainingImages([flat.source(tmp_path)], views=2, memory_mb=10)
    batch, drawn = batch_of(images, [0, 1]), rendering(2, 10, 12)
    compared = objective(2)
    with torch.no_grad():
        compared.color.change.copy_(0.2 * torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1)))
    compared.terms(drawn, batch)
    seen = torch.einsum("vcd,vhwd->vhwc", compared.color.maps(), torch.cat([drawn.image, drawn.alpha[..., None]], dim=-1))
    torch.testing.assert_close(compared.composed, (seen + 1 - drawn.alpha[..., None]).detach())


def test_colors_of_cameras_are_penalised_only_where_they_are_trained(tmp_path):
    batch = batch_of(TrainingImages([flat.source(tmp_path)], memory_mb=10), [0])
    for settings, expected in (({}, True), ({"lr_camera_color": 0.0}, False), ({"lambda_camera_color": 0.0}, False)):
        assert ("camera_color" in objective(2, **settings).terms(rendering(1, 10, 12), batch)) == expected
