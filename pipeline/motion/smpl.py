"""Motions of SMPL bodies: AMASS (SMPL-H and SMPL-X npz) and AIST++ (pkl).

SMPL at rest is T-posed, y up, faces +z, its left is +x; AMASS' world is z up, that of AIST++ y up. The files state betas and no skeleton: REST is an adult
in that pose, its bones' directions to a few degrees, which is all that other rigs need of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.body.smpl_joints import joints_of
from pipeline.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from pipeline.io.arrays import Numbers, Shape, check_arrays, check_finite, load_npz
from pipeline.io.errors import InputError
from pipeline.io.pickled_values import read_pickle
from pipeline.motion.axes import Y_UP
from pipeline.motion.motion import LARGEST, Motion, check_fps, checked

_LEFT_REST = {  # of pelvis and left side, metres, in the axes of a motion (z up, facing -y)
    **{"pelvis": (0, 0, 0), "spine1": (0, 0.03, 0.12), "spine2": (0, 0.02, 0.26), "spine3": (0, 0, 0.31), "neck": (0, 0.03, 0.52), "head": (0, -0.02, 0.6)},
    **{"hip": (0.07, 0.01, -0.09), "knee": (0.1, 0.01, -0.47), "ankle": (0.09, 0.05, -0.87), "foot": (0.12, -0.07, -0.93), "jaw": (0, -0.02, 0.6)},
    **{"collar": (0.08, 0.04, 0.43), "shoulder": (0.18, 0.05, 0.45), "elbow": (0.44, 0.06, 0.45), "wrist": (0.69, 0.06, 0.45), "eye": (0.03, -0.1, 0.66)},
    **{
        f"{finger}{n}": (0.78 + 0.03 * (n - 1), y, 0.45) for finger, y in (("index", 0.03), ("middle", 0.06), ("ring", 0.08), ("pinky", 0.1)) for n in (1, 2, 3)
    },
    **{f"thumb{n}": (0.72 + 0.02 * n, 0.04 - 0.02 * n, 0.44) for n in (1, 2, 3)},
}
RATES = ("mocap_framerate", "mocap_frame_rate", "framerate", "fps")
MODELS = {72: "SMPL", 156: "SMPL-H", 165: "SMPL-X"}
_AIST_FPS = 60.0
_PARTS = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")


def read_amass(path: Path) -> Motion:
    """An AMASS npz, with `poses` or its parts, as a motion. Betas, gender and soft tissue are left out. Raises InputError."""
    arrays = load_npz(path, only=("poses", "trans", *_PARTS, *RATES))
    rate = next((arrays[name] for name in RATES if name in arrays), None)
    if rate is None or rate.size != 1 or rate.dtype.kind not in "iuf":
        found = "none" if rate is None else f"an array of shape {rate.shape}"
        raise InputError("states no frame rate", file=path, found=found, expected=" or ".join(RATES[:2]), remedy="give the file as AMASS has it")
    count = len(arrays["trans"]) if "trans" in arrays and arrays["trans"].ndim else 0
    columns = {"root_orient": 3, "pose_body": 63, "pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
    if "root_orient" in arrays:
        parts = {name: columns[name] for name in _PARTS if name in arrays or name in _PARTS[:2]}
        _check(arrays, {name: Numbers((count, width)) for name, width in parts.items()}, path)
        if not {"pose_jaw", "pose_eye"} <= set(parts):
            parts = {name: width for name, width in parts.items() if name not in ("pose_jaw", "pose_eye")}
        poses = np.concatenate([arrays[name] for name in parts], axis=1)
    else:
        _check(arrays, {"poses": Numbers((count, None))}, path)
        poses = arrays["poses"]
    _check(arrays, {"trans": Numbers((count, 3))}, path)
    return _motion(poses, arrays["trans"], check_fps(float(rate), path), np.eye(3), 1.0, path)


def read_aist(path: Path) -> Motion:
    """An AIST++ pkl as a motion: `smpl_poses` [T, 72], `smpl_trans` in centimetres, `smpl_scaling` (centimetres of the mesh per metre of SMPL), 60 fps."""
    expected = "an AIST++ motion with smpl_poses, smpl_trans and smpl_scaling"
    values = read_pickle(path, expected=expected, remedy="give the file as AIST++ has it; nothing in it was executed")
    if not isinstance(values, dict) or not {"smpl_poses", "smpl_trans"} <= values.keys():
        found = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise InputError("is no motion", file=path, found=found, expected=expected)
    try:
        poses, trans, scaling = (np.asarray(values.get(name, 100.0), np.float64) for name in ("smpl_poses", "smpl_trans", "smpl_scaling"))
    except (TypeError, ValueError) as error:
        raise InputError("does not hold numbers", file=path, found=error, expected=expected) from None
    arrays = {"smpl_poses": poses.reshape(len(poses), -1) if poses.ndim else poses, "smpl_trans": trans}
    _check(arrays, {"smpl_poses": Numbers((len(trans) if trans.ndim else 0, 72)), "smpl_trans": Numbers(("frames", 3))}, path)
    scale = float(scaling.reshape(-1)[0]) / 100 if scaling.size == 1 else 0.0
    if not 0.1 < scale < 10:
        raise InputError("an impossible smpl_scaling", file=path, found=scaling, expected="about 100: centimetres of the mesh per metre of SMPL")
    return _motion(arrays["smpl_poses"], trans / 100, _AIST_FPS, Y_UP, scale, path)


def _motion(poses: np.ndarray, trans: np.ndarray, fps: float, world: np.ndarray, scale: float, path: Path) -> Motion:
    """poses: [T, 3 J] rotation vectors in SMPL's axes. world: from the file's world to that of a motion."""
    if poses.shape[1] not in (66, 75, 72, 156, 165):
        expected = ", ".join(f"{width} ({model})" for width, model in MODELS.items())
        raise InputError("poses of an unknown body", file=path, found=f"{poses.shape[1]} numbers a frame", expected=expected)
    if not len(poses):
        raise InputError("a motion with 0 frames", file=path, expected="at least 1")
    check_finite({"poses": poses, "trans": trans}, LARGEST, path)
    names, parents = joints_of(poses.shape[1] // 3)
    local = rotvec_to_matrix(poses.reshape(len(poses), -1, 3).astype(np.float64))
    rotations = Y_UP @ local @ Y_UP.T
    rotations[:, 0] = world @ local[:, 0] @ Y_UP.T
    rest = scale * np.array([_rest(name) for name in names])
    path_of_root = trans.astype(np.float64) @ world.T
    return checked(Motion(names, parents, matrix_to_rotvec(rotations), path_of_root, fps, rest=rest, model=True), path)


def _rest(name: str) -> np.ndarray:
    side, _, part = name.rpartition("_")
    x, y, z = _LEFT_REST["middle1" if part == "hand" else part]
    return np.array([-x if side == "right" else x, y, z], np.float64)


def _check(arrays: dict[str, np.ndarray], expected: dict[str, Shape], path: Path) -> None:
    check_arrays(arrays, expected, path, "give the file as it was downloaded")
