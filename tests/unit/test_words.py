"""Names in sentences, and a few of many."""

import numpy as np
import pytest

from pipeline.geometry.spread import spread
from pipeline.io.words import counted, listed, separated


def test_names_are_listed_up_to_a_number_and_the_rest_is_counted():
    names = ["a", "b", "c"]
    assert (listed(names), listed(names, 2), listed(names, 1, "; "), listed([])) == ("a, b, c", "a, b and 1 more", "a and 2 more", "")
    assert (counted(1, "capture"), counted(0, "capture")) == ("1 capture", "0 captures")


def test_names_separated_by_commas_are_those_that_were_listed():
    assert separated(listed(["a", "b b", "c"])) == ("a", "b b", "c") and separated(" , ") == ()


@pytest.mark.parametrize("length, count", [(1, 1), (1, 5), (7, 3), (100, 9), (5, 5), (5, 50)])
def test_a_few_of_many_reach_from_the_first_to_the_last_at_even_distances(length, count):
    chosen = spread(length, count)
    assert len(chosen) == min(length, count) and chosen[0] == 0 and (count == 1 or chosen[-1] == length - 1)
    assert len(chosen) < 3 or np.ptp(np.diff(chosen)) <= 1


def test_nothing_is_chosen_of_nothing():
    assert len(spread(0, 3)) == len(spread(3, 0)) == 0
