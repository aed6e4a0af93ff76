"""A step: which images it takes, what its gradients are means of, and what it reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.training.images import Source, TrainingImages
from pipeline.training.trainer import Trainer
from tests.unit import flat_avatar as flat
from tests.unit import rigged_toy
from tests.unit.flat_avatar import FlatAvatar, equal, new_trainer, train_to


@pytest.fixture
def source(tmp_path):  # noqa: ANN001, ANN201
    return flat.source(tmp_path, ((12, 10),) * 4)


def selected(trainer: Trainer, steps: int) -> list[list[tuple[int, ...]]]:
    """The chunks of each of the next steps."""
    chunks, select = [], trainer.images.select

    def noted(items) -> None:  # noqa: ANN001
        chunks.append([tuple(chunk) for chunk in items])
        select(items)

    trainer.images.select = noted  # type: ignore[method-assign]
    train_to(trainer, trainer.done + steps)
    trainer.images.select = select  # type: ignore[method-assign]
    return chunks


@pytest.mark.parametrize(("frames", "views", "steps"), [(1, 1, 12), (1, 4, 3), (3, 2, 2), (2, 1, 6)])
def test_a_step_takes_cameras_of_as_many_instants_and_an_epoch_takes_every_image(source, frames, views, steps):
    trainer = new_trainer(source, settings=replace(flat.SETTINGS, frames_per_step=frames, views_per_frame=views))
    chunks = selected(trainer, steps)
    assert all(len(step) == frames and all(len(chunk) == views for chunk in step) for step in chunks)
    assert all(len({item // 4 for item in chunk}) == 1 for step in chunks for chunk in step), "of one instant"
    assert Counter(item for step in chunks for chunk in step for item in chunk) == dict.fromkeys(range(12), 1)


@pytest.mark.parametrize(("frames", "views"), [(2, 1), (1, 2), (3, 2)])
def test_gradients_of_a_step_are_means_over_its_images(source, frames, views):
    def gradients(settings, chunks: list[tuple[int, ...]]) -> dict[str, torch.Tensor]:  # noqa: ANN001
        trainer = new_trainer(source, settings=settings)
        trainer.images.select(chunks)
        for batch in trainer.images.batches():
            trainer.avatar.mean.zero_()  # each is drawn as the first one
            trainer._forward_backward(batch)
        parameters = trainer.optimiser.parameters()
        return {f"{name}{i}": p.grad for name, values in parameters.items() for i, p in enumerate(values)}

    chunks = [tuple(4 * frame + view for view in range(views)) for frame in range(frames)]
    together = gradients(replace(flat.SETTINGS, frames_per_step=frames, views_per_frame=views), chunks)
    alone = [gradients(flat.SETTINGS, [(item,)]) for chunk in chunks for item in chunk]
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, torch.stack([part[name] for part in alone]).mean(0), rtol=1e-4, atol=1e-7)


def test_a_frozen_row_of_an_instant_that_was_not_drawn_keeps_still(source):
    trainer = new_trainer(source, settings=replace(flat.SETTINGS, frames_per_step=2))
    before = trainer.avatar.codes.clone()
    ((first,), (second,)) = selected(trainer, 1)[0]
    moved = (trainer.avatar.codes != before).any(1)
    assert moved.tolist() == [frame in (first // 4, second // 4) for frame in range(3)]


def test_subjects_are_posed_by_their_own_frames(tmp_path):
    sources = [flat.source(tmp_path / "a"), flat.source(tmp_path / "b", ((9, 14),), seed=1)]
    later = replace(sources[1], frames=flat.FRAMES[2:])
    trainer = new_trainer(sources[0], later)
    posed, pose = [], trainer.avatar.pose
    trainer.avatar.pose = lambda frame, subject: (posed.append((int(subject), int(frame))), pose(frame, subject))[1]
    train_to(trainer, 7)
    assert Counter(posed) == {(0, 0): 2, (0, 1): 2, (0, 2): 2, (1, 2): 1}


def test_means_are_taken_once_and_know_phases(source):
    trainer = new_trainer(source, avatar=FlatAvatar(late=6))
    train_to(trainer, 4)
    means = trainer.take_means()
    assert "late" not in means and means["loss"] == pytest.approx(sum(means.values()) - means["loss"])
    train_to(trainer, 8)
    late = trainer.take_means()
    assert late["late"] > 0 and late["loss"] == pytest.approx(sum(late.values()) - late["loss"])
    assert {name: value for name, value in trainer.take_means().items() if value} == {}


def test_a_gradient_that_a_gpu_kernel_met_is_named_with_its_step(source):
    trainer = new_trainer(source)
    train_to(trainer, 4)
    trainer.optimiser.nonfinite = lambda: {"net": 3, "colors": 2}
    with pytest.raises(InputError, match="at step 5: the gradient of 'colors' is not finite"):
        train_to(trainer, 8)


@pytest.mark.parametrize("every", [1, 7])
def test_how_often_the_loop_looks_changes_nothing(source, every):
    settings = replace(flat.SETTINGS, log_every=every, background="random")
    assert equal(
        train_to(new_trainer(source, settings=settings), 24).avatar.values(),
        train_to(new_trainer(source, settings=replace(settings, log_every=24)), 24).avatar.values(),
    )


def test_room_for_few_images_changes_nothing(source, monkeypatch):
    settings = replace(flat.SETTINGS, views_per_frame=2)
    expected = train_to(new_trainer(source, settings=settings), 24)
    monkeypatch.setattr("pipeline.training.images._AHEAD", 2)
    limited = new_trainer(source, settings=settings, memory_mb=0)
    assert len(limited.images._rgba) == 6 and equal(train_to(limited, 24).avatar.values(), expected.avatar.values())


def test_training_brings_the_images_closer(tmp_path):
    settings = RiggedTrainSettings(
        iterations=150, sh_degree=1, sh_every=6, densify_from=8, densify_until=16, densify_every=4, densify_gradient=0.0, max_splats=420, lr_end=1.0
    )
    images = rigged_toy.images(tmp_path / "alpha", rigged_toy.cameras(2))
    data = TrainingImages([Source(images, ["c0", "c1"], rigged_toy.FRAMES, rigged_toy.FRAMES)], memory_mb=10)
    trainer, losses = Trainer(rigged_toy.avatar(settings), data, settings), []
    for step in range(6, 151, 6):
        losses.append(train_to(trainer, step).take_means()["loss"])
    log(f"{losses[0]:.4f} -> {losses[-1]:.4f}")
    assert losses[-1] < 0.6 * losses[0]
