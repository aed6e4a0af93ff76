"""A sample of tests/mistakes: the errors that come before anything runs, and one that only a figure of the fit shows."""

import pytest

from tests.mistakes.rig import make_good
from tests.mistakes.runs import run_variant


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_good(tmp_path_factory.mktemp("mistakes") / "good", frames=2, cameras=4)


@pytest.mark.parametrize("name", ["K_of_4x", "landscape_pixels", "other_name", "millimetres"])
def test_a_mistake_is_named(good, tmp_path, name):
    end = run_variant(name, good, tmp_path)
    assert not end.wrong, (end.wrong, end.lines)
