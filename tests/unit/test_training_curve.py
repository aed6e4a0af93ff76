"""train.csv: means of every term over the steps since the last row, whatever terms there are, and no step twice."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.training.curve import Curve
from tests.unit import flat_avatar as flat
from tests.unit.flat_avatar import FlatAvatar, curve_of, new_trainer, train_in

NOT_TERMS = ("step", "seconds", "loss", "psnr", "val_psnr", "splats", "rate")


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_column_that_a_later_phase_brings_is_added(tmp_path):
    curve = Curve(tmp_path / "train.csv", 0)
    curve.add({"step": 1, "loss": 0.5})
    curve.add({"step": 2, "loss": 1 / 3, "late": 0.25, "count": 7})
    curve.add({"step": 3, "late": 1e-9})
    assert (tmp_path / "train.csv").read_text() == "step,loss,late,count\n1,0.5,,\n2,0.333333,0.25,7\n3,,1e-09,\n"


def test_rows_of_steps_that_are_repeated_are_removed(tmp_path):
    path = tmp_path / "train.csv"
    first = Curve(path, 0)
    for step in (4, 8, 12):
        first.add({"step": step, "loss": step / 4})
    with open(path, "a") as file:
        file.write("16,9,9,9\n1")  # more columns than there are, and a row that a kill cut short
    resumed = Curve(path, 8)
    resumed.add({"step": 12, "loss": 7.0, "late": 1})
    assert [(row["step"], row["loss"], row["late"]) for row in table(path)] == [("4", "1", ""), ("8", "2", ""), ("12", "7", "1")]


def test_a_new_training_begins_a_new_file(tmp_path):
    path = tmp_path / "train.csv"
    Curve(path, 0).add({"step": 4, "loss": 1.0})
    Curve(path, 0).add({"step": 2, "error": 2.0})
    assert path.read_text() == "step,error\n2,2\n"


@pytest.fixture
def source(tmp_path):  # noqa: ANN001, ANN201
    return flat.source(tmp_path)


def columns(row: dict[str, str]) -> dict[str, float]:
    """The terms of a row."""
    return {name: float(value) for name, value in row.items() if name not in NOT_TERMS and value}


@pytest.mark.parametrize("frames", [1, 2])
def test_rows_have_the_mean_of_every_term_over_their_steps_and_the_loss_is_their_sum(source, tmp_path, frames):
    rows = {}
    for every in (1, 4):
        settings = replace(flat.SETTINGS, log_every=every, frames_per_step=frames, lambda_alpha=0.1)
        train_in(tmp_path / str(every), new_trainer(source, settings=settings, avatar=FlatAvatar(settings, late=10)))
        rows[every] = curve_of(tmp_path / str(every))
    assert [int(row["step"]) for row in rows[4]] == [4, 8, 12, 16, 20, 24]
    assert set(columns(rows[4][1])) == {"l1", "dssim", "alpha", "camera_color", "size"} == set(columns(rows[4][2])) - {"late"}
    for number, row in enumerate(rows[4]):
        terms, steps = columns(row), rows[1][4 * number : 4 * number + 4]
        assert float(row["loss"]) == pytest.approx(sum(terms.values()), rel=1e-5)
        for name, value in terms.items():
            assert value == pytest.approx(sum(columns(step).get(name, 0) for step in steps) / 4, rel=1e-4), (name, row["step"])
        assert row["psnr"] == steps[-1]["psnr"], "of the last step"


def test_a_curve_says_how_long_how_many_and_how_fast(source, tmp_path):
    facts = train_in(tmp_path, new_trainer(source))
    rows = curve_of(tmp_path)
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds) and seconds[-1] <= facts["seconds"] + 0.01
    assert {row["splats"] for row in rows} == {"4"} and all(float(row["rate"]) > 0 for row in rows)
    assert facts["steps"] == 24 and facts["splats"] == 4 and facts["resumed_at"] is None


def test_held_out_cameras_are_validated_at_an_interval_and_at_the_end(source, tmp_path):
    settings = replace(flat.SETTINGS, val_every=8, iterations=21)
    train_in(tmp_path, new_trainer(replace(source, cameras=["c0"]), settings=settings), held_out=["c1"])
    rows = curve_of(tmp_path)
    assert [row["step"] for row in rows if row["val_psnr"]] == ["8", "16", "21"]
    assert sorted(path.name for path in (tmp_path / "work" / "validation").iterdir()) == ["0000008.png", "0000016.png", "0000021.png"]
    assert 0 < float(rows[1]["val_psnr"]) < 40


def test_without_held_out_cameras_there_is_no_validation(source, tmp_path):
    train_in(tmp_path, new_trainer(source))
    assert "val_psnr" not in curve_of(tmp_path)[0] and not (tmp_path / "work" / "validation").exists()
