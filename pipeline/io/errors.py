"""The error class whose messages are written for users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MALFORMED = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError)
"""What taking apart a value of a foreign file raises where it is not what was expected."""
MOST_LETTERS = 1000  # of one value in a message

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
        lines = [f"{_readable(file)}: {_readable(problem)}" if file is not None else _readable(problem)]
        if found is not None:
            lines.append(f"  found:    {_readable(found)}")
        if expected is not None:
            lines.append(f"  expected: {_readable(expected)}")
        if remedy:
            lines.append(REMEDY + _readable(remedy))
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        """From a worker process the message comes as it is, and is not shortened again as the problem of another one."""
        return _with_message, (str(self),)


def _with_message(message: str) -> InputError:
    error = InputError("")
    error.args = (message,)
    return error


def _readable(value: object) -> str:
    """A value as text that any terminal, log and page can show: no control characters, no half of a surrogate pair, and not without end."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a list in a list in a list ...
        text = f"a {type(value).__name__} too long to show"
    shown = "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text[:MOST_LETTERS])[:MOST_LETTERS]
    return shown if len(text) <= MOST_LETTERS else f"{shown} ... ({len(text)} letters)"
