"""Trained models of GaussianAvatars: a PLY with the face of each splat (`binding_0`) and flame_param.npz beside it, read and written.

Its triangle frames, local coordinates and FLAME parameters mean the same as ours (arXiv 2312.02069, eqs. 3 to 5), so that only names change. The body has to be
the FLAME that the model was trained with (`./c2a body import flame`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.rigged.avatar import LOCAL
from pipeline.body.model import ParametricModel, load_model
from pipeline.capture.processed import frame_id
from pipeline.io.arrays import Numbers, Shape, check_finite, check_indices, load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.splat.formats.ply import read_ply, write_ply
from pipeline.splat.splats import Splats

PARAMETERS: dict[str, Shape] = {
    "shape": Numbers((300,)),
    "expr": Numbers(("frames", 100)),
    "rotation": Numbers(("frames", 3)),
    "neck_pose": Numbers(("frames", 3)),
    "jaw_pose": Numbers(("frames", 3)),
    "eyes_pose": Numbers(("frames", 6)),
    "translation": Numbers(("frames", 3)),
    "static_offset": Numbers((1, None, 3)),
}
"""What flame_param.npz holds; `dynamic_offset`, which no published code adds, is not read."""
PLY, FLAME = "point_cloud.ply", "flame_param.npz"
SEQUENCE = "take"  # the frames of a model folder have numbers alone
_LARGEST = 1e4
_ITERATION = re.compile(r"iteration_([0-9]{1,9})")


def is_model_folder(folder: Path) -> bool:
    """Whether a folder holds a trained model, in `point_cloud/iteration_N` or itself."""
    return (_newest(folder) / PLY).is_file()


def read_model_folder(folder: Path, body: str) -> dict[str, np.ndarray]:
    """The arrays of an avatar.npz.

    Args:
        folder: of the model (its last iteration is taken), or of one iteration. body: name of the imported FLAME.

    Raises:
        InputError: a file is missing or damaged, is not rigged, or does not belong to this body.
    """
    folder = _newest(folder)
    splats, binding = read_ply(folder / PLY)
    if binding is None:
        raise InputError("has no column binding_0", file=folder / PLY, expected="splats that are bound to faces", remedy="open it as plain splats")
    assert splats.sh is not None
    model, found = load_model(body), load_npz(folder / FLAME, PARAMETERS)
    _check_body(model, folder / FLAME)
    check_finite({name: found[name] for name in PARAMETERS}, _LARGEST, folder / FLAME)
    check_indices(binding, len(model.faces), "binding_0", folder / PLY, "import FLAME with --teeth, or without, as the model was trained")
    local = {"means": splats.means, "quats": splats.quats, "log_scales": splats.log_scales, "opacities": splats.opacities}
    local |= {"sh_dc": splats.sh[:, :1], "sh_rest": splats.sh[:, 1:]}
    arrays = {name: value.numpy() for name, value in local.items()}
    return {"method": np.array("rigged"), "binding": binding, **arrays, **fit_of(found, model, body, folder / FLAME)}


def fit_of(parameters: Mapping[str, np.ndarray], model: ParametricModel, body: str, path: Path) -> dict[str, np.ndarray]:
    """The arrays of a fit.npz, of FLAME parameters with the shapes of PARAMETERS. Raises InputError where the offsets do not suit the model."""
    offsets, vertices = parameters["static_offset"][0], model.vertex_count
    if len(offsets) not in (vertices, 5023) or len(offsets) > vertices:
        expected = f"1 x {vertices} x 3, as {body} has vertices"
        raise InputError("static_offset has another number of vertices", file=path, found=len(offsets), expected=expected, remedy="import FLAME with --teeth")
    joints = [parameters[name] for name in ("rotation", "neck_pose", "jaw_pose", "eyes_pose")]
    arrays = {
        "identity": parameters["shape"],
        "offsets": np.concatenate([offsets, np.zeros((vertices - len(offsets), 3))]),  # files without teeth: these have none
        "scale": np.array(1.0),
        "pose": np.concatenate(joints, axis=1).reshape(len(joints[0]), -1, 3),
        "expression": parameters["expr"],
        "translation": parameters["translation"],
    }
    names = np.array([frame_id(SEQUENCE, number) for number in range(len(parameters["expr"]))])
    return {"model": np.array(body), "frames": names, **{name: np.asarray(value, np.float32) for name, value in arrays.items()}}


def write_model_folder(arrays: Mapping[str, np.ndarray], folder: Path, iteration: int = 1) -> Path:
    """Write an avatar whose body is a FLAME as a model that GaussianAvatars' viewer opens; returns the folder of its files.

    Args:
        arrays: of avatar.npz.

    Raises InputError where the body is not a FLAME, or where its world is not in metres.
    """
    body, scale = str(arrays["model"]), float(arrays["scale"])
    _check_body(load_model(body), Path(body))
    if abs(scale - 1) > 1e-6:
        raise InputError("FLAME parameters have no scale", found=f"{scale:g} world units per metre", expected="a calibration in metres")
    target = folder / "point_cloud" / f"iteration_{iteration}"
    pose = arrays["pose"]
    parameters = {
        "shape": arrays["identity"],
        "expr": arrays["expression"],
        "rotation": pose[:, 0],
        "neck_pose": pose[:, 1],
        "jaw_pose": pose[:, 2],
        "eyes_pose": pose[:, 3:].reshape(len(pose), 6),
        "translation": arrays["translation"],
        "static_offset": arrays["offsets"][None],
        "dynamic_offset": np.zeros((len(pose), *arrays["offsets"].shape)),  # its viewer asks for it
    }
    means, quats, log_scales, opacities, dc, rest = (torch.from_numpy(arrays[name]) for name in LOCAL)
    save_npz(target / FLAME, {name: np.asarray(value, np.float32) for name, value in parameters.items()})
    write_ply(target / PLY, Splats(means, quats, log_scales, opacities, torch.cat([dc, rest], dim=1)), arrays["binding"])
    return target


def _newest(folder: Path) -> Path:
    """The folder of the last iteration of a model; the folder itself where it has none."""
    found = {int(match[1]): path for path in folder.glob("point_cloud/iteration_*") if (match := _ITERATION.fullmatch(path.name))}
    return found[max(found)] if found else folder


def _check_body(model: ParametricModel, path: Path) -> None:
    sizes = len(model.identity_basis), len(model.expression_basis), len(model.parents)
    if sizes != (300, 100, 5):
        found = f"{model.name}: {sizes[0]} identity and {sizes[1]} expression components, {sizes[2]} joints"
        raise InputError(
            "the body is not a FLAME", file=path, found=found, expected="300, 100 and 5", remedy="./c2a body import flame FILE --name NAME, and give that name"
        )
