"""SMPL (Loper et al. 2015) and SMPL-X (Pavlakos et al. 2019): the models' pickles or npz files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.body.importers.smpl_tables import of_joints, read_tables
from pipeline.body.importers.source import SourceModel
from pipeline.body.smpl_joints import FINGERS, SMPL_JOINTS, SMPLX_JOINTS
from pipeline.body.traits import Traits, component_names
from pipeline.io.errors import InputError

_PAIRS = {
    "upperarm": "shoulder",
    "lowerarm": "elbow",
    "wrist": "wrist",
    "finger5": "pinky1",
    "finger2": "index1",
    "finger1": "thumb2",
    "upperleg": "hip",
    "lowerleg": "knee",
    "foot": "ankle",
    "eye": "eye",
}  # role: joint, of each side
_IN_BODY: dict[str, tuple[float, float]] = {
    **{"hip": (35, 5), "knee": (40, 6), "ankle": (25, 6), "spine1": (7, 2), "spine2": (7, 2), "spine3": (7, 2), "collar": (8, 3)},
    **{"shoulder": (40, 6), "elbow": (40, 6), "wrist": (12, 5), "neck": (10, 3), "head": (12, 3), "jaw": (15, 5)},
}
_IN_HEAD: dict[str, tuple[float, float]] = {"neck": (15, 2), "head": (5, 2), "collar": (1, 0.5), "shoulder": (3, 0.5), "jaw": (15, 5), "eye": (12, 8)}
SMPLX_IDENTITY, SMPLX_EXPRESSION = 300, 100


def read_smpl(path: Path) -> SourceModel:
    """SMPL with all the shape components that the file has. Raises InputError where it is not as expected."""
    return _model(path, "SMPL", 6890, SMPL_JOINTS, None, 0)


def read_smplx(path: Path) -> SourceModel:
    """SMPL-X with 300 shape and 100 expression components. Raises InputError where the file is not as expected."""
    return _model(path, "SMPL-X", 10475, SMPLX_JOINTS, SMPLX_IDENTITY + SMPLX_EXPRESSION, SMPLX_IDENTITY)


def _model(path: Path, what: str, vertices: int, joints: tuple[str, ...], components: int | None, identity: int) -> SourceModel:
    tables = read_tables(path, what, vertices, len(joints), components)
    identity = identity or len(tables["components"])
    if not identity:
        raise InputError("has no shape components", file=path, found="shapedirs of 0 columns", expected="10 or more", remedy="give the model file")
    expression = tables["components"][identity:]
    return SourceModel(
        template=tables["template"],
        faces=tables["faces"],
        identity=tables["components"][:identity],
        expression=expression,
        expression_names=component_names(len(expression)),
        joint_names=joints,
        parents=tables["parents"],
        regressor=tables["regressor"],
        weights=tables["weights"],
        pose_basis=tables["pose_basis"],
        traits=_traits(joints),
        **_texture(tables["values"], tables["faces"]),
        regions=_regions(tables["weights"], joints),
        facts={"source": what},
    )


def _traits(joints: tuple[str, ...]) -> Traits:
    roles = {f"{role}_{side}": f"{side}_{joint}" for role, joint in _PAIRS.items() for side in ("left", "right")} | {"head": "head", "jaw": "jaw"}
    tables = {"head": _IN_HEAD, "body": _IN_BODY}
    free = {
        kind: {joint: sigmas for joint in joints if (sigmas := table.get(joint.removeprefix("left_").removeprefix("right_")))} for kind, table in tables.items()
    }
    upper = tuple(joint for joint in joints if joint.endswith(("neck", "head", "jaw", "eye")))
    kept = {role: joint for role, joint in roles.items() if joint in joints}
    return Traits("body", up=(0.0, 1.0, 0.0), front=(0.0, 0.0, 1.0), bounded=False, roles=kept, free=free, upper=upper)


def _regions(weights: np.ndarray, joints: tuple[str, ...]) -> dict[str, np.ndarray]:
    """From the skinning: the files have none."""
    parts = {
        "head": ("neck", "head", "jaw", "eye"),
        "torso": ("pelvis", "spine1", "spine2", "spine3", "collar"),
        "arms": ("shoulder", "elbow"),
        "hands": ("wrist", "hand", *FINGERS),
        "legs": ("hip", "knee"),
        "feet": ("ankle", "foot"),
    }
    regions = {name: of_joints(weights, joints, suffixes) for name, suffixes in parts.items()}
    eyes = {f"eye_{side}": of_joints(weights, joints, (f"{side}_eye",)) for side in ("left", "right")}
    if eyes["eye_left"].any():
        regions |= eyes
    return regions | {"skin": ~(eyes["eye_left"] | eyes["eye_right"])}


def _texture(values: dict, faces: np.ndarray) -> dict[str, np.ndarray]:
    """Texture coordinates, where a file (of SMPL-X) has them."""
    uv, uv_faces = (np.asarray(values.get(name, ())) for name in ("vt", "ft"))
    good = uv.ndim == 2 and uv.shape[1] == 2 and uv_faces.shape == faces.shape and uv_faces.dtype.kind in "iu" and np.isfinite(uv).all()
    if not good or uv_faces.min() < 0 or uv_faces.max() >= len(uv):
        return {}
    return {"uv": uv.astype(np.float64), "uv_faces": uv_faces.astype(np.int64)}
