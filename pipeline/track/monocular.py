"""The head in a plain video: the fit of a capture with one camera that nobody calibrated.

Depth comes from the size of the mean head under an assumed focal length, identity is mostly the prior's, silhouettes are not used. What is kept of it,
expressions and rotations, depends little on either.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame
from pipeline.io.errors import InputError
from pipeline.track.fit import FitResult, Fitter
from pipeline.track.observations import MINIMUM_SIGMA_PX, Observations, temporal_weights
from pipeline.track.settings import FitSettings
from pipeline.vision.mediapipe_indices import FACE_POINTS, POSE_POINTS

FOCAL = 1.1  # of the longer side of the image: phones and webcams are 0.9 to 1.4
DETECTOR_SIGMA = 0.006  # standard deviation of a face point, as a fraction of the face's diagonal
CAMERAS = 8  # as many cameras that see the same: the fit's priors are tuned for as many
SMALLEST_FACE = 30  # detected points in a frame


def assumed_camera(width: int, height: int, focal: float | None = None) -> Camera:
    """A camera of the world's origin with the principal point in the middle. focal: pixels; None: FOCAL times the longer side."""
    f = focal or FOCAL * max(width, height)
    return Camera("video", width, height, np.array([[f, 0, width / 2], [0, f, height / 2], [0, 0, 1.0]]), np.eye(3), np.zeros(3))


def fit_video(model: ParametricModel, camera: Camera, frames: tuple[Frame, ...], face: np.ndarray, remedy: str) -> FitResult:
    """The model's parameters in every frame. Frames without a face are interpolated.

    Args:
        face: [F, 478, 3] x, y in pixels, score; nan without a detection.

    Raises:
        InputError: no frame shows a face.
    """
    settings = replace(FitSettings(), contour_points=0, stereo_sigma_mm=0.0)
    observations = _observe(model, camera, frames, face, remedy)
    training = np.asarray((observations.weight > 0).any((1, 2)))
    return Fitter(model, "head", observations, lambda _: [], lambda _: [], settings, training).run(remedy)


def _observe(model: ParametricModel, camera: Camera, frames: tuple[Frame, ...], face: np.ndarray, remedy: str) -> Observations:
    """Detections of one camera; points3d are those of the mean head in the pose that reprojects best."""
    pixels = np.concatenate([face[..., :2], np.full((len(face), POSE_POINTS, 2), np.nan)], axis=1)[:, None].astype(np.float64)
    score = np.concatenate([np.nan_to_num(face[..., 2]), np.zeros((len(face), POSE_POINTS))], axis=1)[:, None]
    known = np.isfinite(pixels).all(-1) & (score > 0)
    table = model.landmarks["mediapipe_face"]
    valid = np.flatnonzero(table.valid.numpy())
    mean_shape = (model.template[table.vertices] * table.weights[..., None]).sum(1).double().numpy()
    points3d = np.full((len(face), FACE_POINTS + POSE_POINTS, 3), np.nan)
    sizes = []
    for number in range(len(face)):
        rows = valid[known[number, 0, valid]]
        if len(rows) < SMALLEST_FACE:
            known[number] = False
            continue
        seen = np.ascontiguousarray(pixels[number, 0, rows])
        sizes.append(float(np.linalg.norm(np.ptp(seen, axis=0))))
        _, turn, t = cv2.solvePnP(np.ascontiguousarray(mean_shape[rows]), seen, camera.K, None, flags=cv2.SOLVEPNP_SQPNP)
        points3d[number, rows] = mean_shape[rows] @ cv2.Rodrigues(turn)[0].T + t.ravel()
    if not sizes:
        raise InputError("no frame shows a face", found=f"{len(face)} frames", expected="a face that MediaPipe detects", remedy=remedy)
    sigma = max(DETECTOR_SIGMA * float(np.median(sizes)), MINIMUM_SIGMA_PX)
    weight = np.where(known, CAMERAS * np.clip(score, 0, 1) / sigma**2, 0.0)
    return Observations(
        cameras=(camera,),
        frames=frames,
        pixels=np.where(known[..., None], pixels, 0.0),
        weight=weight,
        points3d=points3d,
        sigma=np.full((1, 2), sigma),
        temporal_weight=temporal_weights(frames),
        detected=known.sum((0, 2)),
        kept=known.sum((0, 2)),
        triangulation_px=np.full(1, np.nan),
    )
