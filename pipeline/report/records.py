"""Manifests, error files and training log of the stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.avatars.registry import method_of
from pipeline.contract.layout import RECORD_KINDS, Layout
from pipeline.contract.manifest import read_manifest
from pipeline.io.errors import InputError
from pipeline.io.files import read_record

SPLITS = {"val": "held-out camera", "test": "test frames", "novel": "novel camera"}


def manifests(layout: Layout) -> dict[str, dict[str, Any]]:
    """The manifest of every finished stage, by the names of `stage_places`."""
    return _each_stage(layout, lambda place, stage: place.manifest(stage))


def warnings(layout: Layout) -> list[tuple[str, str]]:
    """(stage, text) of everything that the finished stages warn of, in stage order: results that exist and yet are probably wrong."""
    return [(stage, str(text)) for stage, manifest in manifests(layout).items() for text in manifest.get("warnings", ())]


def errors(layout: Layout) -> dict[str, str]:
    """Message, place and last log lines of every failed stage, under the same names."""
    return {stage: failure_text(record) for stage, record in _each_stage(layout, lambda place, stage: place.error(stage)).items()}


def stage_places(layout: Layout) -> dict[str, tuple[Layout, str]]:
    """Every stage in order, with where its records lie; stages of the captures of a group as `capture/stage`."""
    prefix = "{}/" if layout.group else ""
    before = [(prefix.format(subject.name) + stage, (subject.layout, stage)) for subject in layout.subjects for stage in capture_stages(subject.layout)]
    return dict(before) | {stage.name: (layout, stage.name) for stage in method_of(layout.method).avatar_stages}


def capture_stages(layout: Layout) -> list[str]:
    """The stages that the method runs for a capture; as long as its kind of dataset is unknown, those of all kinds."""
    kind = kind_of(layout)
    return [stage.name for stage in method_of(layout.method).capture_stages if kind is None or stage.is_for(kind)]


def kind_of(layout: Layout) -> str | None:
    """The kind of dataset that `ingest` read; None before."""
    return (read_manifest(layout, "ingest") or {}).get("cells", {}).get("kind")


def _each_stage(layout: Layout, path: Callable[[Layout, str], Path]) -> dict[str, dict[str, Any]]:
    records = {name: read_record(path(*place), RECORD_KINDS) for name, place in stage_places(layout).items()}
    return {name: record for name, record in records.items() if record is not None}


def failure_text(record: dict[str, Any]) -> str:
    """An error file as text."""
    where = failure_place(record)
    tail = ["", "last lines of the log:", *(f"  {line}" for line in record["log"])] if record.get("log") else []
    return "\n".join([str(record.get("message", "no error message")), *([where] if where else []), *tail])


def median_render(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of these rows of metrics.json the one with median PSNR."""
    return sorted(rows, key=rank)[len(rows) // 2]


def rank(row: dict[str, Any]) -> float:
    """PSNR of one image, in the bounding box where it has one."""
    return row["psnr"] if row.get("psnr_box") is None else row["psnr_box"]


def failure_place(record: dict[str, Any]) -> str:
    """Attempt, SLURM job and host of a failure, as far as known."""
    parts = [f"attempt {record['attempt']}"] if record.get("attempt") else []
    parts += [f"SLURM job {record['job']}"] if record.get("job") else []
    return ", ".join(parts + ([f"on {record['host']}"] if record.get("host") else []))


def stage_seconds(layout: Layout) -> dict[str, float]:
    """Seconds of every finished stage before `evaluate`.

    The time of a resumed training includes all attempts, which train.csv records and the manifest does not.
    """
    later = ("evaluate", "report")
    seconds = {stage: float(m.get("timing", {}).get("seconds", 0)) for stage, m in manifests(layout).items() if stage not in later}
    if "train" in seconds and layout.train_log.is_file():
        seconds["train"] = max(seconds["train"], float(np.nanmax(read_log(layout.train_log).get("seconds", np.zeros(1)))))
    return seconds


def read_log(path: Path) -> dict[str, np.ndarray]:
    """Columns of train.csv as floats, NaN where a cell is empty. Raises InputError where the file is missing or empty."""
    if not path.is_file():
        raise InputError("no such file", file=path, expected="a table of training steps")
    lines = [line.split(",") for line in path.read_text().splitlines() if line]
    if len(lines) < 2:
        raise InputError("contains no rows", file=path, expected="a table of training steps")
    columns = {name: [row[i] if i < len(row) else "" for row in lines[1:]] for i, name in enumerate(lines[0])}
    return {name: np.array([_number(cell) for cell in cells]) for name, cells in columns.items()}


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
