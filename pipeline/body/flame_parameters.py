"""FLAME's parameters as GaussianAvatars and VHAP store them, and the same as the arrays of a fit.npz.

A FLAME is posed here as there (the root turns about its own joint, the translation comes last), so that only names change: pose rows are rotation, neck, jaw,
left eye, right eye.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.io.arrays import Numbers, Shape, check_finite, load_npz
from pipeline.io.errors import InputError

_POSES = {"rotation": 3, "neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6}
MOVING: dict[str, Shape] = {**{name: Numbers(("frames", width)) for name, width in _POSES.items()}, "translation": Numbers(("frames", 3))}
MOVING["expr"] = Numbers(("frames", "components"))
"""What changes from frame to frame."""
PARAMETERS: dict[str, Shape] = {**MOVING, "shape": Numbers((300,)), "expr": Numbers(("frames", 100)), "static_offset": Numbers((1, None, 3))}
"""What a file of a whole subject holds; `dynamic_offset`, which no published program adds, is not read."""
WITHOUT_TEETH = 5023  # vertices
_LARGEST = 1e4
_REMEDY = "export the sequence again"


def read_parameters(path: Path, names: Mapping[str, Shape] = PARAMETERS) -> dict[str, np.ndarray]:
    """The parameters of a file: of one time step, or of T. Raises InputError where it is damaged, lacks one, or holds what is not finite.

    Args:
        names: PARAMETERS, or MOVING alone.
    """
    arrays = load_npz(path, names, only=names, remedy=_REMEDY)
    check_finite(arrays, _LARGEST, path, _REMEDY)
    return arrays


def pose_of(parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rotation vectors [T, 5, 3] of root, neck, jaw, left and right eye."""
    pose = np.concatenate([parameters[name] for name in _POSES], axis=1)
    return pose.reshape(len(pose), -1, 3)


def fit_of(parameters: Mapping[str, np.ndarray], frames: Sequence[str], model: ParametricModel, name: str, path: Path) -> dict[str, np.ndarray]:
    """The arrays of a fit.npz.

    Args:
        parameters: with the shapes of PARAMETERS. frames: ids. name: of the imported model. path: for messages.

    Raises:
        InputError: the model is no FLAME, or the offsets have another number of vertices.
    """
    check_flame(model, path)
    offsets, vertices = parameters["static_offset"][0], model.vertex_count
    if len(offsets) not in (vertices, WITHOUT_TEETH) or len(offsets) > vertices:
        raise InputError(
            "static_offset has another number of vertices than the model",
            file=path,
            found=f"{len(offsets)} vertices",
            expected=f"{vertices}, as {name} has",
            remedy=f"import the model {'with' if len(offsets) > vertices else 'without'} --teeth",
        )
    arrays = {
        "identity": parameters["shape"],
        "offsets": np.concatenate([offsets, np.zeros((vertices - len(offsets), 3))]),  # the teeth of a track without teeth
        "scale": np.array(1.0),
        "pose": pose_of(parameters),
        "expression": parameters["expr"],
        "translation": parameters["translation"],
    }
    return {"model": np.array(name), "frames": np.array(frames), **{key: np.asarray(value, np.float32) for key, value in arrays.items()}}


def parameters_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inverse of `fit_of`, float32, with the `dynamic_offset` of zeros that GaussianAvatars' viewer asks for. Raises InputError for a world not in metres."""
    pose, scale = arrays["pose"], float(arrays["scale"])
    if abs(scale - 1) > 1e-6:
        raise InputError("FLAME's parameters have no scale", found=f"{scale:g} world units per metre", expected="1, a calibration in metres")
    parameters = {
        "shape": arrays["identity"],
        "expr": arrays["expression"],
        **{name: pose[:, joint] for joint, name in enumerate(list(_POSES)[:3])},
        "eyes_pose": pose[:, 3:].reshape(len(pose), 6),
        "translation": arrays["translation"],
        "static_offset": arrays["offsets"][None],
        "dynamic_offset": np.zeros((len(pose), *arrays["offsets"].shape)),
    }
    return {name: np.asarray(value, np.float32) for name, value in parameters.items()}


def check_flame(model: ParametricModel, path: Path) -> None:
    """Raise InputError unless a model has the components and joints of FLAME. path: of what needs it."""
    sizes = len(model.identity_basis), len(model.expression_basis), len(model.parents)
    if sizes != (300, 100, 5):
        raise InputError(
            f"the model '{model.name}' is not a FLAME",
            file=path,
            found=f"{sizes[0]} identity and {sizes[1]} expression components, {sizes[2]} joints",
            expected="300, 100 and 5",
            remedy="./c2a body import flame FILE --name NAME, and NAME in the column 'model' of captures.tsv",
        )
