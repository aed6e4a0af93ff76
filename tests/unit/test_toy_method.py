"""The executable specification of a method, in one process: a group of captures of different image sizes, phases, networks, latents; exact resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.avatars.render import render_views
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.images import Source, TrainingImages
from pipeline.training.trainer import Trainer
from tests.toy.avatar import ToyAvatar
from tests.toy.settings import ToyTrainSettings
from tests.unit import rigged_toy as toy

SETTINGS = ToyTrainSettings(iterations=24, refine_from=10, log_every=6, frames_per_step=2, views_per_frame=2)


def sources(folder: Path) -> list[Source]:
    """Two subjects: two cameras of 48 x 40 pixels, three of 36 x 30."""
    cameras = toy.cameras(2), tuple(camera.resized(36, 30) for camera in toy.cameras(3))
    sets = [toy.images(folder / name / "alpha", own) for name, own in zip("ab", cameras)]
    return [Source(images, [c.name for c in images.cameras], toy.FRAMES, toy.FRAMES) for images in sets]


def initial_arrays() -> dict[str, np.ndarray]:
    rng, count = np.random.default_rng(0), 200
    vertices, _ = toy.sphere()
    return {
        "means": np.stack([vertices[rng.integers(len(vertices), size=count)] for _ in range(2)]).astype(np.float32),
        "translations": np.tile(toy.fit()["translation"], (2, 1)),
        "quats": np.tile(np.float32([1, 0, 0, 0]), (2, count, 1)),
        "log_scales": np.full((2, count, 3), -4.6, np.float32),
        "opacities": np.ones((2, count), np.float32),
        "features": rng.normal(size=(2, count, 8)).astype(np.float32),
    }


def new_trainer(images: list[Source], settings: ToyTrainSettings = SETTINGS, device: str = "cpu") -> Trainer:
    torch.manual_seed(settings.seed)
    avatar = ToyAvatar(initial_arrays(), {"a": toy.FRAMES, "b": toy.FRAMES}, settings).to(device)
    data = TrainingImages(images, frames=settings.frames_per_step, views=settings.views_per_frame, memory_mb=10, device=device)
    return Trainer(avatar, data, settings)


def advance(trainer: Trainer, to: int) -> dict[str, torch.Tensor]:
    """All values of the avatar after `to` steps."""
    while trainer.done < to:
        trainer.step()
    return {name: value.clone() for name, value in trainer.avatar.state().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("stop", [4, 17])
def test_resumed_training_is_bit_equal_to_one_that_never_stopped(tmp_path, stop):
    images = sources(tmp_path)
    whole = advance(new_trainer(images), SETTINGS.iterations)
    first = new_trainer(images)
    advance(first, stop)
    save_checkpoint(tmp_path / "work", stop, {"key": "k", **first.state()})
    torch.manual_seed(99)  # a new process is in another state
    second = new_trainer(images)
    torch.rand(5)
    second.load(load_checkpoint(tmp_path / "work", "k"))
    assert second.done == stop
    assert equal(advance(second, SETTINGS.iterations), whole)


def test_every_part_learns_and_the_refiner_only_from_its_phase_on(tmp_path):
    trainer = new_trainer(sources(tmp_path))
    start = advance(trainer, 0)
    before = advance(trainer, SETTINGS.refine_from)
    after = advance(trainer, SETTINGS.iterations)
    refiner = [name for name in start if name.startswith("refiner")]
    fixed = {*refiner, "first_row", "translations"}
    assert all(torch.equal(start[name], before[name]) for name in fixed)
    assert not any(torch.equal(start[name], before[name]) for name in start.keys() - fixed)
    assert not any(torch.equal(before[name], after[name]) for name in refiner)


def test_the_loss_falls_and_both_subjects_are_drawn(tmp_path):
    images = sources(tmp_path)
    trainer = new_trainer(images, ToyTrainSettings(iterations=120, refine_from=20, log_every=120))
    advance(trainer, 20)
    first = trainer.take_means()["loss"]
    advance(trainer, 120)
    assert trainer.take_means()["loss"] < 0.8 * first
    avatar = trainer.avatar.eval()
    for subject, source in enumerate(images):
        camera = source.images.cameras[0]
        image = render_views(avatar, 0, [camera], subject=subject)[0]
        assert image.shape == (camera.height, camera.width, 4) and image[..., 3].max() > 200
