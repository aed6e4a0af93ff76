"""Frames of different cameras that belong together in time."""

import numpy as np
import pytest

from pipeline.capture.sync import match_times, read_timestamps
from pipeline.io.errors import InputError
from tests.unit.capture_trees import real_data


def test_the_nearest_frame_is_found_and_the_error_is_the_largest_over_cameras():
    lead = np.arange(10) / 10
    sync = match_times({"a": lead, "late": lead[1:] + 0.004, "dense": np.arange(0, 1.2, 0.03)})
    assert sync.indices["late"].tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    brute = [[int(np.argmin(np.abs(other - t))) for t in lead] for other in (lead[1:] + 0.004, np.arange(0, 1.2, 0.03))]
    assert [sync.indices["late"].tolist(), sync.indices["dense"].tolist()] == brute
    assert sync.error[0] == pytest.approx(0.104) and sync.flagged.tolist() == [0]
    assert sync.error[1] == pytest.approx(0.01)


def test_one_frame_is_no_problem():
    sync = match_times({"a": np.array([5.0]), "b": np.array([5.01])})
    assert sync.indices["b"].tolist() == [0] and sync.flagged.size == 0 and sync.to_json(whole=True)["max_ms"] == 10.0


def test_rows_are_taken_in_the_order_of_the_index_wherever_it_starts(tmp_path):
    path = tmp_path / "timestamps.csv"
    path.write_text("sync_index,cam_id,frame_index,frame_time\n27,1,27,2.5\n27,0,27,2.6\n26,0,26,1.6\n26,1,26,1.5\n")
    times = read_timestamps(path, {"cam_0": 2, "cam_1": 2})
    assert times["cam_0"].tolist() == [1.6, 2.6] and times["cam_1"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    "text, words",
    [
        ("camera,time\na,1\na,2\n", "'b' has a different number(?s:.*)0 rows(?s:.*)2 frames"),
        ("camera,time\na,1\na,2\nb,1\nb,1\n", "'b' do not increase"),
        ("camera,time\na,1\na,\nb,1\nb,2\n", "'a' do not increase"),
        ("camera,seconds\na,1\n", "lacks a column"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=f"t.csv.*{words}"):
        read_timestamps(tmp_path / "t.csv", {"a": 2, "b": 2})


def test_the_real_webcams_are_within_half_a_frame():
    path = real_data("head-caliscope-4cam") / "take1" / "timestamps.csv"
    sync = match_times(read_timestamps(path, {f"cam_{n}": 111 for n in range(4)}))
    facts = sync.to_json(whole=True)
    assert sync.interval == pytest.approx(1 / 6, rel=0.01) and facts["flagged"] == []
    assert 1 < facts["median_ms"] < 13 and facts["max_ms"] < 40
    assert all(index.tolist() == list(range(111)) for index in sync.indices.values())
