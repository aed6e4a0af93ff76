"""A finished training is kept, and a longer one resumes from it where its settings say so, and only then."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.training.settings import TrainSettings
from pipeline.training.trainer import Trainer
from tests.unit import flat_avatar as flat
from tests.unit.flat_avatar import KEYS, FlatAvatar, curve_of, equal, new_trainer, train_in, train_to

SHORT, LONG = replace(flat.SETTINGS, iterations=10), replace(flat.SETTINGS, lengthen=True)
LONGER = replace(KEYS, exact="longer")


@pytest.fixture
def source(tmp_path):  # noqa: ANN001, ANN201
    return flat.source(tmp_path / "capture")


def stage(source, folder: Path, settings: TrainSettings, keys=KEYS) -> tuple[dict, Trainer, list[dict[str, str]]]:  # noqa: ANN001
    """A stage's life: its scratch is removed when it is done, what is kept stays. Facts, the training as it ended, and the rows of its curve."""
    trainer = new_trainer(source, settings=settings)
    facts = train_in(folder, trainer, keys)
    rows = curve_of(folder)
    shutil.rmtree(folder / "work")
    return facts, trainer, rows


def same(one: Trainer, other: Trainer) -> bool:
    return equal(one.avatar.values(), other.avatar.values())


def test_a_finished_training_is_kept_and_changes_nothing_for_the_same_or_a_longer_one(source, tmp_path):
    _, first, _ = stage(source, tmp_path, SHORT)
    assert [path.name for path in tmp_path.glob("*.pt")] == ["trained.pt"]
    facts, again, _ = stage(source, tmp_path, SHORT)
    assert facts["resumed_at"] is None and same(first, again)
    facts, longer, _ = stage(source, tmp_path, flat.SETTINGS, LONGER)
    _, fresh, _ = stage(source, tmp_path / "fresh", flat.SETTINGS)
    assert facts["resumed_at"] is None and "lengthened_at" not in facts and same(longer, fresh)


def test_a_longer_training_resumes_from_the_end_of_the_shorter_one_if_it_may(source, tmp_path):
    shorter, _, _ = stage(source, tmp_path, SHORT)
    expected = new_trainer(source, settings=replace(LONG, log_every=2))
    expected.load(torch.load(tmp_path / "trained.pt", weights_only=True))
    mean = train_to(expected, 12).take_means()["loss"]
    train_to(expected, LONG.iterations)
    facts, longer, rows = stage(source, tmp_path, LONG, LONGER)
    assert facts["resumed_at"] == 10 and facts["lengthened_at"] == [10] and facts["steps"] == 24 and same(longer, expected)
    assert 0 < shorter["seconds"] < facts["seconds"], "both counted"
    assert [row["step"] for row in rows] == ["4", "8", "10", "12", "16", "20", "24"], "with the rows of the shorter one"
    assert float(rows[3]["loss"]) == pytest.approx(mean, rel=1e-5), "the mean over the two steps since the last row"
    facts, unchanged, again = stage(source, tmp_path, LONG, LONGER)  # as after a lost avatar.npz
    assert facts["steps"] == facts["resumed_at"] == 24 and facts["lengthened_at"] == [10] and same(unchanged, longer) and again == rows


def test_a_killed_longer_training_resumes_exactly(source, tmp_path):
    stage(source, tmp_path / "killed", SHORT)
    shutil.copytree(tmp_path / "killed", tmp_path / "undisturbed")
    settings = replace(LONG, checkpoint_every=5)

    class Dying(FlatAvatar):
        def begin_step(self, step: int) -> object:
            if step == 18:
                raise MemoryError
            return super().begin_step(step)

    with pytest.raises(MemoryError):
        train_in(tmp_path / "killed", new_trainer(source, settings=settings, avatar=Dying(settings)), LONGER)
    facts, resumed, rows = stage(source, tmp_path / "killed", settings, LONGER)
    _, whole, undisturbed = stage(source, tmp_path / "undisturbed", settings, LONGER)
    assert facts["resumed_at"] == 15 and facts["lengthened_at"] == [10] and same(resumed, whole)
    assert [(row["step"], row["loss"]) for row in rows] == [(row["step"], row["loss"]) for row in undisturbed]


@pytest.mark.parametrize(("change", "keys"), [({"iterations": 9}, LONGER), ({}, replace(LONGER, but_length="of another kind"))])
def test_only_a_shorter_training_of_the_same_kind_is_lengthened(source, tmp_path, change, keys):
    stage(source, tmp_path, SHORT)
    assert stage(source, tmp_path, replace(LONG, **change), keys)[0]["resumed_at"] is None
