"""Steps that are not valid change nothing: after an overflow they are repeated, after a value that is not finite training stops and says which."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.io.errors import InputError
from pipeline.training.guard import Poll, StepGuard, record_reference
from pipeline.training.trainer import Trainer
from tests.unit import flat_avatar as flat
from tests.unit.flat_avatar import FlatAvatar, equal, new_trainer, train_to

CPU = torch.device("cpu")


class SmallWorkspace:
    """What a guard needs of the rasteriser's workspace: whether it overflowed, and to grow."""

    def __init__(self):
        self.capacity, self.overflowed = 64, torch.zeros(1, dtype=torch.int32)

    def grow(self) -> None:
        self.capacity *= 2
        self.overflowed.zero_()


def record(guard: StepGuard, sums: torch.Tensor, *values: float) -> None:
    guard.record(torch.tensor(values), sums)


def test_sums_and_counts_are_those_of_the_steps_before_the_first_invalid_one():
    guard, sums = StepGuard(CPU), torch.zeros(2)
    record(guard, sums, 1.0, 10.0, 100.0)
    record(guard, sums, 2.0, 20.0, 200.0)
    assert sums.tolist() == [3.0, 30.0] and not guard.invalid, "what is summed are the first values; the others must be finite alone"
    assert guard.poll() == Poll(2, "")
    record(guard, sums, 4.0, 40.0, 0.0)
    record(guard, sums, 5.0, 50.0, float("inf"))
    record(guard, sums, 6.0, 60.0, 0.0)
    assert guard.invalid == 1 and sums.tolist() == [7.0, 70.0]
    assert guard.poll() == Poll(1, "nonfinite") and not guard.invalid
    assert guard.poll() == Poll(0, "")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_makes_a_step_invalid(value):
    guard, sums = StepGuard(CPU), torch.zeros(1)
    record(guard, sums, value)
    assert guard.invalid == 1 and sums[0] == 0 and guard.poll() == Poll(0, "nonfinite")


def test_after_an_overflow_there_is_more_room_and_losses_had_no_meaning():
    guard, sums = StepGuard(CPU), torch.zeros(1)
    guard.workspace = SmallWorkspace()
    record(guard, sums, 1.0)
    guard.workspace.overflowed.fill_(1)
    record(guard, sums, float("nan"))
    record(guard, sums, 1.0)
    assert guard.invalid == 1 and sums[0] == 1 and guard.capacity == 64
    assert guard.poll() == Poll(1, "overflow") and guard.capacity == 128 and not guard.invalid
    record(guard, sums, 2.0)
    assert guard.poll() == Poll(1, "") and sums[0] == 3


def test_a_value_that_is_not_finite_counts_only_before_other_invalid_steps():
    state, sums, never = torch.zeros(3), torch.zeros(1), torch.zeros(1, dtype=torch.int32)
    record_reference(torch.tensor([1.0]), never + 1, state, sums)
    record_reference(torch.tensor([float("nan")]), never, state, sums)
    assert state.tolist() == [1, 0, 0]


# Of a whole training


@pytest.fixture
def source(tmp_path):  # noqa: ANN001, ANN201
    return flat.source(tmp_path)


@pytest.mark.parametrize("settings", [{}, {"frames_per_step": 2, "views_per_frame": 2, "background": "random"}])
def test_steps_after_an_overflow_change_nothing_and_are_repeated(source, settings):
    settings = replace(flat.SETTINGS, log_every=5, **settings)
    expected, trainer = new_trainer(source, settings=settings), new_trainer(source, settings=settings)
    workspace = trainer.guard.workspace = SmallWorkspace()
    train_to(trainer, 7)
    before, moments = trainer.avatar.values(), trainer.optimiser.state()["moments"]["net"][0]["exp_avg"].clone()
    workspace.overflowed.fill_(1)
    assert [trainer.step() for _ in range(3)] == [True, True, False], "noticed where the loop looks anyway"
    assert trainer.done == 7 and equal(trainer.avatar.values(), before)
    assert torch.equal(trainer.optimiser.state()["moments"]["net"][0]["exp_avg"], moments)
    for step in (8, 11, 15, 24):
        assert equal(train_to(trainer, step).avatar.values(), train_to(expected, step).avatar.values())
        assert torch.equal(trainer.objective.color.change, expected.objective.color.change)
    assert workspace.capacity == 128 and trainer.take_means() == pytest.approx(expected.take_means(), rel=1e-6)


def test_a_checkpoint_between_an_overflow_and_its_discovery_is_of_the_last_valid_step(source):
    trainer, expected = new_trainer(source), train_to(new_trainer(source), 6)
    trainer.guard.workspace = SmallWorkspace()
    train_to(trainer, 6)
    trainer.guard.workspace.overflowed.fill_(1)
    trainer.step()
    assert not trainer.settle() and trainer.done == 6
    again = new_trainer(source)
    again.load(trainer.state())
    assert equal(train_to(again, 24).avatar.values(), train_to(expected, 24).avatar.values())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("value", "at step 6: the term 'bad' is not finite"),
        ("colors", "at step 6: the gradient of 'colors' is not finite"),
        ("net", "at step 6: the gradient of 'net' is not finite"),
        ("codes", "at step 6: the gradient of 'codes' is not finite"),
    ],
)
@pytest.mark.parametrize("frames", [1, 2])
def test_what_is_not_finite_is_named_and_changed_nothing(source, name, message, frames):
    settings = replace(flat.SETTINGS, frames_per_step=frames)
    avatar = FlatAvatar(settings)
    avatar.bad = (name, 6)
    trainer = train_to(new_trainer(source, settings=settings, avatar=avatar), 6)
    before = avatar.values()
    with pytest.raises(InputError, match=message):
        train_to(trainer, 24)
    after = avatar.values()
    assert all(torch.equal(after[key], before[key]) for key in before if key != "mean")  # the diagnosis draws once more


def test_the_first_of_several_terms_is_named(source):
    class Worse(FlatAvatar):
        def losses(self, state, rendering, batch):  # noqa: ANN001, ANN202
            terms = super().losses(state, rendering, batch)
            return {**terms, "last": terms["bad"] * 0} if "bad" in terms else terms

    avatar = Worse()
    avatar.bad = ("value", 2)
    with pytest.raises(InputError, match="'bad'"):
        train_to(new_trainer(source, avatar=avatar), 24)


def test_a_diverged_training_resumes_from_its_last_checkpoint(source):
    """The state before the step is whole: with the cause gone, training ends as if nothing had been."""
    avatar = FlatAvatar()
    avatar.bad = ("net", 6)
    trainer, saved = new_trainer(source, avatar=avatar), new_trainer(source)
    state = train_to(saved, 5).state()
    with pytest.raises(InputError):
        train_to(trainer, 24)
    again: Trainer = new_trainer(source)
    again.load(state)
    assert equal(train_to(again, 24).avatar.values(), train_to(new_trainer(source), 24).avatar.values())


def test_buffers_that_drawing_changes_are_those_of_the_last_valid_step(source):
    trainer = new_trainer(source)
    trainer.guard.workspace = SmallWorkspace()
    train_to(trainer, 2)
    mean = trainer.avatar.mean.clone()
    assert mean.any()
    trainer.guard.workspace.overflowed.fill_(1)
    trainer.step()
    assert torch.equal(trainer.avatar.mean, mean)
