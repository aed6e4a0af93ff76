"""Snapshots and evaluation during a training: what is kept, and that neither changes what is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.contract.keys import result_settings
from pipeline.contract.layout import Layout
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.io.files import write_bytes
from pipeline.training.checkpoint import Keys
from pipeline.training.results import save_snapshots
from pipeline.training.settings import TrainSettings
from pipeline.workflow.render_verb import trained_avatar
from pipeline.workflow.run_options import RunOptions
from tests.unit import flat_avatar as flat
from tests.unit.flat_avatar import FlatAvatar, curve_of, equal, new_trainer, places_in, train_in, train_to
from tests.unit.test_training_resume import Dying, everything

SETTINGS = replace(flat.SETTINGS, checkpoint_every=3, snapshots=(17, 5))


@pytest.fixture
def source(tmp_path):
    return flat.source(tmp_path)


def colors_at(source, *steps):
    trainer = new_trainer(source, settings=SETTINGS)
    return [train_to(trainer, step).avatar.colors.detach().clone().numpy() for step in steps]


def test_the_avatar_is_kept_as_it_was_also_by_a_training_that_is_killed(source, tmp_path):
    for dies_at in (5, 7, 16, 18, 10**9):  # just before and after a snapshot, once before the checkpoint that follows it
        avatar = Dying(SETTINGS)
        avatar.dies_at = dies_at
        try:
            train_in(tmp_path, new_trainer(source, settings=SETTINGS, avatar=avatar))
        except MemoryError:
            continue
    out = tmp_path / "published"
    assert save_snapshots(places_in(tmp_path), (17, 5), out) == [5, 17]
    assert sorted(path.name for path in out.iterdir()) == ["avatar_000005.npz", "avatar_000017.npz"]
    for path, expected in zip(sorted(out.iterdir()), colors_at(source, 5, 17)):
        assert np.array_equal(load_npz(path)["colors"], expected), path.name
    assert save_snapshots(places_in(tmp_path), (17, 5), out) == [5, 17], "a job that is killed while it publishes does so again"


def test_what_was_not_passed_is_said_and_what_another_training_left_is_not_taken(source, tmp_path, capsys):
    train_in(tmp_path, new_trainer(source, settings=replace(SETTINGS, snapshots=(5, 9))))
    assert save_snapshots(places_in(tmp_path), (5, 9, 30), tmp_path / "published") == [5, 9]
    assert "no snapshots of the steps 30" in capsys.readouterr().err
    train_in(tmp_path, new_trainer(source, settings=replace(SETTINGS, snapshots=(9,))), Keys("other", "likewise"))
    assert save_snapshots(places_in(tmp_path), (5, 9), tmp_path / "published") == [9]
    assert save_snapshots(places_in(tmp_path), (), tmp_path / "none") == [] and not list((tmp_path / "none").iterdir())


def test_evaluation_and_snapshots_change_nothing(source, tmp_path):
    states, curves = [], []
    for name, changes in (("plain", {"val_every": 24, "snapshots": ()}), ("watched", {"val_every": 1, "val_images": 0, "snapshots": (1, 2, 3, 20)})):
        settings = replace(flat.SETTINGS, **changes, log_every=1, background="random")
        torch.manual_seed(4)
        trainer = new_trainer(replace(source, cameras=["c0"], frames=flat.FRAMES[:2]), settings=settings, avatar=FlatAvatar(settings, noise=0.3))
        train_in(tmp_path / name, trainer, held_out=["c1"], test=flat.FRAMES[2:])
        states.append(everything(trainer))
        curves.append(curve_of(tmp_path / name))
    assert equal(*states) and [row["loss"] for row in curves[0]] == [row["loss"] for row in curves[1]]
    assert [sum(bool(row["test_psnr"]) for row in curve) for curve in curves] == [1, 24] and all(row["val_ssim"] for row in curves[1])
    strips = {path.name for path in (tmp_path / "watched" / "work" / "validation").iterdir()}
    assert {"0000007.png", "test_0000007.png"} <= strips and len(strips) == 48


def test_they_are_no_reason_to_train_again():
    plain = TrainSettings()
    assert result_settings(replace(plain, val_every=7, val_images=0, snapshots=(5,))) == result_settings(plain)
    with pytest.raises(ValueError, match="snapshots"):
        TrainSettings(snapshots=(0,))


def test_a_snapshot_is_taken_from_the_results_or_from_a_training_that_still_runs(tmp_path):
    layout = Layout(tmp_path / "results" / "anna", tmp_path / "work" / "anna")
    options = RunOptions(("anna",))
    write_bytes(layout.snapshots / "avatar_005000.npz", b"x")
    write_bytes(layout.scratch("train") / "snapshots" / "avatar_012000.npz", b"x")
    assert trained_avatar("anna", layout, options, 5000) == layout.snapshots / "avatar_005000.npz"
    assert trained_avatar("anna", layout, options, 12000) == layout.scratch("train") / "snapshots" / "avatar_012000.npz"
    with pytest.raises(InputError, match=r"no snapshot of step 7(?s:.*)5000, 12000(?s:.*)train.snapshots=\[7\]"):
        trained_avatar("anna", layout, options, 7)
    with pytest.raises(InputError, match="no avatar of 'anna'"):
        trained_avatar("anna", layout, options)
