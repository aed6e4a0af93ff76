"""A parametric model as its authors describe it, and the common way into a file of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from pipeline.body import store
from pipeline.body.traits import Traits
from pipeline.io.arrays import Integers, Numbers, Shape, check_arrays, check_finite, check_indices
from pipeline.io.errors import InputError

LARGEST_M = 10.0  # of a coordinate, metres
REMEDY = "give the model file as it was downloaded"
_NO_UV = np.zeros((0, 2))


@dataclass(frozen=True)
class SourceModel:
    """What an importer reads; float64, metres, in the model's own axes.

    Attributes:
        template: [V, 3]. faces: [F, 3]. identity: [I, V, 3]. expression: [E, V, 3]. pose_basis: [9 (J - 1), V, 3] or [0, V, 3].
        joint_names, parents: [J], the root first. regressor: [J, V]. weights: [V, J].
        uv: [U, 2], uv_faces: [F, 3]; empty where the file has none.
        regions: name -> [V] bool. facts: source and what else is worth keeping (JSON).
    """

    template: np.ndarray
    faces: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    regressor: np.ndarray
    weights: np.ndarray
    pose_basis: np.ndarray
    traits: Traits
    uv: np.ndarray = field(default_factory=lambda: _NO_UV)
    uv_faces: np.ndarray | None = None
    regions: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def numbers(values: Mapping[str, Any], expected: Mapping[str, Shape], path: Path, remedy: str = REMEDY) -> dict[str, np.ndarray]:
    """The named tables of a model file, dense, as float64 and int64. Raises InputError where one is missing, has another shape or is not finite."""
    dense = {name: value.toarray() if scipy.sparse.issparse(value) else np.asarray(value) for name, value in values.items() if name in expected}
    check_arrays(dense, expected, path, remedy)
    check_finite(dense, 1e9, path, remedy)
    return {name: dense[name].astype(np.int64 if isinstance(expected[name], Integers) else np.float64) for name in expected}


def parents_of(indices: np.ndarray, path: Path) -> tuple[int, ...]:
    """Parents of joints; what a file says of the root, the first, does not matter. Raises InputError where a joint stands before its parent."""
    parents = (-1, *(int(parent) for parent in indices[1:]))
    if not all(0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise InputError("the joints are no tree", file=path, found=list(parents), expected="every joint after its parent", remedy=REMEDY)
    return parents


def model_arrays(source: SourceModel, path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file of ours, and its facts. Bases are float32: int16 counts would be wrong by more than 1e-5 m over hundreds of components.

    Raises InputError where the parts of the model, which came from `path`, do not suit each other.
    """
    count, joints = len(source.template), len(source.parents)
    uv_faces = np.zeros_like(source.faces) if source.uv_faces is None else source.uv_faces
    uv = np.zeros((1, 2)) if source.uv_faces is None else source.uv
    rows, columns = np.nonzero(source.regressor)
    lbs_joints = np.argsort(-source.weights, axis=1, kind="stable")[:, : max(1, int((source.weights != 0).sum(1).max()))]
    arrays = {
        "source_vertices": np.arange(count, dtype=np.int32),
        "template": source.template.astype(np.float32),
        "faces": source.faces.astype(np.int32),
        "uv": uv.astype(np.float32),
        "uv_faces": uv_faces.astype(np.int32),
        "identity_basis": source.identity.astype(np.float32),
        "identity_step": np.array(1.0, np.float32),
        "expression_basis": source.expression.astype(np.float32),
        "expression_step": np.array(1.0, np.float32),
        "joint_names": np.array(source.joint_names),
        "expression_names": np.array(source.expression_names, dtype=np.str_),
        "parents": np.array(source.parents, np.int32),
        "regressor_joints": rows.astype(np.int32),
        "regressor_vertices": columns.astype(np.int32),
        "regressor_weights": source.regressor[rows, columns].astype(np.float32),
        "lbs_joints": lbs_joints.astype(np.uint8),
        "lbs_weights": np.take_along_axis(source.weights, lbs_joints, axis=1).astype(np.float32),
        **store.pack_regions({name: np.asarray(mask, bool) for name, mask in source.regions.items()} or {"all": np.ones(count, bool)}),
    }
    if len(source.pose_basis):
        arrays["pose_basis"] = source.pose_basis.astype(np.float32)
    _check(source, arrays, path)
    return arrays, {**source.facts, "traits": source.traits.to_json(), "joints": joints}


def _check(source: SourceModel, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    count, joints = len(source.template), len(source.parents)
    shapes: dict[str, Shape] = {
        "template": Numbers((count, 3)),
        "faces": Integers((None, 3)),
        "identity_basis": Numbers((None, count, 3)),
        "expression_basis": Numbers((len(source.expression_names), count, 3)),
        "joint_names": (joints,),
    }
    check_arrays(arrays, shapes, path, REMEDY)
    check_indices(arrays["faces"], count, "faces", path, REMEDY)
    check_finite(arrays, 1e6, path, REMEDY)
    if joints > 255:
        raise InputError("has too many joints", file=path, found=joints, expected="at most 255", remedy=REMEDY)
    if not np.abs(source.template).max() < LARGEST_M:
        raise InputError(
            "is not in metres", file=path, found=f"a coordinate of {np.abs(source.template).max():g}", expected=f"at most {LARGEST_M:g}", remedy=REMEDY
        )
    for what, sums in (("skinning weights of a vertex", source.weights.sum(1)), ("regressor weights of a joint", source.regressor.sum(1))):
        if np.abs(sums - 1).max() > 1e-2:
            raise InputError(f"the {what} do not add up to 1", file=path, found=f"{sums[np.abs(sums - 1).argmax()]:g}", expected="1", remedy=REMEDY)
