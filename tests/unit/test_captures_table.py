"""captures.tsv: everything is text, and every mistake is named with its line."""

import re

import pytest

from pipeline.contract.captures_table import CONVENTIONS, UNITS, read_captures, read_table
from pipeline.geometry import camera_readings
from pipeline.io.errors import InputError


def table(tmp_path, *lines):
    path = tmp_path / "captures.tsv"
    path.write_text("\n".join("\t".join(line) for line in lines) + "\n")
    return path


def test_reads_text_paths_and_lists(tmp_path):
    head = ("id", "kind", "path", "frames", "size", "val_cameras", "plates", "color", "calibration", "model")
    rows = read_captures(
        table(
            tmp_path,
            head,
            ("018", "rig", "data/take", "0:65:2", "256x374", "a, b", "none", "c/{camera}.npy", "cal.json", "body"),
            ("19", "nersemble", "/abs", "", "", "", "", "", "", ""),
        )
    )
    row = rows["018"]
    assert list(rows) == ["018", "19"]
    assert row.path == tmp_path / "data/take" and row.calibration == tmp_path / "cal.json" and row.color == str(tmp_path / "c/{camera}.npy")
    assert (row.first, row.last, row.stride, row.size, row.val_cameras, row.plates, row.model) == (0, 65, 2, (256, 374), ("a", "b"), "none", "body")
    other = rows["19"]
    assert str(other.path) == "/abs" and other.model == "head" and other.calibration is None and other.sequences == () and other.stride is None


def test_comments_and_blank_lines_do_not_count_but_line_numbers_stay(tmp_path):
    path = tmp_path / "captures.tsv"
    path.write_text("# mine\n\nid\tkind\tpath\n# one\na\trig\tx\n\nb\twrong\ty\n")
    with pytest.raises(InputError, match="line 7.*bad kind(?s:.*)wrong(?s:.*)nersemble"):
        read_captures(path, ["b"])


@pytest.mark.parametrize(
    "cells, words",
    [
        ({"id": "a/b"}, "bad id(?s:.*)a/b"),
        ({"id": ".."}, "bad id"),
        ({"id": ""}, "bad id"),
        ({"kind": "zju"}, "bad kind(?s:.*)zju(?s:.*)rig"),
        ({"path": ""}, "bad path"),
        ({"model": "hand"}, "bad model(?s:.*)hand"),
        ({"frames": "5"}, "bad frames(?s:.*)'5'"),
        ({"frames": "5:2"}, "bad frames"),
        ({"frames": "0:9:0"}, "bad frames"),
        ({"frames": "-1:9"}, "bad frames"),
        ({"size": "512"}, "bad size(?s:.*)512"),
        ({"size": "8x8"}, "bad size"),
        ({"group": "a b"}, "bad group"),
        ({"group": "first"}, "bad group"),
        ({"units": "inch"}, "bad units(?s:.*)m \\| cm \\| mm"),
        ({"convention": "colmap"}, "bad convention(?s:.*)opengl_c2w"),
        ({"fps": "fast"}, "bad fps"),
        ({"fps": "0"}, "bad fps"),
    ],
)
def test_bad_cells_are_named(tmp_path, cells, words):
    row = {"id": "b", "kind": "rig", "path": "x", "model": "", "frames": "", "size": "", "group": ""} | cells
    path = table(tmp_path, tuple(row), ("first", "rig", "x"), tuple(row.values()))
    rows, bad = read_table(path)
    assert list(rows) == ["first"] == list(read_captures(path)), "one bad row costs that row alone"
    name = row["id"] if row["id"] == "b" else "line 3"
    assert re.search(rf"captures.tsv: line 3: {words}", str(bad.pop(name).error)) and not bad
    with pytest.raises(InputError, match="line 3"):
        read_captures(path, [name])


@pytest.mark.parametrize(
    "lines, words",
    [
        ([("id", "kind", "path"), ("a", "rig", "x"), ("a", "rig", "y")], "line 3: two captures have the id 'a'(?s:.*)lines 2 and 3"),
        ([("id", "kind", "path", "colour")], "unknown column 'colour'"),
        ([("id", "kind")], "no column 'path'"),
        ([("id", "kind", "path", "id")], "'id' appears twice"),
        ([("id", "kind", "path"), ("a", "rig")], "line 2: bad path"),
        ([("id", "kind", "path"), ("a", "rig", "x", "y")], "line 2: more cells than the first line has columns"),
        ([], "empty"),
        ([("id", "kind", "path")], "names no capture"),
    ],
)
def test_bad_tables_are_named(tmp_path, lines, words):
    with pytest.raises(InputError, match=words) as error:
        read_captures(table(tmp_path, *lines))
    assert "expected: " in str(error.value) and "next: " in str(error.value)


def test_frames_may_leave_parts_open(tmp_path):
    rows = read_captures(table(tmp_path, ("id", "kind", "path", "frames"), ("a", "rig", "x", "::3"), ("b", "rig", "x", "10:"), ("c", "rig", "x", "10:10:1")))
    assert [(r.first, r.last, r.stride) for r in rows.values()] == [(None, None, 3), (10, None, None), (10, 10, 1)]


def test_cells_at_the_end_of_a_line_may_be_left_out(tmp_path):
    rows = read_captures(table(tmp_path, ("id", "kind", "path", "model", "group"), ("a", "rig", "x"), ("b", "rig", "x", "body"), ("c", "rig", "x", "", "", "")))
    assert [(row.model, row.group) for row in rows.values()] == [("head", ""), ("body", ""), ("head", "")]


def test_neither_of_two_rows_with_one_id_is_used(tmp_path):
    rows, bad = read_table(table(tmp_path, ("id", "kind", "path"), ("a", "rig", "x"), ("b", "rig", "x"), ("a", "rig", "y")))
    assert list(rows) == ["b"] and list(bad) == ["a"] and "lines 2 and 4" in str(bad["a"].error)


def test_home_and_variables_in_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("DATA", "/data")
    head = ("id", "kind", "path", "calibration", "plates")
    row = read_captures(table(tmp_path, head, ("a", "rig", "~/caps", "$HOME/c.json", "${DATA}/plates")))["a"]
    assert (str(row.path), str(row.calibration), row.plates) == ("/home/anna/caps", "/home/anna/c.json", "/data/plates")


def test_the_table_knows_what_the_calibration_reader_knows():
    assert tuple(camera_readings.UNITS) == UNITS and tuple(camera_readings.READINGS) == CONVENTIONS == tuple(camera_readings.TEXTS)
