"""train.csv: one row per interval; its columns are the loss terms that a method has."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from pipeline.io.files import write_text

CURVE = "train.csv"
Row = Mapping[str, float | int | str]


class Curve:
    """Appends rows; a column that a later phase brings is added, empty in the rows before it.

    Rows of steps that a resumed training repeats are removed when the file is opened.
    """

    def __init__(self, path: Path, step: int):
        """Args: step: how many steps are done; 0 begins a new file."""
        self._path = path
        rows = list(csv.DictReader(path.read_text().splitlines())) if path.is_file() and step else []
        whole = [row for row in rows if None not in row.values()]  # a kill may have cut the last one short
        self._rows: list[Row] = [row for row in whole if row.get("step", "").isdigit() and int(row["step"]) <= step]
        self._columns = list(self._rows[0]) if self._rows else []
        write_text(path, self._text(self._rows, header=True))

    def add(self, row: Row) -> None:
        """Append a row; all have `step`."""
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            write_text(self._path, self._text(self._rows, header=True))
            return
        with open(self._path, "a", newline="") as file:
            file.write(self._text([row], header=False))

    def _text(self, rows: list[Row], header: bool) -> str:
        out = io.StringIO()
        writer = csv.DictWriter(out, self._columns, restval="", lineterminator="\n", extrasaction="ignore")
        if header and self._columns:
            writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        return out.getvalue()


def _cell(value: float | int | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
