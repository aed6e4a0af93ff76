"""Range checks of settings. `config.py` parses these messages into an InputError, so keep their form."""

from __future__ import annotations


def check(holds: bool, name: str, value: object, allowed: str) -> None:
    """Raise ValueError with the option's name, value and allowed range unless the condition `holds`."""
    if not holds:
        raise ValueError(f"{name} is {value}; allowed: {allowed}")


def at_least(settings: object, low: float, *names: str) -> None:
    """Check that the named attributes are `low` or more."""
    for name in names:
        check(getattr(settings, name) >= low, name, getattr(settings, name), f"{low} or more")


def above(settings: object, low: float, *names: str) -> None:
    """Check that the named attributes are above `low`."""
    for name in names:
        check(getattr(settings, name) > low, name, getattr(settings, name), f"above {low}")


def between(settings: object, low: float, high: float, *names: str) -> None:
    """Check that the named attributes are from `low` to `high`, both included."""
    for name in names:
        check(low <= getattr(settings, name) <= high, name, getattr(settings, name), f"{low} to {high}")
