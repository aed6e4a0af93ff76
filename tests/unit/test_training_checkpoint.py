"""Checkpoint files: which are kept, which is read, when they are written, and what they belong to."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pipeline.training import loop
from pipeline.training.checkpoint import Keys, load_checkpoint, load_shorter, save_checkpoint
from pipeline.training.results import training_keys
from pipeline.training.trainer import Trainer
from tests.unit import flat_avatar as flat


def test_two_are_kept_damaged_ones_are_passed_over_and_those_of_others_refused(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"key": "mine", "step": step, "x": torch.arange(3)})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["checkpoint-0000002.pt", "checkpoint-0000003.pt"]
    assert load_checkpoint(tmp_path, "mine")["step"] == 3
    (tmp_path / "checkpoint-0000003.pt").write_bytes(b"half")
    assert load_checkpoint(tmp_path, "mine")["step"] == 2
    assert load_checkpoint(tmp_path, "another") is None


def test_those_of_a_longer_training_do_not_push_out_those_of_a_new_one(tmp_path):
    for step in (90, 100):
        save_checkpoint(tmp_path, step, {"key": "longer", "step": step})
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"key": "mine", "step": step})
        assert load_checkpoint(tmp_path, "mine")["step"] == step
    assert len(list(tmp_path.iterdir())) == 2


def test_only_what_is_shorter_and_otherwise_the_same_is_lengthened(tmp_path):
    finished, folder = tmp_path / "trained.pt", tmp_path / "work"

    def leave(path: Path, step: int, iterations: int, but_length: str = "mine") -> None:
        path.parent.mkdir(exist_ok=True)
        torch.save({"key": "another", "but_length": but_length, "iterations": iterations, "step": step}, path)

    def loaded(iterations: int) -> int | None:
        return (load_shorter(folder, finished, "mine", iterations) or {}).get("step")

    assert loaded(100) is None
    leave(finished, 50, 50)
    assert loaded(49) is None and loaded(50) == loaded(100) == 50
    leave(folder / "checkpoint-0000030.pt", 30, 80)
    assert loaded(100) == 50, "the one that is furthest"
    leave(folder / "checkpoint-0000070.pt", 70, 80)
    assert loaded(100) == 70 and loaded(79) == 50, "a training of 80 steps is none that 79 can lengthen"
    leave(folder / "checkpoint-0000090.pt", 90, 95, but_length="other")
    (folder / "checkpoint-0000080.pt").write_bytes(b"half")
    assert loaded(100) == 70


def test_keys_depend_on_results_alone_and_one_of_them_not_on_the_length(tmp_path):
    inputs = [tmp_path / name for name in ("init.npz", "fit.npz")]
    for path in inputs:
        path.write_text(path.name)
    before = training_keys(flat.SETTINGS, inputs, 1)
    run_only = {"device": "cuda:7", "backend": "reference", "graph": False, "snapshots": (3,)}
    for name in flat.SETTINGS.RUN_ONLY:
        value = run_only.get(name) if name in run_only else getattr(flat.SETTINGS, name) * 2 + 1
        assert training_keys(replace(flat.SETTINGS, **{name: value}), inputs, 1) == before, name
    for change in ({"iterations": 25}, {"lengthen": True}):
        keys = training_keys(replace(flat.SETTINGS, **change), inputs, 1)
        assert keys.exact != before.exact and keys.but_length == before.but_length
    for name in {field.name for field in fields(flat.SETTINGS)} - {*flat.SETTINGS.RUN_ONLY, "iterations", "lengthen"}:
        value = getattr(flat.SETTINGS, name)
        changed = {name: "random" if name == "background" else value + (0.5 if isinstance(value, float) else 1)}
        assert differs(training_keys(replace(flat.SETTINGS, **changed), inputs, 1), before), name
    assert differs(training_keys(flat.SETTINGS, inputs, 2), before)
    inputs[1].write_text("another fit")
    assert differs(training_keys(flat.SETTINGS, inputs, 1), before)


def differs(one: Keys, other: Keys) -> bool:
    return one.exact != other.exact and one.but_length != other.but_length


@pytest.fixture
def clock(monkeypatch):  # noqa: ANN001, ANN201
    """Seconds by hand: 1 per step, and 3 per checkpoint; `saved` are the steps that were."""
    now = SimpleNamespace(seconds=0.0, saved=[])
    step, save = Trainer.step, loop.save_checkpoint

    def slow_step(trainer: Trainer) -> bool:
        now.seconds += 1
        return step(trainer)

    def slow_save(folder: Path, number: int, state: dict) -> Path:
        now.seconds += 3
        now.saved.append(number)
        return save(folder, number, state)

    monkeypatch.setattr(Trainer, "step", slow_step)
    monkeypatch.setattr(loop, "save_checkpoint", slow_save)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"checkpoint_seconds": 10.0, "checkpoint_share": 1.0}, [11, 22, 33, 44, 55]),  # after more than 10 seconds of steps
        ({"checkpoint_seconds": 10.0, "checkpoint_share": 0.1}, [11, 42]),  # 3 seconds are at most a tenth of 30
        ({"checkpoint_seconds": 1e9, "checkpoint_every": 25}, [25, 50]),
        ({"checkpoint_seconds": 10.0, "checkpoint_share": 0.1, "checkpoint_every": 40}, [11, 40]),  # any checkpoint delays the next one by the clock
    ],
)
def test_checkpoints_by_the_clock_take_a_small_share_of_the_time(tmp_path, clock, settings, expected):
    flat.train_in(tmp_path, flat.new_trainer(flat.source(tmp_path), settings=replace(flat.SETTINGS, iterations=60, log_every=60, **settings)))
    assert clock.saved == expected
