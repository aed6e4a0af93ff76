"""A sample of tests/faults/kill_anywhere.py, which has the whole of it."""

from tests.faults.kill_anywhere import torment


def test_a_run_that_is_killed_again_and_again_ends_as_if_nobody_had(tmp_path):
    lines = list(torment(tmp_path, count=4, seed=4))
    assert lines[-1] == "complete and as expected"
