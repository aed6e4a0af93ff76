"""captures.tsv: everything is text, and every mistake is named with its line."""

import pytest

from pipeline.contract.captures_table import read_captures
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
        read_captures(path)


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
    ],
)
def test_bad_cells_are_named(tmp_path, cells, words):
    row = {"id": "b", "kind": "rig", "path": "x", "model": "", "frames": "", "size": "", "group": ""} | cells
    with pytest.raises(InputError, match=rf"captures.tsv: line 3: {words}"):
        read_captures(table(tmp_path, tuple(row), ("first", "rig", "x", "", "", "", ""), tuple(row.values())))


@pytest.mark.parametrize(
    "lines, words",
    [
        ([("id", "kind", "path"), ("a", "rig", "x"), ("a", "rig", "y")], "line 3: two captures have the id 'a'(?s:.*)lines 2 and 3"),
        ([("id", "kind", "path", "colour")], "unknown column 'colour'"),
        ([("id", "kind")], "no column 'path'"),
        ([("id", "kind", "path", "id")], "'id' appears twice"),
        ([("id", "kind", "path"), ("a", "rig")], "line 2: another number of cells"),
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
