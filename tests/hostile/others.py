"""What else is read: splats as PLY, the cameras of a ground truth, a Snakemake profile of one's own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hostile.calibrations import CAMERA
from tests.hostile.case import Case, written

COLUMNS = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")


def read_splats(folder: Path) -> None:
    from pipeline.splat.formats.ply import read_ply

    read_ply(folder / "x.ply")


def read_novel(folder: Path) -> None:
    from pipeline.contract.layout import Layout
    from pipeline.evaluation.truth import novel_cameras
    from tests.hostile.results import CAPTURE

    layout = Layout(folder / "results", folder / "work")
    layout.results.mkdir()
    layout.capture.write_text(json.dumps(CAPTURE | {"truth": str(folder)}))
    novel_cameras(layout)


def read_profile(folder: Path) -> None:
    from pipeline.workflow.profiles import is_cluster

    is_cluster(folder)


def ply(count: str = "2", columns: tuple[str, ...] = COLUMNS, kind: str = "float", more: str = "", rows: int = 2) -> bytes:
    head = (
        "ply\nformat binary_little_endian 1.0\n"
        + f"element vertex {count}\n"
        + "".join(f"property {kind} {name}\n" for name in columns)
        + more
        + "end_header\n"
    )
    return head.encode("latin-1") + bytes(4 * len(columns) * rows)


def splats(what: str, data: bytes, expected: str = "refused") -> Case:
    return Case("ply", what, written("x.ply", data), read_splats, expected)


COUNTS = ("-1", "x", "", "1e9", "99999999999999999999", "9" * 5000, "2 2")
CASES = [
    splats("good", ply(), "accepted"),
    *(splats(f"count {count[:20]!r} of {len(count)}", ply(count)) for count in COUNTS),
    splats("too few bytes", ply("3")),
    splats("no columns", ply(columns=())),
    splats("columns twice", ply(columns=COLUMNS * 2), "either"),
    splats("lists", ply(kind="list uchar int")),
    splats("a property without a name", ply(more="property\n"), "either"),
    splats("a property without a kind", ply(more="property x\n")),
    splats("faces too", ply(more="element face 1000000000\nproperty list uchar int vertex_indices\n")),
    splats("100000 columns", ply(columns=tuple(f"f_rest_{n}" for n in range(100_000)), rows=0)),
    splats("text", b"ply\nformat ascii 1.0\nend_header\n"),
    splats("empty", b""),
    splats("zeros", bytes(1000)),
    *(
        Case("novel.json", what, written("novel.json", text), read_novel, expected)  # type: ignore[arg-type]
        for what, text, expected in (
            ("good", json.dumps({"convention": "opencv", "cameras": [CAMERA]}), "accepted"),
            ("name ../x", json.dumps({"convention": "opencv", "cameras": [CAMERA | {"name": "../x"}]}), "refused"),
            ("a list", "[]", "refused"),
            ("cameras missing", "{}", "refused"),
            ("deep", "[" * 100_000, "refused"),
        )
    ),
    *(
        Case("profile", what, written("config.yaml", text), read_profile, expected)  # type: ignore[arg-type]
        for what, text, expected in (
            ("good", "executor: local\n", "accepted"),
            ("tag", "executor: !!python/object/apply:os.system ['touch EXECUTED']\n", "refused"),
            ("deep", "a: " + "[" * 5000, "refused"),
            ("aliases", "a: &a [1]\nb: *a\n", "refused"),
        )
    ),
]
