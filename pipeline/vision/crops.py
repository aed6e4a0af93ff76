"""Square crops of an image, rotated upright and resampled, and the map back to its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.vision.mediapipe_indices import CHIN, FOREHEAD, HEAD, SHOULDERS


@dataclass(frozen=True)
class Crop:
    """A square of an image.

    Attributes:
        centre: (x, y) in pixels.
        side: in pixels.
        angle: radians by which the square's up direction is rotated clockwise in the image.
    """

    centre: tuple[float, float]
    side: float
    angle: float = 0.0

    def matrix(self, pixels: int) -> np.ndarray:
        """[2, 3] affine map from the crop of `pixels` x `pixels` to the image (both with pixel centres at +0.5)."""
        scale = self.side / pixels
        c, s = scale * np.cos(self.angle), scale * np.sin(self.angle)
        linear = np.array([[c, -s], [s, c]])
        return np.column_stack([linear, np.array(self.centre) - linear @ np.full(2, pixels / 2)])

    def cut(self, image: np.ndarray, pixels: int) -> np.ndarray:
        """The crop [pixels, pixels, 3] uint8, black outside the image."""
        shrink = self.side / pixels
        if shrink > 1.5:  # bilinear interpolation alone would skip pixels
            image = cv2.blur(image, (int(shrink), int(shrink)))
        return cv2.warpAffine(image, self._matrix_of_cv2(pixels), (pixels, pixels), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    def paste(self, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Values [P, P] float32 of the crop resampled into an image of this shape; 0 outside the crop."""
        return cv2.warpAffine(values, self._matrix_of_cv2(len(values)), shape[::-1], flags=cv2.INTER_LINEAR)

    def to_image(self, points: np.ndarray, pixels: int) -> np.ndarray:
        """Points [N, 2] of the crop of `pixels` x `pixels` in pixels of the image."""
        matrix = self.matrix(pixels)
        return points @ matrix[:, :2].T + matrix[:, 2]

    def _matrix_of_cv2(self, pixels: int) -> np.ndarray:
        """`matrix` for cv2, which places pixel centres at integers."""
        matrix = self.matrix(pixels)
        matrix[:, 2] += matrix[:, :2] @ np.full(2, 0.5) - 0.5
        return matrix


def box_crop(points: np.ndarray, grow: float, angle: float = 0.0) -> Crop:
    """The square around the bounding box of points [N, 2], its side `grow` times the longer side (at least 8 pixels)."""
    low, high = points.min(0), points.max(0)
    x, y = (low + high) / 2
    return Crop((x, y), float(max((high - low).max(), 8) * grow), angle)


def upright_face_crop(face: np.ndarray, grow: float) -> Crop:
    """The square around a face mesh [478, 3], its side `grow` times the face's, the line from chin to forehead upright."""
    up = face[FOREHEAD, :2] - face[CHIN, :2]
    return box_crop(face[:, :2], grow, float(np.arctan2(up[0], -up[1])))


def head_crop(pose: np.ndarray, minimum_score: float = 0.3) -> Crop | None:
    """The square around the head of a pose [33, 3], the neck upright; None where its points are uncertain."""
    head, shoulders = pose[HEAD], pose[SHOULDERS]
    if not (np.isfinite(head).all() and np.isfinite(shoulders).all()) or head[:, 2].mean() < minimum_score:
        return None
    centre = head[:, :2].mean(0)
    up = centre - shoulders[:, :2].mean(0)
    angle = float(np.arctan2(up[0], -up[1])) if np.linalg.norm(up) > 4 else 0.0
    # from the side the head's points are close together: the length of the neck measures its size better
    size = max(np.ptp(head[:, :2], axis=0).max(), 0.6 * np.linalg.norm(up))
    return Crop((centre[0], centre[1]), float(2.5 * size), angle)
