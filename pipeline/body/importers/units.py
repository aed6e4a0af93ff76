"""The unit of a head model whose file does not say it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.io.errors import InputError

UNITS = (1.0, 0.1, 0.01, 0.001, 1e-6)  # metres, decimetres, centimetres, millimetres, micrometres
SMALLEST, LARGEST = 0.11, 0.6  # extent of a face or a head with shoulders, metres


def metres_per_unit(template: np.ndarray, path: Path) -> float:
    """The unit in which the largest extent of a head [V, 3] is one of a head. Raises InputError where there is none or more than one."""
    extent = float(np.ptp(template, axis=0).max())
    units = [unit for unit in UNITS if SMALLEST <= unit * extent <= LARGEST]
    if len(units) != 1:
        expected = f"{SMALLEST:g} to {LARGEST:g} in metres, dm, cm, mm or micrometres"
        raise InputError(
            "is not of the size of a head", file=path, found=f"an extent of {extent:g}", expected=expected, remedy="give the model file as it was downloaded"
        )
    return units[0]
