"""Training on a real GPU: captured and eager steps are the same to the bit, the CPU's are near, and steps that were not valid are repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.render import render_views
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.io.errors import InputError
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.images import Source, TrainingImages
from pipeline.training.settings import TrainSettings
from pipeline.training.trainer import Trainer
from tests.unit import flat_avatar as flat
from tests.unit import rigged_toy as toy
from tests.unit import test_toy_method
from tests.unit.flat_avatar import FlatAvatar, equal

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
SETTINGS = RiggedTrainSettings(
    iterations=500, sh_degree=1, sh_every=100, densify_from=60, densify_until=300, densify_every=60, densify_gradient=0.0, max_splats=900, log_every=10,
    opacity_reset_every=150, lambda_opacity=1e-3, lambda_anisotropy=1e-3, background="random",
)  # fmt: skip
FIXED = {"densify_from": 1000, "densify_until": 0, "opacity_reset_every": 0}


@pytest.fixture(autouse=True)
def deterministic(monkeypatch):  # noqa: ANN001, ANN201
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # as the train stage does


@pytest.fixture
def source(tmp_path):  # noqa: ANN001, ANN201
    return rigged_source(tmp_path)


def rigged_source(folder, sizes: tuple[tuple[int, int], ...] = ((48, 40), (48, 40), (36, 30))) -> Source:  # noqa: ANN001
    """Images of the toy sphere, one camera per size."""
    cameras = tuple(camera.resized(*size) for camera, size in zip(toy.cameras(len(sizes)), sizes))
    return Source(toy.images(folder / "alpha", cameras), [camera.name for camera in cameras], toy.FRAMES, toy.FRAMES)


def rigged(source: Source, settings: RiggedTrainSettings, device: str = "cuda", memory_mb: int = 10) -> Trainer:
    data = TrainingImages([source], frames=settings.frames_per_step, views=settings.views_per_frame, memory_mb=memory_mb, device=device)
    return Trainer(toy.avatar(settings, device=device), data, settings)


def curve(trainer: Trainer, steps: int) -> list[float]:
    """Mean losses of every tenth part, up to `steps` steps."""
    means = []
    while trainer.done < steps:
        if trainer.step() and trainer.done % SETTINGS.log_every == 0:
            means.append(trainer.take_means()["loss"])
    return means


def values(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Everything that training changed: parameters, tables and moments."""
    state, every = trainer.state(), {}
    for name, (part, *_) in state["optimiser"]["moments"].items():
        every |= {f"{name}/{key}": value for key, value in part.items()}
    avatar = state["avatar"]
    every |= {f"local/{name}": value for name, value in avatar["local"].items()} | {f"body/{name}": value for name, value in avatar["body"].items()}
    return every | {"color": trainer.objective.color.change.detach(), "binding": avatar["binding"]}


# Captured and eager


@pytest.mark.parametrize(("frames", "views", "steps"), [(1, 1, 500), (1, 3, 150), (2, 2, 150)])
def test_captured_steps_are_eager_steps_to_the_bit(source, frames, views, steps):
    settings = replace(SETTINGS, frames_per_step=frames, views_per_frame=views)
    eager, captured = rigged(source, replace(settings, graph=False)), rigged(source, settings)
    losses = curve(eager, steps)
    assert losses == curve(captured, steps) and equal(values(eager), values(captured))
    assert captured.avatar.splat_count > 300 and (steps < 500 or np.mean(losses[-2:]) < 0.5 * losses[0])


def test_captured_steps_of_networks_noise_and_phases_are_eager_steps_to_the_bit(tmp_path):
    """The toy method: two subjects with images of different sizes, dropout, a normalisation layer, a refiner from step 10 on."""
    sources = test_toy_method.sources(tmp_path)
    states = []
    for graph in (False, True):
        trainer = test_toy_method.new_trainer(sources, replace(test_toy_method.SETTINGS, iterations=60, graph=graph), "cuda")
        torch.manual_seed(5)
        states.append(test_toy_method.advance(trainer, 60))
    assert equal(*states)


def test_room_for_few_images_changes_nothing(source, monkeypatch):
    settings = replace(SETTINGS, views_per_frame=2)
    expected = rigged(source, settings)
    losses = curve(expected, 100)
    monkeypatch.setattr("pipeline.training.images._AHEAD", 2)
    limited = rigged(source, settings, memory_mb=0)
    assert len(limited.images._rgba) == 6 < len(limited.images)
    assert curve(limited, 100) == losses and equal(values(limited), values(expected))


# The CPU's


