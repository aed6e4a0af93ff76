"""Undistortion, crop and resize of one camera's images in a single resampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.capture.camera import Camera, distort

Window = tuple[float, float, float, float]  # left, top, width, height in the undistorted image


def frame_window(
    camera: Camera,
    crop: Window | None,
    size: tuple[int, int] | None,
    longest_side: int,
) -> tuple[Window, tuple[int, int]]:
    """The window of the undistorted image that is kept, and the output size (width, height).

    With `size` the window is padded on both sides to that aspect ratio. Otherwise it keeps its aspect ratio and is
    shrunk until its longer side has at most `longest_side` pixels. Images are only enlarged to fill `size`.
    """
    left, top, width, height = crop or (0, 0, camera.width, camera.height)
    if size is None:
        scale = min(1.0, longest_side / max(width, height))
        return (left, top, width, height), (max(1, round(width * scale)), max(1, round(height * scale)))
    scale = min(size[0] / width, size[1] / height)
    grown = (size[0] / scale, size[1] / scale)
    return (left - (grown[0] - width) / 2, top - (grown[1] - height) / 2, *grown), size


def window_camera(camera: Camera, window: Window, size: tuple[int, int]) -> Camera:
    """The pinhole camera of the processed image, with the exact K of the window and size."""
    scale_x, scale_y = size[0] / window[2], size[1] / window[3]
    K = np.array([[scale_x, 0, -scale_x * window[0]], [0, scale_y, -scale_y * window[1]], [0, 0, 1]]) @ camera.K
    return Camera(camera.name, *size, K, camera.R, camera.t)


@dataclass(frozen=True)
class Warp:
    """Resampling tables of one camera.

    Attributes:
        columns, rows: float32 [h * factor, w * factor] positions in the raw image for cv2.remap; None: unchanged image.
        factor: samples per output pixel and axis.
        visible: uint8 [h, w], 255 where raw pixels cover the whole output pixel, else 0.
    """

    columns: np.ndarray | None
    rows: np.ndarray | None
    factor: int
    visible: np.ndarray

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The processed image [h, w, 3] of a raw image, both uint8 RGB; black outside `visible`."""
        if self.columns is None or self.rows is None:
            return image
        # Sampled `factor` times finer than the output, then averaged: an area filter for any shrinking, and
        # undistortion in the same step.
        fine = cv2.remap(image, self.columns, self.rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        if self.factor > 1:
            fine = cv2.resize(fine, self.visible.shape[::-1], interpolation=cv2.INTER_AREA)
        fine[self.visible == 0] = 0
        return fine


def make_warp(raw: Camera, processed: Camera) -> Warp:
    """Tables from the raw camera (with distortion) to a pinhole camera with the same pose.

    The ray of a sample at pixel p (centres at +0.5) is inv(K_processed) p. Distorted and projected with K_raw it gives
    the position in the raw image. cv2.remap has pixel centres at integers: subtract half a pixel.
    """
    shrink = max(raw.K[0, 0] / processed.K[0, 0], raw.K[1, 1] / processed.K[1, 1])
    factor = max(1, math.ceil(shrink - 1e-6))
    u = (np.arange(processed.width * factor) + 0.5) / factor
    v = (np.arange(processed.height * factor) + 0.5) / factor
    inverse = np.linalg.inv(processed.K)
    u, v = np.meshgrid(u, v)
    rays = np.stack([inverse[0, 0] * u + inverse[0, 1] * v + inverse[0, 2], inverse[1, 1] * v + inverse[1, 2]], axis=-1)
    source = distort(rays, raw.dist) @ raw.K[:2, :2].T + raw.K[:2, 2]
    raw_size = np.array([raw.width, raw.height])
    inside = ((source >= -1e-6) & (source <= raw_size + 1e-6)).all(axis=-1) & _unfolded(rays, raw.dist)
    visible = inside.reshape(processed.height, factor, processed.width, factor).all(axis=(1, 3)).astype(np.uint8) * 255
    same_size = (processed.width, processed.height, factor) == (raw.width, raw.height, 1)
    if same_size and np.abs(source - np.stack([u, v], axis=-1)).max() < 1e-6:
        return Warp(None, None, 1, visible)
    columns, rows = (np.ascontiguousarray(source[..., axis] - 0.5, np.float32) for axis in (0, 1))
    return Warp(columns, rows, factor, visible)


def _unfolded(rays: np.ndarray, dist: tuple[float, ...]) -> np.ndarray:
    """Mask of the rays within the radius up to which the radial polynomial increases; beyond, the model folds back."""
    if not dist:
        return np.ones(rays.shape[:-1], bool)
    k1, k2, _, _, k3 = (*dist, 0.0)[:5]
    turning = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])  # d/dr of r (1 + k1 r^2 + k2 r^4 + k3 r^6), in r^2
    limits = [root.real for root in turning if abs(root.imag) < 1e-9 and root.real > 0]
    return (rays**2).sum(axis=-1) < min(limits, default=np.inf)
