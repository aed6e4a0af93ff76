"""Names and numbers in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 5, between: str = ", ") -> str:
    """The first few names, and how many more there are."""
    return between.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 capture, 2 captures."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def separated(text: str) -> tuple[str, ...]:
    """The names in a text, separated by commas; none where it is empty."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
