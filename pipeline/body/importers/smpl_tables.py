"""The tables that SMPL, SMPL-X and FLAME files share (SMPL: Loper et al. 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.body.importers.source import numbers, parents_of
from pipeline.io.arrays import Integers, Numbers, Shape, check_indices
from pipeline.io.model_files import read_model_file


def read_tables(path: Path, what: str, vertices: int, joints: int, shapes: int | None) -> dict[str, Any]:
    """template [V, 3], faces, components [S, V, 3], pose_basis [9 (J - 1), V, 3], regressor [J, V], weights [V, J], parents of a model file.

    Args:
        what: the model, for the messages. shapes: columns of shapedirs; None: any number.

    Raises:
        InputError: the file is not that of such a model.
    """
    values = read_model_file(path, f"a {what} model with {vertices} vertices and {joints} joints")
    expected: dict[str, Shape] = {
        "v_template": Numbers((vertices, 3)),
        "f": Integers((None, 3)),
        "shapedirs": Numbers((vertices, 3, shapes)),
        "posedirs": Numbers((vertices, 3, 9 * (joints - 1))),
        "J_regressor": Numbers((joints, vertices)),
        "weights": Numbers((vertices, joints)),
        "kintree_table": Integers((2, joints)),
    }
    remedy = f"give the model file of {what} as it was downloaded; for another model see ./c2a body import --help"
    tables = numbers(values, expected, path, remedy)
    check_indices(tables["f"], vertices, "f", path, remedy)
    return {
        "template": tables["v_template"],
        "faces": tables["f"],
        "components": tables["shapedirs"].transpose(2, 0, 1),
        "pose_basis": tables["posedirs"].transpose(2, 0, 1),
        "regressor": tables["J_regressor"],
        "weights": tables["weights"],
        "parents": parents_of(tables["kintree_table"][0], path),
        "values": values,
    }


def of_joints(weights: np.ndarray, names: tuple[str, ...], chosen: tuple[str, ...]) -> np.ndarray:
    """[V] bool: vertices that mostly follow the joints whose name ends in one of `chosen`."""
    return weights[:, [name.endswith(chosen) for name in names]].sum(1) > 0.5
