"""Checks of settings, in the words that `config.py` turns into an error."""

from __future__ import annotations


def check(holds: bool, name: str, value: object, allowed: str) -> None:
    """Raises ValueError, naming an option, its value and what is allowed, unless it `holds`."""
    if not holds:
        raise ValueError(f"{name} is {value}; allowed: {allowed}")


def at_least(settings: object, low: float, *names: str) -> None:
    for name in names:
        check(getattr(settings, name) >= low, name, getattr(settings, name), f"{low} or more")


def above(settings: object, low: float, *names: str) -> None:
    for name in names:
        check(getattr(settings, name) > low, name, getattr(settings, name), f"above {low}")


def between(settings: object, low: float, high: float, *names: str) -> None:
    """Both ends allowed."""
    for name in names:
        check(low <= getattr(settings, name) <= high, name, getattr(settings, name), f"{low} to {high}")
