"""A training that was stopped, at whatever step, ends as one that never was: equal to the bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.training.checkpoint import Keys, load_checkpoint, save_checkpoint
from pipeline.training.images import Source, TrainingImages
from pipeline.training.loop import Interrupted
from pipeline.training.trainer import Trainer
from tests.unit import flat_avatar as flat
from tests.unit import rigged_toy
from tests.unit.flat_avatar import FlatAvatar, curve_of, equal, new_trainer, train_in, train_to

RIGGED = RiggedTrainSettings(
    iterations=24, sh_degree=1, sh_every=6, densify_from=8, densify_until=16, densify_every=4, densify_gradient=0.0, max_splats=420, opacity_reset_every=14,
    log_every=4, background="random",
)  # fmt: skip


def everything(trainer: Trainer) -> dict[str, torch.Tensor]:
    """All that a training changes, by a path of names; what is not a tensor as text."""
    values: dict[str, torch.Tensor] = {}

    def add(path: str, value: object) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
        if isinstance(value, torch.Tensor):
            values[path] = value.detach().clone()
        elif items:
            for key, part in items:
                add(f"{path}/{key}", part)
        else:
            values[path] = torch.frombuffer(bytearray(repr(value).encode()), dtype=torch.uint8)

    add("", {name: value for name, value in trainer.state().items() if name not in ("seconds", "sums")})
    return values


@pytest.fixture
def source(tmp_path):  # noqa: ANN001, ANN201
    return flat.source(tmp_path)


def resumed(trainer: Trainer, new: Callable[[], Trainer], folder: Path) -> Trainer:
    """A new training with the state of `trainer`, as another process reads it."""
    save_checkpoint(folder, trainer.done, {"key": "k", **trainer.state()})
    torch.manual_seed(12345)
    fresh = new()
    fresh.load(load_checkpoint(folder, "k"))
    assert fresh.done == trainer.done
    return fresh


@pytest.mark.parametrize(("frames", "views"), [(1, 1), (2, 2)])
def test_the_rigged_avatar_resumes_exactly(tmp_path, frames, views):
    settings = replace(RIGGED, frames_per_step=frames, views_per_frame=views)
    images = rigged_toy.images(tmp_path / "alpha", rigged_toy.cameras(3))
    source = Source(images, [camera.name for camera in images.cameras], rigged_toy.FRAMES, rigged_toy.FRAMES)

    def new() -> Trainer:
        data = TrainingImages([source], frames=frames, views=views, memory_mb=10)
        return Trainer(rigged_toy.avatar(settings), data, settings)

    stops = (3, 8, 13, 14, 19)  # among them: a step that adds splats, one before the next, one that resets opacities
    trainer, whole = new(), {}
    for stop in (*stops, settings.iterations):
        whole[stop] = everything(train_to(trainer, stop))
    assert trainer.avatar.splat_count == settings.max_splats
    trainer = new()
    for stop in stops:
        trainer = resumed(train_to(trainer, stop), new, tmp_path / "work")
        assert equal(everything(trainer), whole[stop]), stop
    assert equal(everything(train_to(trainer, settings.iterations)), whole[settings.iterations])


@pytest.mark.parametrize("stop", [1, 7, 16])
def test_noise_of_torchs_generator_phases_and_running_means_resume_exactly(source, tmp_path, stop):
    settings = replace(flat.SETTINGS, background="random", frames_per_step=2)

    def new() -> Trainer:
        return new_trainer(source, settings=settings, avatar=FlatAvatar(settings, noise=0.2, late=10))

    torch.manual_seed(3)
    whole = everything(train_to(new(), 24))
    torch.manual_seed(3)
    assert equal(everything(train_to(resumed(train_to(new(), stop), new, tmp_path), 24)), whole)
    assert not equal(everything(train_to(new(), 24)), whole), "the noise counts"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_next_run_resumes_with_one_unbroken_curve(source, tmp_path, number):
    class Signalled(FlatAvatar):
        def begin_step(self, step: int) -> object:
            if step == 10:
                os.kill(os.getpid(), number)
            return super().begin_step(step)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        train_in(tmp_path, new_trainer(source, avatar=Signalled()))
    assert caught.value.code == 128 + number and signal.getsignal(number) == before
    assert [row["step"] for row in curve_of(tmp_path)] == ["4", "8"]
    with open(tmp_path / "work" / "train.csv", "a") as file:
        file.write("12,9,9,9,9,9,9,9,9\n")  # a row written after the checkpoint by a run that was then killed
    trainer, undisturbed = new_trainer(source), new_trainer(source)
    facts = train_in(tmp_path, trainer)
    assert facts["resumed_at"] == 11 and facts["steps"] == 24
    train_in(tmp_path / "other", undisturbed)
    assert equal(everything(trainer), everything(undisturbed))
    timed = ("seconds", "rate")
    rows = [[{name: value for name, value in row.items() if name not in timed} for row in curve_of(folder)] for folder in (tmp_path, tmp_path / "other")]
    assert [row["step"] for row in rows[0]] == ["4", "8", "12", "16", "20", "24"] and rows[0] == rows[1]


def test_it_leaves_with_a_checkpoint_when_the_jobs_time_is_up(source, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("C2A_MINUTES", "0.01")  # less than what is kept for saving
    with pytest.raises(Interrupted) as caught:
        train_in(tmp_path, new_trainer(source))
    assert caught.value.code == 75
    monkeypatch.delenv("C2A_MINUTES")
    assert train_in(tmp_path, new_trainer(source))["resumed_at"] == 1


class Dying(FlatAvatar):
    """Dies at a step, as a kill ends a process: nothing is saved then."""

    dies_at = 10**9

    def begin_step(self, step: int) -> object:
        if step == self.dies_at:
            raise MemoryError
        return super().begin_step(step)


def test_a_training_that_is_killed_again_and_again_ends_as_one_that_is_not(source, tmp_path):
    settings = replace(flat.SETTINGS, checkpoint_every=3)
    starts = []
    for dies_at in (2, 5, 6, 14, 23, 10**9):
        avatar = Dying(settings)
        avatar.dies_at = dies_at
        trainer = new_trainer(source, settings=settings, avatar=avatar)
        try:
            starts.append(train_in(tmp_path, trainer)["resumed_at"])
        except MemoryError:
            starts.append(trainer.done)
    assert starts == [2, 5, 6, 14, 23, 21]
    whole = new_trainer(source, settings=settings)
    train_in(tmp_path / "whole", whole)
    assert equal(everything(trainer), everything(whole))
    rows = curve_of(tmp_path)
    assert [row["loss"] for row in rows] == [row["loss"] for row in curve_of(tmp_path / "whole")]
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds), "those before a kill count"


def test_a_checkpoint_of_other_settings_or_inputs_is_not_resumed_from(source, tmp_path):
    settings = replace(flat.SETTINGS, checkpoint_every=5)
    train_in(tmp_path, new_trainer(source, settings=settings))
    assert train_in(tmp_path, new_trainer(source, settings=settings), Keys("other", "likewise"))["resumed_at"] is None
    assert [row["step"] for row in curve_of(tmp_path)] == ["4", "8", "12", "16", "20", "24"]
