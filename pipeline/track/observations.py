"""Detections of all cameras for the fit: outliers removed, noise estimated, triangulated."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame
from pipeline.geometry.blocks import in_blocks
from pipeline.geometry.triangulation import triangulate
from pipeline.vision.mediapipe_indices import FACE_POINTS, POSE_POINTS

MINIMUM_SIGMA_PX = 0.5
RAYLEIGH_MEDIAN = 1.18  # median length of a 2D error with standard deviation 1 per axis
FACE = slice(0, FACE_POINTS)
POSE = slice(FACE_POINTS, FACE_POINTS + POSE_POINTS)


@dataclass(frozen=True)
class Observations:
    """Detections of the face (478 points), then of the body (33): P = 511 points.

    Attributes:
        cameras: C training cameras. frames: F.
        pixels: [F, C, P, 2], 0 where weight is 0.
        weight: [F, C, P], 1 / px^2; 0 without a detection and for outliers.
        points3d: [F, P, 3] triangulated; nan where unknown.
        sigma: [C, 2] noise of face and body points, pixels.
        temporal_weight: [F - 1] weight of the change to the next frame: 1 at steps up to 1/30 s, less at longer ones, 0
            between sequences.
        detected, kept: [C] number of detected points before and after outlier removal.
        triangulation_px: [C] median reprojection error of the triangulated face points (body points without a face).
    """

    cameras: tuple[Camera, ...]
    frames: tuple[Frame, ...]
    pixels: np.ndarray
    weight: np.ndarray
    points3d: np.ndarray
    sigma: np.ndarray
    temporal_weight: np.ndarray
    detected: np.ndarray
    kept: np.ndarray
    triangulation_px: np.ndarray

    @property
    def projections(self) -> np.ndarray:
        """[C, 3, 4]."""
        return np.stack([camera.projection for camera in self.cameras])

    @property
    def pixels_per_unit(self) -> np.ndarray:
        """[C] size in pixels of one world unit at the subject, median over frames."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # frames without a point
            centre = np.nanmedian(self.points3d, axis=1)
            depth = np.array([np.nanmedian(camera.to_camera(centre)[:, 2]) for camera in self.cameras])
        return np.array([(c.K[0, 0] + c.K[1, 1]) / 2 for c in self.cameras]) / depth

    def at(self, frames: np.ndarray) -> Observations:
        """Only the frames of these indices; their temporal weights are 0."""
        return replace(
            self,
            frames=tuple(self.frames[f] for f in frames),
            pixels=self.pixels[frames],
            weight=self.weight[frames],
            points3d=self.points3d[frames],
            temporal_weight=np.zeros(max(len(frames) - 1, 0)),
        )


def observe(
    cameras: tuple[Camera, ...],
    frames: tuple[Frame, ...],
    face: np.ndarray,
    pose: np.ndarray,
    gate: float,
    threads: int = 1,
) -> Observations:
    """Remove outliers and weight detections.

    Args:
        face: [F, C, 478, 3] x px, y px, score; nan without a detection. pose: [F, C, 33, 3], the same.
        gate: largest reprojection error as a fraction of the size of the face or body.
    """
    both = np.concatenate([face, pose], 2).astype(np.float64)
    pixels, score = both[..., :2], np.nan_to_num(both[..., 2])
    both[..., 2] = score = np.where(np.isfinite(pixels).all(-1), np.clip(score, 0, 1), 0.0)
    projections = np.stack([camera.projection for camera in cameras])
    points3d = np.full((len(frames), both.shape[2], 3), np.nan)
    weight = np.zeros(score.shape)
    sigma = np.full((len(cameras), 2), np.nan)
    triangulation_px = np.full(len(cameras), np.nan)
    sizes = [(number, part, _median_diagonal(pixels[..., part, :])) for number, part in enumerate((FACE, POSE))]
    gated = [(number, part, gate * size) for number, part, size in sizes if np.isfinite(size)]
    jobs = [(both[:, :, part], projections, gate_px) for _, part, gate_px in gated]
    results = in_blocks(_triangulate, jobs, len(cameras), threads, "blocks of frames, triangulated")
    for (number, part, gate_px), (points, residual) in zip(gated, results):
        points3d[:, part] = points
        inlier = np.nan_to_num(residual, nan=np.inf) <= gate_px
        median = np.array([median_or_nan(residual[:, c][inlier[:, c]]) for c in range(len(cameras))])
        triangulation_px = np.where(np.isnan(triangulation_px), median, triangulation_px)
        sigma[:, number] = np.maximum(median / RAYLEIGH_MEDIAN, MINIMUM_SIGMA_PX)
        precision = np.nan_to_num(sigma[:, number] ** -2.0)
        weight[..., part] = inlier * score[..., part] * precision[:, None]
    kept = weight > 0
    return Observations(
        cameras=cameras,
        frames=frames,
        pixels=np.where(kept[..., None], pixels, 0.0),
        weight=weight,
        points3d=points3d,
        sigma=sigma,
        temporal_weight=temporal_weights(frames),
        detected=(score > 0).sum((0, 2)),
        kept=kept.sum((0, 2)),
        triangulation_px=triangulation_px,
    )


def _triangulate(views: np.ndarray, projections: np.ndarray, gate_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Points [F, P, 3] and residuals [F, C, P] of views [F, C, P, 3], see `triangulate`."""
    by_camera = views.swapaxes(0, 1)
    points, residuals = triangulate(by_camera[..., :2], by_camera[..., 2], projections, gate_px)
    return points, residuals.swapaxes(0, 1)


def median_or_nan(values: np.ndarray) -> float:
    """The median; nan of no values."""
    return float(np.median(values)) if len(values) else np.nan


def _median_diagonal(pixels: np.ndarray) -> float:
    """Median diagonal in pixels of the bounding boxes of points [..., N, 2] (nan: no detection); nan without any."""
    detected = np.isfinite(pixels).all(-1).sum(-1) >= 6
    if not detected.any():
        return float("nan")
    points = pixels[detected]
    return float(np.median(np.linalg.norm(np.nanmax(points, -2) - np.nanmin(points, -2), axis=-1)))


def temporal_weights(frames: tuple[Frame, ...]) -> np.ndarray:
    """[F - 1] weight of the change from each frame to the next, see `Observations`."""
    steps = [b.time - a.time if a.sequence == b.sequence and b.time > a.time else np.inf for a, b in zip(frames, frames[1:])]
    return (1 / 30) / np.maximum(np.array(steps), 1 / 30)
