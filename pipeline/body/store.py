"""The file format of parametric models: a compressed npz of a few megabytes, for every source model.

Arrays (V vertices, F faces, J joints, I identity and E expression components, K weights per vertex, L landmarks, N
vertices per landmark):

    source_vertices [V] i4: index of each vertex in the source mesh; tables of two parts of one mesh are exchanged by it
    template [V, 3] f4 m, faces [F, 3] i4, uv [U, 2] f4 (v upwards), uv_faces [F, 3] i4
    identity_basis [I, V, 3], expression_basis [E, V, 3] i2 or f4    times identity_step, expression_step (m)
    pose_basis [9 (J - 1), V, 3] f4 m: pose correctives, optional
    joint_names, expression_names: text;  parents [J] i4 (-1 = root)
    regressor_joints, regressor_vertices [M] i4, regressor_weights [M] f4        joints = weighted sums of shaped
    vertices lbs_joints [V, K] u1, lbs_weights [V, K] u2 (sum 65535) or f4 (sum 1)
    region_names: text, regions [R, ceil(V/8)] u1 (bits)
    landmarks.NAME.vertices [L, N] i4, .weights [L, N] f4, .valid [L] bool, .spread_mm [L] f4
    facts: JSON text: source, licence, rest pose, measured errors
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipeline.io.arrays import Integers, Numbers, Shape, Text, check_arrays, check_finite, check_indices, load_npz, save_npz
from pipeline.io.errors import InputError

FINEST_STEP = 5e-6
"""Metres per count of a quantised basis: the rounding errors of 200 components add up to about 0.02 mm."""

_EXPECTED: dict[str, Shape] = {
    "source_vertices": Integers(("vertices",)),
    "template": Numbers(("vertices", 3)),
    "faces": Integers(("faces", 3)),
    "uv": Numbers((None, 2)),
    "uv_faces": Integers(("faces", 3)),
    "identity_basis": Numbers((None, "vertices", 3)),
    "expression_basis": Numbers(("expressions", "vertices", 3)),
    "identity_step": Numbers(()),
    "expression_step": Numbers(()),
    "joint_names": Text(("joints",)),
    "expression_names": Text(("expressions",)),
    "parents": Integers(("joints",)),
    "regressor_joints": Integers(("regressor",)),
    "regressor_vertices": Integers(("regressor",)),
    "regressor_weights": Numbers(("regressor",)),
    "lbs_joints": Integers(("vertices", "weights")),
    "lbs_weights": Numbers(("vertices", "weights")),
    "region_names": Text(("regions",)),
    "regions": Integers(("regions", None)),
    "facts": Text(()),
}
_LARGEST = 1e6  # of any number, such as metres
_REMEDY = "bake or import the model again, see docs/body.md"


def quantise_basis(basis: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Quantise a basis [N, V, 3] in metres: int16 counts and the step in metres."""
    step = np.float32(max(FINEST_STEP, float(np.abs(basis).max(initial=0.0)) / 32767))
    return np.round(basis / step).astype(np.int16), step


