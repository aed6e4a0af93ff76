"""The training step on a real GPU: captured and eager steps are the same to the bit, the CPU's are near, and steps that lacked room are done again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.render import render_views
from pipeline.training.camera_color import CameraColor
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.device_images import StackedPictures, open_pictures
from pipeline.training.loop import Training
from pipeline.training.settings import TrainSettings
from tests.unit import rigged_toy as toy

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
SETTINGS = TrainSettings(
    iterations=500, sh_degree=1, sh_every=100, densify_from=60, densify_until=300, densify_every=60, densify_gradient=0.0, max_splats=900, log_every=10,
    opacity_reset_every=150, lambda_opacity=1e-3, lambda_anisotropy=1e-3, background="random",
)  # fmt: skip


@pytest.fixture
def images(tmp_path):  # noqa: ANN001, ANN201
    return toy.pictures(tmp_path / "alpha", toy.cameras(2))


def training(images, settings: TrainSettings, device: str = "cuda") -> Training:  # noqa: ANN001
    shown = open_pictures(images, ["c0", "c1"], toy.FRAMES, toy.FRAMES, settings, torch.device(device))
    assert device == "cpu" or isinstance(shown, StackedPictures)
    return Training(toy.avatar().to(device), CameraColor(2).to(device), shown, settings)


def curve(run: Training, steps: int) -> list[float]:
    losses = {}
    while run.step < steps:
        terms = run.advance()
        if terms is not None:
            losses[run.step] = float(sum(terms.values()).detach())
    return [losses[step] for step in sorted(losses)]


def test_captured_steps_are_eager_steps_to_the_bit(images):
    eager, captured = (curve(training(images, replace(SETTINGS, graph=graph)), SETTINGS.iterations) for graph in (False, True))
    assert eager == captured
    assert np.mean(eager[-20:]) < 0.5 * np.mean(eager[:20])


def test_several_views_in_a_step_too(images):
    settings = replace(SETTINGS, views=3, iterations=100)
    assert curve(training(images, replace(settings, graph=False)), 100) == curve(training(images, settings), 100)


def test_the_cpu_computes_the_same_step(images):
    """Loss and gradients of one step. Curves of several steps say less: Adam's first steps follow the sign alone of gradients that are next to nothing."""
    settings = replace(SETTINGS, crop_margin=100.0, background="white")
    losses, gradients = [], []
    for device in ("cpu", "cuda"):
        run = training(images, settings, device)
        run.pictures.show([1])
        terms, _, _ = run.objective(run.avatar, run.color, run.pictures.cuts()[0], 1)
        loss = sum(terms.values())
        loss.backward()
        losses.append(float(loss.detach()))
        found = {name: parameter.grad for name, parameter in run.avatar.parameters_by_name().items()} | run.avatar.row_gradients()
        gradients.append({name: gradient.cpu() for name, gradient in found.items()})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, expected in gradients[0].items():
        assert (gradients[1][name] - expected).norm() <= 1e-3 * expected.norm(), name


def test_the_cpu_learns_the_same(images):
    settings = replace(SETTINGS, iterations=40, crop_margin=100.0, densify_from=1000, densify_until=0, opacity_reset_every=0)
    on_cpu, on_gpu = (curve(training(images, settings, device), 40) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=2e-2)


def test_resumed_training_is_bit_equal_to_one_that_never_stopped(images, tmp_path):
    whole = curve(training(images, SETTINGS), 200)
    first = training(images, SETTINGS)
    assert curve(first, 130) == whole[:130]
    save_checkpoint(tmp_path / "work", 130, {"key": "k", **first.state()})
    second = training(images, SETTINGS)
    second.load(load_checkpoint(tmp_path / "work", "k", "cuda"))
    assert curve(second, 200) == whole[130:]


def test_steps_that_lacked_room_are_done_again(images):
    settings = replace(SETTINGS, iterations=60, densify_from=1000, densify_until=0, opacity_reset_every=0)
    expected = curve(training(images, settings), 60)
    tight = training(images, settings)
    curve(tight, 20)
    tight.room.workspace.capacity = 64  # captured anew with too little
    assert curve(tight, 60)[-10:] == expected[-10:]


def test_a_gpu_draws_what_the_cpu_draws():
    on_cpu, on_gpu = toy.avatar(), toy.avatar().to("cuda")
    for frame in range(3):
        pictures = [render_views(avatar, frame, list(toy.cameras(2)), device) for avatar, device in ((on_cpu, "cpu"), (on_gpu, "cuda"))]
        for a, b in zip(*pictures):
            assert np.abs(a.astype(int) - b).max() <= 1
