"""Agreement of the cameras' detections: outlier rejection, and crops for re-detection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.geometry.triangulation import triangulate
from pipeline.vision.crops import Crop, box_crop
from pipeline.vision.mediapipe_indices import CHIN, EARS, FOREHEAD, HIPS, LEFT_OUTER_CORNER, NOSE, RIGHT_OUTER_CORNER, SHOULDERS

BACK_FACING = -0.15  # cosine between a face's direction and the direction to the camera below which the face is hidden


def reject_outliers(points: np.ndarray, cameras: Sequence[Camera], gate_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Drop detections that the other cameras contradict.

    Args:
        points: [F, C, N, 3] x, y, score; a detection is all finite or all nan.
        gate_px: median reprojection error in pixels from which a detection is an outlier.

    Returns:
        points [F, C, N, 3] with outliers nan, and points3d [F, N, 3] in metres, nan where no two cameras agree.
    """
    kept = points.copy()
    by_camera = points.swapaxes(0, 1)
    projections = np.stack([camera.projection for camera in cameras])
    points3d, residuals = triangulate(by_camera[..., :2], by_camera[..., 2], projections, gate_px)
    # points with a low score are no evidence against their detection
    with np.errstate(invalid="ignore"):
        certain = by_camera[..., 2] > 0.5 * np.nanmax(np.nan_to_num(by_camera[..., 2]), axis=-1, keepdims=True)
    counted = certain & np.isfinite(points3d[..., 0])
    close = (counted & (residuals <= gate_px)).sum(-1)
    outlier = (close < 0.5 * counted.sum(-1)).T  # [F, C]: fewer than half of the certain points agree
    detected = np.isfinite(points[..., 0]).all(-1)
    agreed = np.isfinite(points3d[..., 0]).mean(-1) >= 0.5  # [F]
    disputed = detected & ~agreed[:, None] & (detected.sum(1) > 1)[:, None]
    score = np.where(detected, np.nan_to_num(points[..., 2]).mean(-1), -1)
    best = score == score.max(1, keepdims=True)
    # where no detections agree, the one with the highest score stays
    kept[(detected & agreed[:, None] & outlier) | (disputed & ~best)] = np.nan
    points3d[~agreed] = np.nan
    return kept, points3d


def face_crops(face3d: np.ndarray, head3d: np.ndarray, camera: Camera) -> list[Crop | None]:
    """Where to detect the face in one camera, per frame; None where that is unknown, outside the image, or back-facing.

    Args:
        face3d: [F, 478, 3] triangulated face points.
        head3d: [F, 11, 3] head points of the triangulated pose, for frames without a face.
    """
    has_face = np.isfinite(face3d[..., 0]).sum(-1) > 100
    return [_face_crop(face, camera) if use_face else _head_crop(head, camera) for face, head, use_face in zip(face3d, head3d, has_face)]


def pose_crops(pose3d: np.ndarray, camera: Camera) -> list[Crop | None]:
    """Where to detect the body in one camera, per frame, from triangulated poses [F, 33, 3]; the trunk is upright in the crop."""
    tilts = [_image_tilt(pose[SHOULDERS].mean(0), pose[HIPS].mean(0), camera) for pose in pose3d]
    return [_visible_crop(pose, camera, 1.4, tilt) for pose, tilt in zip(pose3d, tilts)]


def _image_tilt(top: np.ndarray, bottom: np.ndarray, camera: Camera) -> float:
    """Clockwise angle in the image, radians, of the line from `bottom` [3] to `top` [3]; 0 where either is unknown."""
    up = camera.project(top) - camera.project(bottom)
    return float(np.arctan2(up[0], -up[1])) if np.isfinite(up).all() else 0.0


def _face_crop(face: np.ndarray, camera: Camera) -> Crop | None:
    points = face[[RIGHT_OUTER_CORNER, LEFT_OUTER_CORNER, FOREHEAD, CHIN]]
    angle = 0.0
    if np.isfinite(points).all():
        right, left, top, chin = points
        if _back_facing(np.cross(left - right, top - chin), points.mean(0), camera):
            return None
        angle = _image_tilt(top, chin, camera)
    return _visible_crop(face, camera, 1.8, angle)


def _head_crop(head: np.ndarray, camera: Camera) -> Crop | None:
    nose, ears = head[NOSE], head[EARS].mean(0)
    if _back_facing(nose - ears, nose, camera):
        return None
    return _visible_crop(head, camera, 2.5)


def _back_facing(outward: np.ndarray, position: np.ndarray, camera: Camera) -> bool:
    """Whether a surface at `position` [3] with direction `outward` [3] faces away from the camera, or is unknown (nan)."""
    view = camera.centre - position
    return not outward @ view >= BACK_FACING * np.linalg.norm(outward) * np.linalg.norm(view)


def _visible_crop(points: np.ndarray, camera: Camera, grow: float, angle: float = 0.0) -> Crop | None:
    """The crop around the projections of points [N, 3] (nan: unknown); None outside the image or with under 3 points."""
    points = points[np.isfinite(points[:, 0])]
    if len(points) < 3 or (camera.to_camera(points)[:, 2] <= 0).any():
        return None
    crop = box_crop(camera.project(points), grow, angle)
    inside = 0 <= crop.centre[0] < camera.width and 0 <= crop.centre[1] < camera.height
    return crop if inside else None
