"""Where the person is in every frame, before anything is fitted: a similarity transform per frame, from any orientation of the rig."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from pipeline.geometry.similarity import ransac_similarity, umeyama
from pipeline.io.errors import InputError
from pipeline.track.gauss_newton_body import Rig, State
from pipeline.track.landmarks import Landmarks
from pipeline.track.observe import FACE, FACE_POINTS, Observations

TORSO = tuple(FACE_POINTS + k for k in (11, 12, 23, 24))
HEAD_OF_BODY = tuple(FACE_POINTS + k for k in (0, 7, 8))
AGREEMENT = 0.2
SCALE_SLACK = 0.25


def start(rig: Rig, landmarks: Landmarks, seen: Observations, kind: str, remedy: str) -> tuple[State, list[int]]:
    """A state with only the root moved, and the frames [list of indices] whose place had to be taken from their neighbours.

    Raises:
        InputError: no frame has enough triangulated points.
    """
    mean = np.zeros((seen.points3d.shape[1], 3))
    mean[landmarks.rows] = landmarks.points.template
    usable = np.zeros(len(mean), bool)
    usable[landmarks.rows] = True
    found = [_place(mean, points, usable, kind, None) for points in seen.points3d]
    scales = [place[0] for place in found if place]
    if not scales:
        views = (seen.weight > 0).any(2).sum(1)
        raise InputError(
            "no frame shows the person in two cameras that agree", found=f"at most {views.max(initial=0)} cameras agree on a point in any frame",
            expected="at least 2 cameras that see the same face or body, and a calibration that fits them", remedy=remedy,
        )  # fmt: skip
    scale = float(np.median(scales))
    scale = 1.0 if abs(scale - 1) <= SCALE_SLACK else scale
    found = [_place(mean, points, usable, kind, scale) for points in seen.points3d]
    state = rig.start(seen.points3d.shape[0], landmarks.count)
    missing = [f for f, place in enumerate(found) if place is None]
    R, t = _fill([None if p is None else p[1:3] for p in found], seen)
    state.rotations[:, 0] = R
    # the root turns about its rest joint j, a similarity about the origin: s (j + R (x - j)) + t' = s R x + t
    translation = t - scale * (rig.joints[0] - R @ rig.joints[0])
    return replace(state, translation=translation, scale=scale), missing


def _place(mean: np.ndarray, points: np.ndarray, usable: np.ndarray, kind: str, scale: float | None):  # noqa: ANN202
    """(s, R, t, ...) of one frame or None."""
    known = usable & np.isfinite(points).all(1)
    if kind == "head":
        rows = np.flatnonzero(known[FACE])
        return ransac_similarity(mean[rows], points[rows], AGREEMENT, scale=scale)
    rows = np.array([r for r in TORSO if known[r]], int)
    if len(rows) < 4:
        rows = np.array([r for r in TORSO + HEAD_OF_BODY if known[r]], int)
    return umeyama(mean[rows], points[rows], scale=scale) if len(rows) >= 3 else None


def _fill(places: list, seen: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Rotations [F, 3, 3] and translations [F, 3], interpolated where unknown: within a sequence if it has a known frame, else from the nearest."""
    known = [f for f, place in enumerate(places) if place is not None]
    R, t = np.empty((len(places), 3, 3)), np.empty((len(places), 3))
    for f, frame in enumerate(seen.frames):
        near = [k for k in known if seen.frames[k].sequence == frame.sequence] or known
        before, after = max((k for k in near if k <= f), default=near[0]), min((k for k in near if k >= f), default=near[-1])
        share = 0.0 if after == before else (f - before) / (after - before)
        pair = Rotation.from_matrix(np.stack([places[before][0], places[after][0]]))
        R[f] = Slerp([0, 1], pair)(share).as_matrix()
        t[f] = (1 - share) * places[before][1] + share * places[after][1]
    return R, t


def follow(rig: Rig, landmarks: Landmarks, points3d: np.ndarray, known: State, source: int, state: State, frame: int) -> None:
    """Give `frame` of `state`, in place, the pose of frame `source` of `known`, moved rigidly to where the triangulated points [511, 3] of `frame` are."""
    state.rotations[frame], state.translation[frame] = known.rotations[source], known.translation[source]
    rows = np.flatnonzero(np.isfinite(points3d[landmarks.rows]).all(1) & landmarks.on_face)
    points = rig.place(rig.posed(known, source), known, source, landmarks.points)
    found = ransac_similarity(points[rows], points3d[landmarks.rows[rows]], AGREEMENT, scale=1.0)
    if found is None:
        return
    _, R, t, _ = found
    pivot = state.scale * rig.posed(known, source).rest[0]
    state.rotations[frame, 0] = R @ known.rotations[source, 0]
    state.translation[frame] = R @ (known.translation[source] + pivot) + t - pivot
