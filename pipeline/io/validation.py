"""Ranges of settings, stated beside their fields, and names that become files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

LARGEST_SEED = 2**31 - 1
LARGEST_SIDE = 65535  # of an image, pixels
_LONGEST_TEXT = 4096
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Range:
    """low <= value <= high, or low < value where `above`."""

    low: float
    high: float
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low, high = (f"{bound:.10g}" for bound in (self.low, self.high))
        return f"above {low}, up to {high}" if self.above else f"{low} to {high}"


def number(default: float, low: float, high: float, *, above: bool = False) -> Any:
    """A field of `CheckedSettings`: a finite number from `low` (or, `above` it) to `high`."""
    return field(default=default, metadata={"range": Range(low, high, above)})


class CheckedSettings:
    """Base of the dataclasses of settings. `config.py` parses the messages of `check` into an InputError."""

    def __post_init__(self) -> None:
        for entry in fields(self):  # type: ignore[arg-type]
            value, allowed = getattr(self, entry.name), entry.metadata.get("range")
            if allowed:
                check(value in allowed, entry.name, value, str(allowed))
            for text in (value,) if isinstance(value, str) else value if isinstance(value, tuple | dict) else ():
                printable = not isinstance(text, str) or (text.isprintable() and len(text) <= _LONGEST_TEXT)
                check(printable, entry.name, ascii(text)[:80], f"text without control characters, at most {_LONGEST_TEXT} letters")


def check(holds: bool, name: str, value: object, allowed: str) -> None:
    """Raise ValueError with the option's name, value and allowed range unless the condition `holds`."""
    if not holds:
        raise ValueError(f"{name} is {value}; allowed: {allowed}")


NAME = f"a plain file name: no / and no control characters, no dot or blank at its start, at most {_LONGEST_NAME} letters"


def is_name(text: str) -> bool:
    """Whether a name of a foreign file (camera, sequence, frame) may become the name of a file; see NAME."""
    return re.fullmatch(r"[^/\s.][^/]*", text) is not None and text.isprintable() and text == text.strip() and len(text.encode()) <= _LONGEST_NAME
