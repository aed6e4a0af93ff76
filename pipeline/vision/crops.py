"""Square windows around a part of a picture, turned upright and resampled, and the way back to its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Crop:
    """A square of a picture: centre [2] and side in pixels; `angle` in radians turns the square's up direction clockwise in the picture."""

    centre: tuple[float, float]
    side: float
    angle: float = 0.0

    def matrix(self, pixels: int) -> np.ndarray:
        """[2, 3] affine map from the crop of `pixels` x `pixels` to the picture (both with pixel centres at +0.5)."""
        scale = self.side / pixels
        c, s = scale * np.cos(self.angle), scale * np.sin(self.angle)
        linear = np.array([[c, -s], [s, c]])
        return np.column_stack([linear, np.array(self.centre) - linear @ np.full(2, pixels / 2)])

    def cut(self, image: np.ndarray, pixels: int) -> np.ndarray:
        """The crop [pixels, pixels, 3] uint8, black outside of the picture."""
        matrix = self._matrix_of_cv2(pixels)
        shrink = self.side / pixels
        if shrink > 1.5:  # a bilinear look-up alone would skip pixels
            image = cv2.blur(image, (int(shrink), int(shrink)))
        return cv2.warpAffine(image, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    def paste(self, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Values [P, P] float32 of the crop at their places in a picture of this shape; 0 outside of the crop."""
        return cv2.warpAffine(values, self._matrix_of_cv2(len(values)), shape[::-1], flags=cv2.INTER_LINEAR)

    def _matrix_of_cv2(self, pixels: int) -> np.ndarray:
        """`matrix` for cv2, which counts pixel centres at whole numbers."""
        matrix = self.matrix(pixels)
        matrix[:, 2] += matrix[:, :2] @ np.full(2, 0.5) - 0.5
        return matrix

    def to_picture(self, points: np.ndarray, pixels: int) -> np.ndarray:
        """Points [N, 2] of the crop in pixels of the picture."""
        matrix = self.matrix(pixels)
        return points @ matrix[:, :2].T + matrix[:, 2]


def box_crop(points: np.ndarray, grow: float, angle: float = 0.0) -> Crop:
    """The square around the bounding box of points [N, 2], its side `grow` times the longer one."""
    low, high = points.min(0), points.max(0)
    return Crop(tuple((low + high) / 2), float(max((high - low).max(), 8) * grow), angle)


def upright_crop(face: np.ndarray, grow: float) -> Crop:
    """The square around a face mesh [478, 3], its side `grow` times the face's, turned so that the line from the chin to the forehead stands upright."""
    forehead, chin = face[10, :2], face[152, :2]  # MediaPipe's numbering
    up = forehead - chin
    return box_crop(face[:, :2], grow, float(np.arctan2(up[0], -up[1])))


def head_crop(pose: np.ndarray, minimum_score: float = 0.3) -> Crop | None:
    """Where a pose [33, 3] has the head: around nose, eyes, ears and mouth, upright as the neck is; None where they are unsure.

    MediaPipe's pose: 0 nose, 1-6 eyes, 7 8 ears, 9 10 mouth, 11 12 shoulders.
    """
    head, shoulders = pose[:11], pose[11:13]
    if not np.isfinite(pose[:13]).all() or head[:, 2].mean() < minimum_score:
        return None
    centre = head[:, :2].mean(0)
    up = centre - shoulders[:, :2].mean(0)
    angle = float(np.arctan2(up[0], -up[1])) if np.linalg.norm(up) > 4 else 0.0
    # seen from the side the face's points are close together: the neck's length is then the better measure of a head
    size = max(np.ptp(head[:, :2], axis=0).max(), 0.6 * np.linalg.norm(up))
    return Crop(tuple(centre), float(2.5 * size), angle)
