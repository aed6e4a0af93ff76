"""The Basel Face Model of 2009 (Paysan et al.), as MATLAB files: the original 01_MorphableModel.mat, or BFM_model_front.mat (BFM09_model_info.mat), which has
expressions too. A face without a skeleton: one joint, at its centre."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.body.importers.source import REMEDY, SourceModel, numbers
from pipeline.body.importers.units import metres_per_unit
from pipeline.body.traits import Traits, component_names
from pipeline.io.arrays import Numbers
from pipeline.io.errors import InputError
from pipeline.io.model_files import read_model_file

EXPECTED = "a Basel Face Model with meanshape, idBase, exBase, tri or shapeMU, shapePC, shapeEV, tl"


def read_bfm(path: Path) -> SourceModel:
    """The model; coefficients have unit variance. Raises InputError where the file is not as expected."""
    values = read_model_file(path, EXPECTED)
    read = _read_front if "meanshape" in values else _read_original
    mean, identity, expression, faces = read(values, path)
    template = mean.reshape(-1, 3)
    count = len(template)
    scale = metres_per_unit(template, path)
    shapes = [scale * basis.T.reshape(-1, count, 3) for basis in (identity, expression)]
    return SourceModel(
        template=scale * template,
        faces=faces.astype(np.int64) - 1,
        identity=shapes[0],
        expression=shapes[1],
        expression_names=component_names(len(shapes[1])),
        joint_names=("root",),
        parents=(-1,),
        regressor=np.full((1, count), 1 / count),
        weights=np.ones((count, 1)),
        pose_basis=np.zeros((0, count, 3)),
        traits=Traits("head", up=(0.0, 1.0, 0.0), front=(0.0, 0.0, 1.0), bounded=False),
        regions={"face": np.ones(count, bool), "skin": np.ones(count, bool)},
        facts={"source": "BFM 2009"},
    )


def _read_front(values: dict[str, Any], path: Path) -> tuple[np.ndarray, ...]:
    size = _size(values["meanshape"], path)
    expected = {"idBase": Numbers((size, None)), "exBase": Numbers((size, None)), "tri": Numbers((None, 3))}
    tables = numbers(values, expected, path)
    mean = numbers({"meanshape": np.ravel(values["meanshape"])}, {"meanshape": Numbers((size,))}, path)["meanshape"]
    return mean, tables["idBase"], tables["exBase"], tables["tri"]


def _read_original(values: dict[str, Any], path: Path) -> tuple[np.ndarray, ...]:
    size = _size(values.get("shapeMU", np.zeros(0)), path)
    flat = {name: np.ravel(value) if name in ("shapeMU", "shapeEV") else value for name, value in values.items()}
    tables = numbers(flat, {"shapeMU": Numbers((size,)), "shapePC": Numbers((size, "n")), "shapeEV": Numbers(("n",)), "tl": Numbers((None, 3))}, path)
    return tables["shapeMU"], tables["shapePC"] * tables["shapeEV"], np.zeros((size, 0)), tables["tl"]


def _size(mean: Any, path: Path) -> int:
    size = int(np.size(mean))
    if size == 0 or size % 3:
        raise InputError("holds no mean shape", file=path, found=f"{size} numbers", expected=EXPECTED, remedy=REMEDY)
    return size
