"""The one error a user is meant to read."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Something the user gave is not what was expected.

    Prints as four short lines: what is wrong with which file, what was found, what was expected, what to type next.
    """

    def __init__(self, problem: str, *, file: str | Path | None = None, found: object = None, expected: object = None, remedy: str = ""):
        lines = [f"{file}: {problem}" if file is not None else problem]
        if found is not None:
            lines.append(f"  found:    {found}")
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if remedy:
            lines.append(f"  next:     {remedy}")
        super().__init__("\n".join(lines))
