"""Position and orientation of the subject in every frame before the fit: a similarity transform per frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from pipeline.geometry.similarity import ransac_similarity, umeyama
from pipeline.io.errors import InputError
from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.landmarks import Landmarks
from pipeline.track.observations import FACE, POSE, Observations
from pipeline.track.state import State
from pipeline.vision.mediapipe_indices import EARS, HIPS, NOSE, SHOULDERS

TORSO = np.r_[SHOULDERS, HIPS] + POSE.start
TORSO_AND_HEAD = np.r_[SHOULDERS, HIPS, NOSE, EARS] + POSE.start
INLIER_DISTANCE = 0.2  # of the similarity, as a fraction of the points' spread (see `ransac_similarity`)
METRIC_SCALE_TOLERANCE = 0.25  # a scale this close to 1 is taken as 1: metres, and a larger or smaller subject


class Similarity(NamedTuple):
    """x -> scale * R @ x + t."""

    scale: float
    R: np.ndarray
    t: np.ndarray


def initial_state(
    body: GaussNewtonBody,
    landmarks: Landmarks,
    observations: Observations,
    kind: str,
    training: np.ndarray,
    remedy: str,
) -> tuple[State, list[int]]:
    """A state with only root rotation, translation and scale set.

    Args:
        training: [F] bool, the frames that determine the scale.

    Returns:
        the state, and the indices of frames interpolated from their neighbours.

    Raises:
        InputError: no training frame has enough triangulated points.
    """
    points3d = observations.points3d
    mean_shape = np.zeros((points3d.shape[1], 3))
    mean_shape[landmarks.rows] = landmarks.points.template
    on_model = np.zeros(len(mean_shape), bool)
    on_model[landmarks.rows] = True
    scales = [place.scale for points in points3d[training] if (place := _align(mean_shape, points, on_model, kind, None))]
    if not scales:
        views = (observations.weight > 0).any(2).sum(1)
        raise InputError(
            "no training frame shows the subject in two cameras that agree",
            found=f"at most {views.max(initial=0)} cameras agree on a point in any frame",
            expected="at least 2 cameras that see the same face or body, and a calibration that fits them",
            remedy=remedy,
        )
    scale = float(np.median(scales))
    scale = 1.0 if abs(scale - 1) <= METRIC_SCALE_TOLERANCE else scale
    places = [_align(mean_shape, points, on_model, kind, scale) for points in points3d]
    missing = [f for f, place in enumerate(places) if place is None]
    R, t = _interpolate(places, observations)
    state = body.initial_state(len(points3d), landmarks.count)
    state.rotations[:, 0] = R
    # the root turns about its rest joint j, a similarity about the origin: s (j + R (x - j)) + t' = s R x + t
    translation = t - scale * (body.joints[0] - R @ body.joints[0])
    return replace(state, translation=translation, scale=scale), missing


def _align(
    mean_shape: np.ndarray,
    points: np.ndarray,
    on_model: np.ndarray,
    kind: str,
    scale: float | None,
) -> Similarity | None:
    """The similarity from the mean shape to the triangulated points [P, 3] of one frame; None with too few points."""
    known = on_model & np.isfinite(points).all(1)
    if kind == "head":
        rows = np.flatnonzero(known[FACE])
        result = ransac_similarity(mean_shape[rows], points[rows], INLIER_DISTANCE, scale=scale)
        return Similarity(*result[:3]) if result else None
    rows = TORSO[known[TORSO]]
    if len(rows) < 4:
        rows = TORSO_AND_HEAD[known[TORSO_AND_HEAD]]
    return Similarity(*umeyama(mean_shape[rows], points[rows], scale=scale)) if len(rows) >= 3 else None


def _interpolate(places: Sequence[Similarity | None], observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Rotations [F, 3, 3] and translations [F, 3]; unknown ones from known frames of the sequence, else of all sequences."""
    known = {f: place for f, place in enumerate(places) if place is not None}
    R, t = np.empty((len(places), 3, 3)), np.empty((len(places), 3))
    for f, frame in enumerate(observations.frames):
        candidates = [k for k in known if observations.frames[k].sequence == frame.sequence] or list(known)
        before = max((k for k in candidates if k <= f), default=candidates[0])
        after = min((k for k in candidates if k >= f), default=candidates[-1])
        share = 0.0 if after == before else (f - before) / (after - before)
        first, second = known[before], known[after]
        R[f] = Slerp([0, 1], Rotation.from_matrix(np.stack([first.R, second.R])))(share).as_matrix()
        t[f] = (1 - share) * first.t + share * second.t
    return R, t


def transfer_head_pose(
    body: GaussNewtonBody,
    landmarks: Landmarks,
    points3d: np.ndarray,
    source_state: State,
    source: int,
    state: State,
    frame: int,
) -> None:
    """Set the pose of `frame` in `state`, in place, to that of frame `source` in `source_state`, moved rigidly.

    The rigid motion aligns the face landmarks with the triangulated points [511, 3] of `frame`; without an alignment the
    pose is copied.
    """
    state.rotations[frame], state.translation[frame] = source_state.rotations[source], source_state.translation[source]
    rows = np.flatnonzero(np.isfinite(points3d[landmarks.rows]).all(1) & landmarks.on_face)
    joints = body.pose_joints(source_state, source)
    points = body.pose_points(joints, source_state, source, landmarks.points)
    result = ransac_similarity(points[rows], points3d[landmarks.rows[rows]], INLIER_DISTANCE, scale=1.0)
    if result is None:
        return
    _, R, t, _ = result
    pivot = state.scale * joints.rest[0]
    state.rotations[frame, 0] = R @ source_state.rotations[source, 0]
    state.translation[frame] = R @ (source_state.translation[source] + pivot) + t - pivot
