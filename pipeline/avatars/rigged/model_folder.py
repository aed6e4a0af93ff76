"""Trained models of GaussianAvatars: a PLY with the face of each splat (`binding_0`) and flame_param.npz beside it, read and written.

Its triangle frames and local coordinates mean the same as ours (arXiv 2312.02069, eqs. 3 to 5). The body has to be the FLAME that the model was trained with.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.rigged.avatar import SPLAT_ARRAYS
from pipeline.avatars.splats.avatar import LOCAL
from pipeline.body.fit_file import FIT_ARRAYS
from pipeline.body.flame_parameters import check_flame, fit_of, parameters_of, read_parameters
from pipeline.body.model import load_model
from pipeline.capture.processed import frame_id
from pipeline.io.arrays import check_indices, load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.splat.formats.ply import read_ply, write_ply
from pipeline.splat.splats import Splats

PLY, FLAME = "point_cloud.ply", "flame_param.npz"
SEQUENCE = "take"  # the frames of a model folder have numbers alone
_ITERATION = re.compile(r"iteration_([0-9]{1,9})")


def read_model_folder(folder: Path, body: str) -> dict[str, np.ndarray]:
    """The arrays of an avatar.npz.

    Args:
        folder: of the model (its last iteration is taken), or of one iteration. body: name of the imported FLAME.

    Raises:
        InputError: a file is missing or damaged, is not rigged, or does not belong to this body.
    """
    model_folder, folder = folder, _newest(folder)
    if not (folder / PLY).is_file():
        expected = f"a folder with point_cloud/iteration_N/{PLY}, or {PLY} and {FLAME} themselves"
        raise InputError("is no trained model of GaussianAvatars", file=model_folder, expected=expected, remedy="correct the folder")
    splats, binding = read_ply(folder / PLY)
    if binding is None:
        raise InputError("has no column binding_0", file=folder / PLY, expected="splats that are bound to faces of FLAME")
    model, parameters = load_model(body), read_parameters(folder / FLAME)
    frames = [frame_id(SEQUENCE, number) for number in range(len(parameters["expr"]))]
    fit = fit_of(parameters, frames, model, body, folder / FLAME)
    check_indices(binding, len(model.faces), "binding_0", folder / PLY, "import FLAME with --teeth, or without, as the model was trained")
    assert splats.sh is not None
    values = (splats.means, splats.quats, splats.log_scales, splats.opacities, splats.sh[:, :1], splats.sh[:, 1:])
    return {"method": np.array("rigged"), "binding": binding, **{name: value.numpy() for name, value in zip(LOCAL, values)}, **fit}


def write_model_folder(avatar: Path, folder: Path, iteration: int = 1) -> Path:
    """Write an avatar.npz whose body is a FLAME as a model that GaussianAvatars' viewer opens; returns the folder of its files.

    Raises InputError where the body is not a FLAME, or where its world is not in metres.
    """
    arrays = load_npz(avatar, {**FIT_ARRAYS, **SPLAT_ARRAYS})
    check_flame(load_model(str(arrays["model"])), avatar)
    target, parameters = folder / "point_cloud" / f"iteration_{iteration}", parameters_of(arrays)
    means, quats, log_scales, opacities, dc, rest = (torch.from_numpy(arrays[name]) for name in LOCAL)
    save_npz(target / FLAME, parameters)
    write_ply(target / PLY, Splats(means, quats, log_scales, opacities, torch.cat([dc, rest], dim=1)), arrays["binding"])
    return target


def _newest(folder: Path) -> Path:
    """The folder of the last iteration of a model; the folder itself where it has none."""
    folders = {int(match[1]): path for path in folder.glob("point_cloud/iteration_*") if (match := _ITERATION.fullmatch(path.name))}
    return folders[max(folders)] if folders else folder