@pytest.mark.parametrize(("frames", "views"), [(1, 1), (2, 2)])
def test_the_cpu_computes_the_same_step(source, frames, views):
    """Loss and gradients of one step. Curves of several steps say less: Adam's first steps follow the sign alone of gradients that are next to nothing."""
    settings = replace(SETTINGS, frames_per_step=frames, views_per_frame=views, background="white")
    losses, gradients = [], []
    for device in ("cpu", "cuda"):
        trainer = rigged(source, settings, device)
        trainer.avatar.begin_step(150)
        trainer.images.select([(1, 2, 0)[:views], (6, 8, 7)[:views]][:frames])
        done = [trainer._forward_backward(batch) for batch in trainer.images.batches()]
        losses.append(torch.stack([part[3] for part in done]).cpu())
        every = {name: p.grad for name, (p,) in trainer.optimiser.parameters().items()}
        every |= {f"{name}{i}": g for i, part in enumerate(done) for rows in part[2] for name, g in rows.gradients().items()}
        every |= {f"screen{i}": part[0].screen.grad for i, part in enumerate(done)}
        gradients.append({name: gradient.cpu() for name, gradient in every.items()})
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-6)
    for name, expected in gradients[0].items():
        assert (gradients[1][name] - expected).norm() <= 1e-3 * expected.norm(), name


def test_the_cpu_learns_the_same(source):
    settings = replace(SETTINGS, iterations=40, **FIXED)
    on_cpu, on_gpu = (curve(rigged(source, settings, device), 40) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=2e-2)


def test_a_gpu_draws_what_the_cpu_draws():
    on_cpu, on_gpu = toy.avatar(), toy.avatar(device="cuda")
    for frame in range(3):
        images = [render_views(avatar, frame, toy.cameras(2), device) for avatar, device in ((on_cpu, "cpu"), (on_gpu, "cuda"))]
        for a, b in zip(*images):
            assert np.abs(a.astype(int) - b).max() <= 1


# Resuming, and steps that were not valid


@pytest.mark.parametrize("stop", [30, 120, 137])
def test_resumed_training_is_bit_equal_to_one_that_never_stopped(source, tmp_path, stop):
    settings = replace(SETTINGS, frames_per_step=2, views_per_frame=2)
    whole, first, second = (rigged(source, settings) for _ in range(3))
    curve(whole, 200)
    curve(first, stop)
    save_checkpoint(tmp_path / "work", stop, {"key": "k", **first.state()})
    second.load(load_checkpoint(tmp_path / "work", "k", "cuda"))
    curve(second, 200)
    assert equal(values(second), values(whole))


@pytest.mark.parametrize("graph", [True, False])
def test_steps_that_lacked_room_are_repeated(source, graph):
    settings = replace(SETTINGS, iterations=60, views_per_frame=2, graph=graph, **FIXED)
    expected, tight = rigged(source, settings), rigged(source, settings)
    losses = curve(expected, 60)
    curve(tight, 24)
    tight.guard.workspace.capacity = 64  # captured again with too little
    assert curve(tight, 60)[-3:] == pytest.approx(losses[-3:], rel=1e-6) and equal(values(tight), values(expected))
    assert tight.guard.capacity > 64


@pytest.mark.parametrize("graph", [True, False])
def test_noise_is_the_same_where_steps_are_repeated(tmp_path, graph):
    settings = replace(flat.SETTINGS, log_every=6, graph=graph, background="random")
    trainers = []
    for disturbed in (False, True):
        torch.manual_seed(4)
        trainer = flat.new_trainer(flat.source(tmp_path / str(disturbed)), settings=settings, avatar=FlatAvatar(settings, noise=0.3), device="cuda")
        flat.train_to(trainer, 9)
        if disturbed:
            trainer.guard.workspace.overflowed.fill_(1)
        trainers.append(flat.train_to(trainer, 24))
    assert equal(trainers[0].avatar.values(), trainers[1].avatar.values())


@pytest.mark.parametrize(
    ("name", "what"), [("value", "term 'bad'"), ("colors", "gradient of 'colors'"), ("net", "gradient of 'net'"), ("codes", "gradient of 'codes'")]
)
@pytest.mark.parametrize("settings", [TrainSettings(iterations=24, log_every=5), TrainSettings(iterations=24, log_every=5, frames_per_step=2, graph=False)])
def test_what_is_not_finite_is_named_with_its_step(tmp_path, name, what, settings):
    avatar = FlatAvatar(settings)
    avatar.bad = (name, 7)
    trainer = flat.new_trainer(flat.source(tmp_path), settings=settings, avatar=avatar, device="cuda")
    with pytest.raises(InputError, match=f"at step 7: the {what} is not finite"):
        flat.train_to(trainer, 24)
    assert all(value.isfinite().all() for value in avatar.values().values())
