"""What the cameras saw, ready for the fit: gated detections with their noise, triangulated points, neighbours in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame
from pipeline.capture.triangulation import triangulate

FACE_POINTS, POSE_POINTS = 478, 33
MINIMUM_SIGMA_PX = 0.5


@dataclass(frozen=True)
class Observations:
    """Detections of the face (478) and of the body (33), one after the other: P = 511 points.

    Attributes:
        cameras: C cameras that take part. frames: F. pixels: [F, C, P, 2], 0 where weight is 0. weight: [F, C, P], 1 / px^2, 0 where not seen or left out.
        points3d: [F, P, 3] triangulated, nan unknown. sigma: [C, 2] noise in pixels of face and body points. gap: [F - 1] see `Priors`.
        seen, kept: number of detections per camera [C] before and after the gate.
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

    @property
    def projections(self) -> np.ndarray:
        """[C, 3, 4]."""
        return np.stack([camera.projection for camera in self.cameras])

    def size_px(self, kind: slice) -> float:
        """Median diagonal in pixels of the box around the points `kind` in a picture; nan where they were never seen."""
        return _extent(np.where(self.weight[..., kind, None] > 0, self.pixels[..., kind, :], np.nan))


FACE = slice(0, FACE_POINTS)
POSE = slice(FACE_POINTS, FACE_POINTS + POSE_POINTS)


def observe(cameras: tuple[Camera, ...], frames: tuple[Frame, ...], face: np.ndarray, pose: np.ndarray, gate: float) -> Observations:
    """Gate and weigh detections.

    Args:
        face: [F, C, 478, 3], pose: [F, C, 33, 3]: x px, y px, score; nan where nothing was found. gate: fraction of the size of face or person.
    """
    both = np.concatenate([face, pose], 2).astype(np.float64)
    pixels, score = both[..., :2], np.nan_to_num(both[..., 2])
    score = np.where(np.isfinite(pixels).all(-1), np.clip(score, 0, 1), 0.0)
    projections = np.stack([camera.projection for camera in cameras])
    points3d = np.full((len(frames), both.shape[2], 3), np.nan)
    weight, sigma = np.zeros(score.shape), np.full((len(cameras), 2), np.nan)
    for number, kind in enumerate((FACE, POSE)):
        size = _extent(pixels[..., kind, :])
        if not np.isfinite(size):
            continue
        swapped = pixels[..., kind, :].swapaxes(0, 1), score[..., kind].swapaxes(0, 1)
        points3d[:, kind], residual = triangulate(*swapped, projections, gate * size)
        inside = np.nan_to_num(residual, nan=np.inf) <= gate * size
        # the median length of a 2D error with standard deviation sigma per axis is 1.18 sigma (Rayleigh)
        sigma[:, number] = [max(np.median(r[i]) / 1.18, MINIMUM_SIGMA_PX) if i.any() else np.nan for r, i in zip(residual, inside)]
        precision = np.nan_to_num(sigma[:, number] ** -2.0)
        weight[..., kind] = (inside * swapped[1]).swapaxes(0, 1) * precision[:, None]
    kept = weight > 0
    return Observations(
        cameras, frames, np.where(kept[..., None], pixels, 0.0), weight, points3d, sigma, _gaps(frames), (score > 0).sum((0, 2)), kept.sum((0, 2))
    )


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
