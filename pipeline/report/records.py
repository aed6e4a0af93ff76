"""Manifests, error files and training log of the stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.avatars.registry import method_of
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where the file is missing or unreadable."""
    try:
        record = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return record if isinstance(record, dict) else None


def manifests(layout: Layout) -> dict[str, dict[str, Any]]:
    """The manifest of every finished stage, in stage order."""
    found = {stage: read_record(layout.manifest(stage)) for stage in method_of(layout.method).table}
    return {stage: manifest for stage, manifest in found.items() if manifest is not None}


def errors(layout: Layout) -> dict[str, str]:
    """Message, place and last log lines of every failed stage, in stage order."""
    found = {stage: read_record(layout.error(stage)) for stage in method_of(layout.method).table}
    return {stage: failure_text(record) for stage, record in found.items() if record is not None}


def failure_text(record: dict[str, Any]) -> str:
    """An error file as text."""
    where = failure_place(record)
    tail = ["", "last lines of the log:", *(f"  {line}" for line in record["log"])] if record.get("log") else []
    return "\n".join([str(record.get("message", "no error message")), *([where] if where else []), *tail])


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 capture, 2 captures."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def failure_place(record: dict[str, Any]) -> str:
    """Attempt, SLURM job and host of a failure, as far as known."""
    parts = [f"attempt {record['attempt']}"] if record.get("attempt") else []
    parts += [f"SLURM job {record['job']}"] if record.get("job") else []
    return ", ".join(parts + ([f"on {record['host']}"] if record.get("host") else []))


def stage_seconds(layout: Layout) -> dict[str, float]:
    """Seconds of every finished stage before `evaluate`.

    The time of a resumed training includes all attempts, which train.csv records and the manifest does not.
    """
    stages = list(method_of(layout.method).table)
    before = stages[: stages.index("evaluate")]
    seconds = {stage: float(m.get("timing", {}).get("seconds", 0)) for stage, m in manifests(layout).items() if stage in before}
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
