"""The fit as arrays of fit.npz and as facts of the manifest."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.track.fit import FitResult
from pipeline.track.observations import Observations
from pipeline.vision.mediapipe_indices import FACE_POINTS


def fit_arrays(model: str, observations: Observations, fit: FitResult) -> dict[str, np.ndarray]:
    """The content of fit.npz; points3d [F, 511, 3] are the 478 face and then the 33 body points."""
    state = fit.state
    return {
        "model": np.array(model),
        "frames": np.array([frame.id for frame in observations.frames]),
        "cameras": np.array([camera.name for camera in observations.cameras]),
        "identity": state.identity.astype(np.float32),
        "offsets": state.vertex_offsets.astype(np.float32),
        "scale": np.array(state.scale, np.float32),
        "pose": fit.body.full_pose(state.rotations),
        "expression": state.expression.astype(np.float32),
        "translation": state.translation.astype(np.float32),
        "points3d": observations.points3d.astype(np.float32),
        "residual_px": fit.residual_px.astype(np.float32),
    }


def fit_facts(observations: Observations, fit: FitResult) -> dict[str, Any]:
    """Facts about a fit for the manifest and the report (JSON); numbers that are not defined are None."""
    cameras = [camera.name for camera in observations.cameras]
    unused = np.setdiff1d(np.arange(FACE_POINTS), fit.landmarks.rows).tolist()
    detections = zip(cameras, observations.detected, observations.kept)
    return {
        "residual_px": dict(zip(cameras, map(_rounded, fit.residual_px))),
        "residual_px_all": _rounded(fit.residual_px_all),
        "triangulation_px": dict(zip(cameras, map(_rounded, observations.triangulation_px))),
        "noise_px": {name: [_rounded(value) for value in sigma] for name, sigma in zip(cameras, observations.sigma)},
        "detections": {name: {"seen": int(detected), "kept": int(kept)} for name, detected, kept in detections},
        "landmarks": fit.landmarks.count,
        "face_points_not_on_the_model": unused,
        "scale": round(float(fit.state.scale), 4),
        "free_joints": list(fit.body.names),
        **fit.facts,
    }


def _rounded(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
