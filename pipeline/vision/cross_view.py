"""What several cameras make of each other's finds: which ones contradict the rest, and where to look again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.geometry.triangulation import triangulate
from pipeline.vision.crops import Crop, box_crop

# MediaPipe's face mesh: outer eye corners (the subject's right and left), top of the forehead, chin
RIGHT_EYE, LEFT_EYE, FOREHEAD, CHIN = 33, 263, 10, 152
SHOULDERS, HIPS = slice(11, 13), slice(23, 25)  # of the pose
AVERTED = -0.15  # cosine between a face's direction and the camera's below which no face can be seen


def drop_contradictions(points: np.ndarray, cameras: Sequence[Camera], gate_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Drop finds that are not where the other cameras see the same thing.

    Args:
        points: [F, C, N, 3] x, y, score; a find of a camera is all finite or all nan. gate_px: median distance in pixels from which a find is dropped.

    Returns:
        points [F, C, N, 3] with the dropped ones nan, and points3d [F, N, 3] in metres, nan where no two cameras agree.
    """
    kept = points.copy()
    by_camera = points.swapaxes(0, 1)
    projections = np.stack([camera.projection for camera in cameras])
    points3d, residuals = triangulate(by_camera[..., :2], by_camera[..., 2], projections, gate_px)
    # points that the find itself is unsure of prove nothing against it
    with np.errstate(invalid="ignore"):
        sure = by_camera[..., 2] > 0.5 * np.nanmax(np.nan_to_num(by_camera[..., 2]), axis=-1, keepdims=True)
    counted = sure & np.isfinite(points3d[..., 0])
    close = (counted & (residuals <= gate_px)).sum(-1)
    contradicted = (close < 0.5 * counted.sum(-1)).T  # [F, C]: fewer than half of its sure points agree
    found = np.isfinite(points[..., 0]).all(-1)
    agreed = np.isfinite(points3d[..., 0]).mean(-1) >= 0.5  # [F]
    lone = found & ~agreed[:, None] & (found.sum(1) > 1)[:, None]
    score = np.where(found, np.nan_to_num(points[..., 2]).mean(-1), -1)
    best = score == score.max(1, keepdims=True)
    kept[(found & agreed[:, None] & contradicted) | (lone & ~best)] = np.nan  # of finds that all contradict each other the surest stays
    points3d[~agreed] = np.nan
    return kept, points3d


def face_crops(face3d: np.ndarray, head3d: np.ndarray, camera: Camera) -> list[Crop | None]:
    """Where a camera should look for the face, per frame; None where that is unknown, out of the picture, or the face looks away.

    Args:
        face3d: [F, 478, 3] triangulated face points. head3d: [F, 11, 3] head points of the triangulated pose, for frames without a face.
    """
    return [_face_crop(face, camera) if np.isfinite(face[:, 0]).sum() > 100 else _head_crop(head, camera) for face, head in zip(face3d, head3d)]


def pose_crops(pose3d: np.ndarray, camera: Camera) -> list[Crop | None]:
    """Where a camera should look for the body, per frame, of triangulated poses [F, 33, 3]; turned so that the trunk stands upright."""
    return [_visible_crop(pose, camera, 1.4, _lean(pose[SHOULDERS].mean(0), pose[HIPS].mean(0), camera)) for pose in pose3d]


def _lean(top: np.ndarray, bottom: np.ndarray, camera: Camera) -> float:
    """Angle in radians, clockwise in the picture, by which the line from `bottom` [3] to `top` [3] leans; 0 where either is unknown."""
    up = camera.project(top) - camera.project(bottom)
    return float(np.arctan2(up[0], -up[1])) if np.isfinite(up).all() else 0.0


def _face_crop(face: np.ndarray, camera: Camera) -> Crop | None:
    marks = face[[RIGHT_EYE, LEFT_EYE, FOREHEAD, CHIN]]
    angle = 0.0
    if np.isfinite(marks).all():
        right, left, top, chin = marks
        if _averted(np.cross(left - right, top - chin), marks.mean(0), camera):
            return None
        angle = _lean(top, chin, camera)
    return _visible_crop(face, camera, 1.8, angle)


def _head_crop(head: np.ndarray, camera: Camera) -> Crop | None:
    nose, ears = head[0], head[7:9].mean(0)
    if _averted(nose - ears, nose, camera):
        return None
    return _visible_crop(head, camera, 2.5)


def _averted(outward: np.ndarray, place: np.ndarray, camera: Camera) -> bool:
    """Whether what points `outward` [3] at `place` [3] is turned away from the camera, or unknown."""
    view = camera.centre - place
    return not outward @ view >= AVERTED * np.linalg.norm(outward) * np.linalg.norm(view)


def _visible_crop(points: np.ndarray, camera: Camera, grow: float, angle: float = 0.0) -> Crop | None:
    points = points[np.isfinite(points[:, 0])]
    if len(points) < 3 or (camera.to_camera(points)[:, 2] <= 0).any():
        return None
    crop = box_crop(camera.project(points), grow, angle)
    inside = 0 <= crop.centre[0] < camera.width and 0 <= crop.centre[1] < camera.height
    return crop if inside else None
