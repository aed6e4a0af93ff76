"""What the cameras saw, ready for the fit: gated detections with their noise, triangulated points, neighbours in time."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame
from pipeline.geometry.blocks import in_blocks
from pipeline.geometry.triangulation import triangulate

FACE_POINTS, POSE_POINTS = 478, 33
MINIMUM_SIGMA_PX = 0.5


@dataclass(frozen=True)
class Observations:
    """Detections of the face (478) and of the body (33), one after the other: P = 511 points.

    Attributes:
        cameras: C cameras that take part. frames: F. pixels: [F, C, P, 2], 0 where weight is 0. weight: [F, C, P], 1 / px^2, 0 where not seen or left out.
        points3d: [F, P, 3] triangulated, nan unknown. sigma: [C, 2] noise in pixels of face and body points. gap: [F - 1] see `Priors`.
        seen, kept: number of detections per camera [C] before and after the gate. triangulation_px: [C] median distance of the kept detections (of the face,
        where one was found) from their triangulated points.
    """

    cameras: tuple[Camera, ...]
    frames: tuple[Frame, ...]
    pixels: np.ndarray
    weight: np.ndarray
    points3d: np.ndarray
    sigma: np.ndarray
    gap: np.ndarray
    seen: np.ndarray
    kept: np.ndarray
    triangulation_px: np.ndarray

    @property
    def projections(self) -> np.ndarray:
        """[C, 3, 4]."""
        return np.stack([camera.projection for camera in self.cameras])

    @property
    def pixels_per_unit(self) -> np.ndarray:
        """[C] pixels that one unit of the world (a metre, mostly) at the person takes in each camera, in the median over frames."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # frames without a point
            middle = np.nanmedian(self.points3d, axis=1)
            depth = np.array([np.nanmedian(camera.to_camera(middle)[:, 2]) for camera in self.cameras])
        return np.array([(c.K[0, 0] + c.K[1, 1]) / 2 for c in self.cameras]) / depth

    def at(self, frames: np.ndarray) -> Observations:
        """Only the frames of these numbers (ties in time are of no use then)."""
        chosen = tuple(self.frames[f] for f in frames)
        return replace(
            self, frames=chosen, pixels=self.pixels[frames], weight=self.weight[frames], points3d=self.points3d[frames], gap=np.zeros(max(len(chosen) - 1, 0))
        )


FACE = slice(0, FACE_POINTS)
POSE = slice(FACE_POINTS, FACE_POINTS + POSE_POINTS)


def observe(cameras: tuple[Camera, ...], frames: tuple[Frame, ...], face: np.ndarray, pose: np.ndarray, gate: float, threads: int = 1) -> Observations:
    """Gate and weigh detections.

    Args:
        face: [F, C, 478, 3], pose: [F, C, 33, 3]: x px, y px, score; nan where nothing was found. gate: fraction of the size of face or person.
    """
    both = np.concatenate([face, pose], 2).astype(np.float64)
    pixels, score = both[..., :2], np.nan_to_num(both[..., 2])
    both[..., 2] = score = np.where(np.isfinite(pixels).all(-1), np.clip(score, 0, 1), 0.0)
    projections = np.stack([camera.projection for camera in cameras])
    points3d = np.full((len(frames), both.shape[2], 3), np.nan)
    weight, sigma, median = np.zeros(score.shape), np.full((len(cameras), 2), np.nan), np.full(len(cameras), np.nan)
    kinds = [(number, kind, gate * size) for number, kind in enumerate((FACE, POSE)) if np.isfinite(size := _extent(pixels[..., kind, :]))]
    found = in_blocks(_triangulate, [(both[:, :, kind], projections, gate_px) for _, kind, gate_px in kinds], len(cameras), threads, "fit, triangulated")
    for (number, kind, gate_px), (points, residual) in zip(kinds, found):
        points3d[:, kind] = points
        inside = np.nan_to_num(residual, nan=np.inf) <= gate_px
        # the median length of a 2D error with standard deviation sigma per axis is 1.18 sigma (Rayleigh)
        middle = np.array([np.median(residual[:, c][inside[:, c]]) if inside[:, c].any() else np.nan for c in range(len(cameras))])
        median = np.where(np.isnan(median), middle, median)
        sigma[:, number] = np.maximum(middle / 1.18, MINIMUM_SIGMA_PX)
        precision = np.nan_to_num(sigma[:, number] ** -2.0)
        weight[..., kind] = inside * score[..., kind] * precision[:, None]
    kept = weight > 0
    return Observations(
        cameras, frames, np.where(kept[..., None], pixels, 0.0), weight, points3d, sigma, _gaps(frames), (score > 0).sum((0, 2)), kept.sum((0, 2)), median
    )


def _triangulate(views: np.ndarray, projections: np.ndarray, gate_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Points [F, P, 3] and residuals [F, C, P] of views [F, C, P, 3], as `triangulate` has them."""
    by_camera = views.swapaxes(0, 1)
    points, residuals = triangulate(by_camera[..., :2], by_camera[..., 2], projections, gate_px)
    return points, residuals.swapaxes(0, 1)


def _extent(pixels: np.ndarray) -> float:
    """Median diagonal in pixels of the boxes around points [..., N, 2] (nan: not seen)."""
    seen = np.isfinite(pixels).all(-1).sum(-1) >= 6
    if not seen.any():
        return float("nan")
    chosen = pixels[seen]
    return float(np.median(np.linalg.norm(np.nanmax(chosen, -2) - np.nanmin(chosen, -2), axis=-1)))


def _gaps(frames: tuple[Frame, ...]) -> np.ndarray:
    """[F - 1] how tightly neighbours are tied: 1 at the shortest step in time or at 1/30 s, less after a longer one, 0 between sequences."""
    steps = np.array([b.time - a.time if a.sequence == b.sequence and b.time > a.time else np.inf for a, b in zip(frames, frames[1:])])
    return (1 / 30) / np.maximum(steps, 1 / 30)
