"""A training that is watched, and paused, ends as one that nobody saw: equal to the bit."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.avatars.rigged import posed_body
from pipeline.avatars.rigged.entry import open_avatar
from pipeline.training import results, watch
from pipeline.training.images import Source, TrainingImages
from pipeline.training.loop import Places, train
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Validation
from pipeline.training.watch import Watch, avatar_file, figures_file, request_file
from tests.unit import rigged_toy
from tests.unit.flat_avatar import KEYS, curve_of, equal
from tests.unit.test_training_resume import RIGGED, everything

SETTINGS = replace(RIGGED, checkpoint_every=5)


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(watch, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(watch, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(watch, "SHARE", 100.0)


def ask(folder: Path, beat: int, paused: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    request_file(folder).write_text(json.dumps({"beat": beat, "paused": paused}))


def new_trainer(folder: Path) -> Trainer:
    torch.manual_seed(0)
    images = rigged_toy.images(folder / "alpha", rigged_toy.cameras(3))
    source = Source(images, [camera.name for camera in images.cameras], rigged_toy.FRAMES, rigged_toy.FRAMES)
    return Trainer(rigged_toy.avatar(SETTINGS), TrainingImages([source], frames=1, views=1, memory_mb=10), SETTINGS)


def trained(folder: Path, seen: Watch | None, trainer: Trainer | None = None) -> dict:
    trainer = trainer or new_trainer(folder)
    places = Places(folder / "work", folder / "boards", folder / "trained.pt")
    train(trainer, Validation(trainer.images.sources, [[]], "cpu"), places, KEYS, seen)
    return everything(trainer)


class Viewer(Watch):
    """A watch whose viewer asks again at every step, and pauses a tenth of a second at some; notes what the files say."""

    def __init__(self, trainer: Trainer, folder: Path, pauses: tuple[int, ...] = ()):
        super().__init__(folder, lambda path: results.save_avatar(trainer, "rigged", path))
        self.trainer, self.folder, self.pauses, self.steps, self.waited = trainer, folder, set(pauses), [], 0.0

    def is_due(self) -> bool:
        ask(self.folder, self.trainer.done, self.trainer.done in self.pauses)
        return super().is_due()

    def show(self, step: int, iterations: int, splats: int) -> None:
        super().show(step, iterations, splats)
        self.steps.append(json.loads(figures_file(self.folder).read_text()))

    def wait(self, interrupted) -> float:  # noqa: ANN001
        step, end = self.trainer.done, time.monotonic() + 0.1

        def asked_by_now() -> bool:
            self.steps[-1] = json.loads(figures_file(self.folder).read_text())
            if time.monotonic() > end:
                ask(self.folder, -step)
            return interrupted()

        waited = super().wait(asked_by_now)
        self.waited += waited
        return waited


def test_watched_and_paused_it_ends_as_one_that_nobody_saw(tmp_path, fast, monkeypatch):
    monkeypatch.setattr(posed_body, "load_model", lambda name: rigged_toy.model())
    alone = trained(tmp_path / "alone", None)
    trainer = new_trainer(tmp_path / "seen")
    viewer = Viewer(trainer, tmp_path / "watch", pauses=(6, 17))
    assert equal(trained(tmp_path / "seen", viewer, trainer), alone)
    timed = ("seconds", "rate")
    curves = [[{name: value for name, value in row.items() if name not in timed} for row in curve_of(tmp_path / name)] for name in ("seen", "alone")]
    assert curves[0] == curves[1] and len(curves[0]) == SETTINGS.iterations // SETTINGS.log_every
    steps = [figures["step"] for figures in viewer.steps]
    assert steps == list(range(2, SETTINGS.iterations + 1)), "a request counts once it has changed"
    assert [figures["step"] for figures in viewer.steps if figures["paused"]] == [6, 17] and viewer.waited > 0.1
    last = viewer.steps[-1]
    assert last["iterations"] == SETTINGS.iterations and last["splats"] == trainer.avatar.splat_count and last["values"]["loss"] > 0
    shown = open_avatar(avatar_file(tmp_path / "watch"))
    assert equal({"x": shown.pose(1).splats.means.detach()}, {"x": trainer.avatar.pose(1).splats.means.detach()})


def test_the_seconds_of_a_pause_are_not_those_of_training(tmp_path, fast):
    trainer = new_trainer(tmp_path)
    viewer = Viewer(trainer, tmp_path / "watch", pauses=(10,))
    start = time.monotonic()
    trained(tmp_path, viewer, trainer)
    assert viewer.waited > 0.09
    assert trainer.seconds < time.monotonic() - start - 0.9 * viewer.waited


def test_nothing_is_written_unless_somebody_asks_and_asks_again(tmp_path, fast, monkeypatch):
    trainer = new_trainer(tmp_path)
    seen = Watch(tmp_path / "watch", lambda path: results.save_avatar(trainer, "rigged", path))
    ask(tmp_path / "watch", 1, paused=True)  # that of a viewer that was killed
    trained(tmp_path, seen, trainer)
    assert not figures_file(tmp_path / "watch").exists() and not avatar_file(tmp_path / "watch").exists()
    monkeypatch.setattr(watch, "ALIVE_SECONDS", 0.2)
    assert not seen.is_watched()
    ask(tmp_path / "watch", 2, paused=True)
    assert seen.is_watched() and seen.is_paused()
    assert 0.15 < seen.wait(lambda: False) < 5, "its viewer is gone: the training continues"
    assert not seen.is_watched()


def test_while_nobody_watches_the_disk_is_asked_twice_a_second_at_most(tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr(watch, "read_record", lambda path, kinds: looks.append(path))
    seen = Watch(tmp_path, lambda path: None)
    assert not any(seen.is_due() for _ in range(10_000)) and len(looks) <= 2


def test_a_pause_ends_with_the_interruption_of_the_training(tmp_path, fast):
    seen = Watch(tmp_path, lambda path: None)
    seen.is_watched()
    ask(tmp_path, 1, paused=True)
    assert seen.is_paused() and seen.wait(lambda: True) < 0.1


def test_a_disk_that_is_full_does_not_stop_the_training(tmp_path, fast, capsys):
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    seen = Watch(tmp_path, full)
    seen.show(3, 10, 5)
    assert "No space left" in capsys.readouterr().err and not avatar_file(tmp_path).exists()
