"""Training knows when its time is up."""

import time

import pytest

from pipeline.machine.time_limit import LIMIT, TimeBudget, parse_time_left, seconds_left


@pytest.mark.parametrize(("text", "seconds"), [("2-03:04:05", 183845), ("3:04:05", 11045), ("4:05", 245), ("7", 7), ("UNLIMITED", None), ("", None)])
def test_slurms_times_are_read(text, seconds):
    assert parse_time_left(text + "\n") == seconds


def test_the_end_comes_from_slurm_or_from_the_user():
    assert seconds_left({"SLURM_JOB_END_TIME": str(int(time.time()) + 600), LIMIT: "1"}) == pytest.approx(600, abs=2)
    assert seconds_left({LIMIT: "1.5"}) == 90
    assert seconds_left({}) is None


def test_it_is_over_a_while_before_the_end(monkeypatch):
    assert not TimeBudget(None).is_over()
    assert not TimeBudget(60).is_over()
    assert TimeBudget(4).is_over(), "what is left is needed for saving"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = TimeBudget(5.05)
    assert not budget.is_over()
    now += 0.1
    assert budget.is_over()
