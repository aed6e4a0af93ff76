"""What a fit.npz holds of the body; `track` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.io.arrays import Numbers, Shape, Text, check_finite
from pipeline.io.errors import InputError

_LARGEST = 1e6  # of any number, such as metres

FIT_ARRAYS: dict[str, Shape] = {
    "model": Text(()),
    "frames": Text(("frames",)),
    "identity": Numbers((None,)),
    "offsets": Numbers((None, 3)),
    "scale": Numbers(()),
    "pose": Numbers(("frames", None, 3)),
    "expression": Numbers(("frames", None)),
    "translation": Numbers(("frames", 3)),
}


def check_fit(fit: Mapping[str, np.ndarray], model: ParametricModel, path: str | Path, remedy: str = "") -> None:
    """Raise InputError unless arrays of the shapes of FIT_ARRAYS, read from `path`, are finite and suit the model."""
    count = len(fit["frames"])
    shapes: dict[str, tuple[int, ...]] = {
        "identity": (len(model.identity_basis),),
        "offsets": (model.vertex_count, 3),
        "pose": (count, len(model.parents), 3),
        "expression": (count, len(model.expression_basis)),
        "translation": (count, 3),
    }
    for name, shape in shapes.items():
        if fit[name].shape != shape:
            raise InputError(f"'{name}' does not suit the model {fit['model']}", file=path, found=fit[name].shape, expected=shape, remedy=remedy)
    check_finite({name: fit[name] for name in FIT_ARRAYS}, _LARGEST, path, remedy)
