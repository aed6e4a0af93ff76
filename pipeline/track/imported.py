"""A fit that a dataset brings: read, put into the world of the cameras, and compared with the mattes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from pipeline.body.flame_parameters import PARAMETERS, fit_of, read_parameters
from pipeline.body.model import ParametricModel
from pipeline.capture.camera import Camera
from pipeline.capture.mesh_view import view_mesh
from pipeline.capture.processed import Frame, ImageSet
from pipeline.capture.record import Capture
from pipeline.geometry.spread import spread
from pipeline.io.errors import InputError
from pipeline.io.progress import progress

CONSTANT = ("shape", "static_offset")  # of the subject: those of the first frame, as GaussianAvatars takes them
_AT_ONCE = 64  # frames posed together
FEW_FRAMES = 6  # compared with the mattes
LOW, BETTER = 0.75, 0.02  # overlap of silhouettes that is too small; how much more another reading of the cameras must have


def imported_fit(capture: Capture, frames: Sequence[Frame], model: ParametricModel, name: str) -> dict[str, np.ndarray]:
    """The arrays of fit.npz at these frames, of a capture of kind `gaussian_avatars`.

    Raises:
        InputError: parameters are missing, damaged, or of another model.
    """
    rows, first = [], None
    for frame in progress(frames, "tracked frames"):
        tracking = capture.tracking(frame.sequence)
        if tracking is None or frame.frame >= len(tracking.files):
            raise InputError(f"no tracked parameters of frame {frame.id}", expected="those of every frame", remedy=f"./c2a run {capture.id} --from ingest")
        path = tracking.files[frame.frame]
        row = read_parameters(path)
        first = first or (row, path)
        rows.append({**row, "translation": row["translation"] - np.array(tracking.shift)})
    assert first is not None
    parameters, path = first
    values = {key: parameters[key] if key in CONSTANT else np.concatenate([row[key] for row in rows]) for key in PARAMETERS}
    return fit_of(values, [frame.id for frame in frames], model, name, path)


def posed_vertices(model: ParametricModel, fit: Mapping[str, np.ndarray]) -> np.ndarray:
    """World vertices [F, V, 3] float32 of the arrays of a fit.npz."""
    identity, expression, pose, translation, offsets = (torch.from_numpy(fit[key]) for key in ("identity", "expression", "pose", "translation", "offsets"))
    chunks = zip(expression.split(_AT_ONCE), pose.split(_AT_ONCE), translation.split(_AT_ONCE))
    return torch.cat([model.pose_vertices(identity, e, p, t, float(fit["scale"]), offsets).vertices for e, p, t in chunks]).numpy()


def overlaps(images: ImageSet, cameras: Sequence[str], frames: Sequence[str], vertices: np.ndarray, faces: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean intersection over union of the mesh's silhouettes with the mattes, by reading of the principal point and camera.

    Readings: "stored", "cy from the other edge", "in the middle".

    Args:
        images: mattes. frames: F ids. vertices: [F, V, 3] world.
    """
    chosen = spread(len(frames), FEW_FRAMES)
    found: dict[str, dict[str, float]] = {reading: {} for reading in _readings(images.cameras[0])}
    for name in progress(cameras, "silhouettes"):
        archive = images.open(name)
        mattes = [archive.read(frames[number])[..., 3] > 127 for number in chosen]
        for reading, camera in _readings(images.by_name[name]).items():
            meshes = [view_mesh(camera, vertices[number].astype(np.float64), faces).buffers.face_id >= 0 for number in chosen]
            values = [(mesh & matte).sum() / max((mesh | matte).sum(), 1) for mesh, matte in zip(meshes, mattes)]
            found[reading][name] = round(float(np.mean(values)), 4)
    return found


def _readings(camera: Camera) -> dict[str, Camera]:
    flipped, middle = camera.K.copy(), camera.K.copy()
    flipped[1, 2] = camera.height - camera.K[1, 2]
    middle[:2, 2] = camera.width / 2, camera.height / 2
    return {"stored": camera, "cy from the other edge": replace(camera, K=flipped), "in the middle": replace(camera, K=middle)}


def overlap_warnings(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Warnings where silhouettes and mattes disagree, or agree better under another reading of the principal point."""
    mean = {reading: float(np.mean(list(values.values()))) for reading, values in found.items()}
    best = max(mean, key=lambda reading: mean[reading])
    texts = []
    if mean[best] > mean["stored"] + BETTER:
        texts.append(
            f"the tracked model covers {mean['stored']:.1%} of the mattes, and {mean[best]:.1%} with the principal point {best}: "
            "check cx and cy of the transforms files (cy counts from the lower edge)"
        )
    elif low := [f"{name} {value:.0%}" for name, value in found["stored"].items() if value < LOW]:
        texts.append(
            f"the tracked model does not cover the mattes: overlap (intersection over union) {', '.join(low[:5])}. Expected: above {LOW:.0%}. "
            "Look at the overlays in the report: is the model that of the tracking (FLAME 2020 or 2023, teeth), are the cameras those of the images?"
        )
    return texts