def pack_lbs(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sparse form of skinning weights [V, J], whose rows sum to 1.

    Returns:
        joints [V, K] uint8 and weights [V, K] uint16, in descending order, whose rows sum to 65535.
    """
    count = int((weights > 1e-5).sum(axis=1).max())
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    kept = np.take_along_axis(weights, joints, axis=1)
    counts = np.round(kept / kept.sum(axis=1, keepdims=True) * 65535).astype(np.int64)
    counts[:, 0] += 65535 - counts.sum(axis=1)
    joints[counts == 0] = 0
    return joints.astype(np.uint8), counts.astype(np.uint16)


def unpack_lbs(joints: np.ndarray, counts: np.ndarray, joint_count: int) -> np.ndarray:
    """Inverse of `pack_lbs`: dense [V, J] float32. counts: also weights themselves, as floats."""
    weights = np.zeros((len(joints), joint_count), np.float64)
    shares = counts if counts.dtype.kind == "f" else counts / 65535.0
    np.add.at(weights, (np.arange(len(joints))[:, None], joints.astype(np.int64)), shares)
    return weights.astype(np.float32)


def pack_regions(regions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Named bool masks [V] as arrays of the file."""
    return {"region_names": np.array(list(regions)), "regions": np.packbits(np.stack(list(regions.values())), axis=1)}


def unpack_regions(names: np.ndarray, bits: np.ndarray, vertex_count: int) -> dict[str, np.ndarray]:
    """Inverse of `pack_regions`."""
    masks = np.unpackbits(bits, axis=1, count=vertex_count).astype(bool)
    return {str(name): mask for name, mask in zip(names, masks)}


def pack_landmarks(
    name: str,
    vertices: np.ndarray,
    weights: np.ndarray,
    valid: np.ndarray,
    spread_mm: np.ndarray,
) -> dict[str, np.ndarray]:
    """A landmark table (see `LandmarkTable`) as arrays of the file: vertices, weights [L, N], valid, spread_mm [L]."""
    key = f"landmarks.{name}."
    return {
        key + "vertices": vertices.astype(np.int32),
        key + "weights": weights.astype(np.float32),
        key + "valid": valid.astype(bool),
        key + "spread_mm": spread_mm.astype(np.float32),
    }


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays of a model file. Raises InputError if one is missing, has a wrong shape, or points at what is not there."""
    return checked_arrays(load_npz(path, remedy=_REMEDY), path)


def checked_arrays(a: dict[str, np.ndarray], path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a model, with those that may be left out. Raises InputError as `read_arrays`."""
    remedy = _REMEDY
    check_arrays(a, _EXPECTED, path, remedy)
    a.setdefault("pose_basis", np.zeros((0, len(a["template"]), 3), np.float32))
    correctives = 9 * (len(a["parents"]) - 1) if len(a["pose_basis"]) else 0
    check_arrays(a, {"pose_basis": Numbers((correctives, len(a["template"]), 3))}, path, remedy)
    for key in [key[: -len("valid")] for key in a if key.startswith("landmarks.") and key.endswith(".valid")]:
        table: dict[str, Shape] = {"vertices": Integers(("points", "corners")), "weights": Numbers(("points", "corners")), "valid": Integers(("points",))}
        check_arrays(a, {key + name: shape for name, shape in {**table, "spread_mm": Numbers(("points",))}.items()}, path, remedy)
        check_indices(a[key + "vertices"], len(a["template"]), key + "vertices", path, remedy)
    counts = {"faces": len(a["template"]), "uv_faces": len(a["uv"]), "regressor_vertices": len(a["template"])}
    counts |= {"lbs_joints": len(a["parents"]), "regressor_joints": len(a["parents"])}
    for name, count in counts.items():
        check_indices(a[name], count, name, path, remedy)
    check_indices(a["parents"] + 1, len(a["parents"]) + 1, "parents", path, remedy)
    if (a["parents"] >= np.arange(len(a["parents"]))).any():
        raise InputError("a joint stands before its parent", file=path, found=a["parents"].tolist(), expected="parents first", remedy=remedy)
    if a["regions"].shape[1] * 8 < len(a["template"]) or a["regions"].dtype != np.uint8:
        raise InputError("array 'regions' has a wrong shape", file=path, found=a["regions"].shape, expected="a bit for every vertex", remedy=remedy)
    check_finite({name: array for name, array in a.items() if not name.endswith("spread_mm")}, _LARGEST, path, remedy)
    return a


def write_arrays(path: str | Path, arrays: dict[str, np.ndarray], facts: dict) -> None:
    """Write a model file, with `facts` as JSON text."""
    save_npz(path, with_facts(arrays, facts))


def with_facts(arrays: dict[str, np.ndarray], facts: dict) -> dict[str, np.ndarray]:
    """The arrays with the facts as JSON text."""
    return {**arrays, "facts": np.array(json.dumps(facts, sort_keys=True))}
