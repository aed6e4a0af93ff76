"""The error class whose messages are written for users."""

from __future__ import annotations

from pathlib import Path

REMEDY = "  next:     "  # how the line of the next command begins


class InputError(Exception):
    """A user's input (file, table cell, option) is invalid.

    Prints as up to four lines: the file and the problem, the value found, the value expected, the next command to run.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        found: object = None,
        expected: object = None,
        remedy: str = "",
    ):
        lines = [f"{file}: {problem}" if file is not None else problem]
        if found is not None:
            lines.append(f"  found:    {found}")
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if remedy:
            lines.append(REMEDY + remedy)
        super().__init__("\n".join(lines))
