"""What the stages call of the `rigged` method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.avatars.method import Form
from pipeline.avatars.rigged.avatar import SPLAT_ARRAYS, RiggedAvatar
from pipeline.avatars.rigged.initialise import initial_splats
from pipeline.avatars.rigged.model_folder import read_model_folder, write_model_folder
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.settings import InitSettings, RiggedTrainSettings
from pipeline.avatars.splats.avatar import check_local
from pipeline.body.fit_file import FIT_ARRAYS
from pipeline.capture.processed import read_image_set
from pipeline.capture.sample import read_sample
from pipeline.contract.layout import Subject
from pipeline.io.arrays import check_indices, load_npz, save_npz

FORMS = {"gaussian_avatars": Form(read_model_folder, write_model_folder)}


def initialise(settings: InitSettings, subjects: Sequence[Subject], path: Path, threads: int) -> dict[str, Any]:
    """Write init.npz: splats on the fitted mesh, coloured by the training images. Returns facts for the manifest."""
    torch.set_num_threads(threads)
    layout = subjects[0].layout
    sample, images = read_sample(layout.sample), read_image_set(layout.alpha_json, layout.alpha)
    body = PosedBody.from_fit(layout.fit, sample.frames, remedy=f"./c2a run {subjects[0].name} --from fit")
    arrays = initial_splats(body, images, sample.train_cameras, sample.train, settings)
    save_npz(path, arrays)
    counts = np.bincount(arrays["binding"], minlength=len(body.faces))
    return {
        "splats": len(arrays["binding"]),
        "triangles": len(body.faces),
        "most_per_triangle": int(counts.max()),
        "seen": round(float(arrays["seen"].mean()), 4),
    }


def build(settings: RiggedTrainSettings, subjects: Sequence[Subject], init: Path, device: torch.device) -> RiggedAvatar:
    """The avatar of an init.npz, ready to be trained."""
    subject = subjects[0]
    body = PosedBody.from_fit(subject.layout.fit, remedy=f"./c2a run {subject.name} --from fit").to(device)
    if not settings.trains_body():
        body.cache_posed()
    remedy = f"./c2a run {subject.name} --from init"
    arrays = load_npz(init, SPLAT_ARRAYS, remedy=remedy)
    check_splats(arrays, len(body.faces), init, remedy)
    avatar = RiggedAvatar(body, subject.name, settings)
    avatar.initialise(arrays)
    return avatar.to(device)


def open_avatar(path: Path, device: torch.device | str = "cpu", *, remedy: str = "") -> RiggedAvatar:
    """The avatar of an avatar.npz, ready to be drawn. Raises InputError where the file is missing or is something else."""
    arrays = load_npz(path, {**FIT_ARRAYS, **SPLAT_ARRAYS}, remedy=remedy)
    body = PosedBody.from_arrays(arrays, path, remedy=remedy)
    check_splats(arrays, len(body.faces), path, remedy)
    avatar = RiggedAvatar(body)
    avatar.initialise(arrays)
    avatar.eval()
    return avatar.to(device)


def check_splats(arrays: Mapping[str, np.ndarray], faces: int, path: Path, remedy: str = "") -> None:
    """Raise InputError where arrays in the shapes of SPLAT_ARRAYS are no splats on a mesh of so many faces."""
    check_indices(arrays["binding"], faces, "binding", path, remedy)
    check_local(arrays, path, remedy)


def compile_kernels() -> None:
    """Use each numba kernel of the method once."""
    from pipeline.avatars.rigged.binding import bind

    triangle = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]).requires_grad_()
    local = [value.requires_grad_() for value in (torch.rand(8, 3), torch.rand(8, 4), torch.full((8, 3), -3.0))]
    world = bind(triangle, torch.tensor([[0, 1, 2]]), torch.zeros(8, dtype=torch.int64), *local)
    torch.cat([value.flatten() for value in world]).sum().backward()
