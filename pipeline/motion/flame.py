"""Motions of FLAME as GaussianAvatars and VHAP write them: one npz per time step, or one with all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.body.flame_parameters import MOVING, pose_of, read_parameters
from pipeline.body.traits import component_names
from pipeline.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from pipeline.io.errors import InputError
from pipeline.io.progress import log, progress
from pipeline.motion.axes import Y_UP
from pipeline.motion.motion import MOST_FRAMES, Motion, checked

JOINTS, PARENTS = ("root", "neck", "jaw", "left_eye", "right_eye"), (-1, 0, 1, 1, 1)
FPS = 25.0  # VHAP's; the files state none


def read_flame(path: Path) -> Motion:
    """A flame_param.npz, or a folder of one npz per time step in the order of their names, as a motion of 25 frames per second.

    Expressions are named `expression_000` and so on, as in an imported FLAME: components of its basis. Raises InputError.
    """
    arrays = _folder(path) if path.is_dir() else read_parameters(path, MOVING)
    log(f"{path.name}: FLAME parameters, taken as {FPS:g} frames per second, which the form does not state")
    local = Y_UP @ rotvec_to_matrix(pose_of(arrays)) @ Y_UP.T
    names = component_names(arrays["expr"].shape[1])
    place = arrays["translation"].astype(np.float64) @ Y_UP.T
    motion = Motion(JOINTS, PARENTS, matrix_to_rotvec(local), place, FPS, names, arrays["expr"].astype(np.float64), model=True, world=Y_UP.T)
    return checked(motion, path)


def _folder(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(path for path in folder.glob("*.npz") if path.stem.isdecimal())
    if not 0 < len(files) <= MOST_FRAMES:
        raise InputError("not a folder of FLAME parameters", file=folder, found=f"{len(files)} files such as 00000.npz", expected="one per time step")
    steps = [read_parameters(file, MOVING) for file in progress(files, "FLAME parameters")]
    widths = {step["expr"].shape[1] for step in steps}
    if len(widths) > 1:
        raise InputError("time steps with different numbers of expressions", file=folder, found=sorted(widths), expected="the same in all files")
    return {name: np.concatenate([step[name] for step in steps]) for name in MOVING}
