"""A calibrated camera, and its changes when its image is undistorted, cropped or resized."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True, eq=False)
class Camera:
    """OpenCV camera: x right, y down, z forward, `x_cam = R x_world + t`, metres; pixel centres at +0.5.

    Attributes:
        K: [3, 3] intrinsics in pixels. R: [3, 3]. t: [3]. dist: 0, 4 or 5 OpenCV terms k1 k2 p1 p2 (k3).
    """

    name: str
    width: int
    height: int
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray
    dist: tuple[float, ...] = ()

    @property
    def centre(self) -> np.ndarray:
        """[3] position in world coordinates, metres."""
        return -self.R.T @ self.t

    @property
    def projection(self) -> np.ndarray:
        """[3, 4] matrix K [R | t]; without distortion."""
        return self.K @ np.concatenate([self.R, self.t[:, None]], axis=1)

    @property
    def five_terms(self) -> tuple[float, ...]:
        """k1 k2 p1 p2 k3 of OpenCV; 0 where `dist` has none."""
        return tuple(map(float, (*self.dist, *(0.0,) * 5)[:5]))

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] in camera coordinates [..., 3], metres."""
        return points @ self.R.T + self.t

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of world points [..., 3], with distortion; points behind the camera are mirrored."""
        x = self.to_camera(np.asarray(points, np.float64))
        normalised = distort(x[..., :2] / x[..., 2:], self.dist)
        return normalised @ self.K[:2, :2].T + self.K[:2, 2]

    def undistort_points(self, pixels: np.ndarray) -> np.ndarray:
        """Undistorted pixels [..., 2] of distorted pixels [..., 2]."""
        if not self.dist:
            return np.asarray(pixels, np.float64)
        # cv2 has pixel centres at integers, this project at +0.5; with K on both sides the offset cancels
        flat = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
        criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-10)
        undistorted = cv2.undistortPointsIter(flat, self.K, np.array(self.dist), None, self.K, criteria)
        return undistorted.reshape(np.shape(pixels))

    def without_distortion(self) -> Camera:
        """The pinhole camera with the same K."""
        return replace(self, dist=())

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of the window that starts at (left, top); negative values mean padding. Keeps the distortion."""
        K = self.K.copy()
        K[0, 2] -= left
        K[1, 2] -= top
        return replace(self, K=K, width=width, height=height)

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the image resampled to width x height."""
        K = np.diag([width / self.width, height / self.height, 1.0]) @ self.K
        return replace(self, K=K, width=width, height=height)

    def fitted(self, width: int, height: int) -> Camera:
        """The camera of an image of this size which has all of this one's view in its middle, as large as it can be."""
        scale = min(width / self.width, height / self.height)
        K = np.diag([scale, scale, 1.0]) @ self.K
        K[:2, 2] += (width - scale * self.width) / 2, (height - scale * self.height) / 2
        return replace(self, K=K, width=width, height=height)

    def to_json(self) -> dict[str, Any]:
        """The camera as an entry of `cameras.json`."""
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "K": self.K.tolist(),
            "dist": list(self.dist),
            "R": self.R.tolist(),
            "t": self.t.tolist(),
        }

    @staticmethod
    def from_json(record: dict[str, Any]) -> Camera:
        """Inverse of `to_json`. Does not validate: `calibration.check_camera` does."""
        if not isinstance(record["name"], str | int):
            raise TypeError(f"a camera named {record['name']!r}")
        return Camera(
            name=str(record["name"]),
            width=int(record["width"]),
            height=int(record["height"]),
            K=np.array(record["K"], np.float64),
            R=np.array(record["R"], np.float64),
            t=np.array(record["t"], np.float64),
            dist=tuple(record.get("dist", ())),
        )


def distort(points: np.ndarray, dist: tuple[float, ...]) -> np.ndarray:
    """Brown-Conrady distortion of normalised image points [..., 2] (OpenCV's calib3d model, k1 k2 p1 p2 k3)."""
    if not dist:
        return points
    k1, k2, p1, p2, k3 = (*dist, 0.0)[:5]
    x, y = points[..., 0], points[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    x_distorted = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    y_distorted = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([x_distorted, y_distorted], axis=-1)
