"""`./c2a calibration`: what is asked for, said in the end."""

from __future__ import annotations

from pathlib import Path

from pipeline.capture.convert import convert_calibration
from pipeline.contract.captures_table import CONVENTIONS, UNITS
from pipeline.io.errors import InputError


def run_calibration(source: Path, target: Path, form: str, convention: str, units: str) -> None:
    """Convert a calibration, and name what was written. Raises InputError."""
    for name, value, allowed in (("convention", convention, CONVENTIONS), ("units", units, UNITS)):
        if value and value not in allowed:
            raise InputError(f"bad --{name}", found=value, expected=" | ".join(allowed), remedy=f"correct --{name}")
    count = convert_calibration(source.expanduser(), target.expanduser(), form, convention=convention, units=units)
    print(f"wrote {target}: {count} cameras")
