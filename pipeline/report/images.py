"""Image operations of the report: uint8 RGB [H, W, 3] in and out unless noted."""

from __future__ import annotations

import cv2
import numpy as np

_SQUARE = 8  # pixels of the chequered board behind transparent images


def over_board(rgba: np.ndarray) -> np.ndarray:
    """RGBA [H, W, 4] over a chequered board."""
    height, width = rgba.shape[:2]
    y, x = np.mgrid[:height, :width] // _SQUARE
    board = np.where((x + y) % 2, 205, 235)[..., None]
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.rint(rgba[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)


def with_points(image: np.ndarray, points: np.ndarray, color: tuple[int, int, int], radius: float) -> np.ndarray:
    """The image with a disc at every finite point [N, 2], pixels (centres at +0.5); radius in pixels."""
    image, shift = np.ascontiguousarray(image), 4
    for x, y in points[np.isfinite(points).all(-1)]:
        centre = (round((float(x) - 0.5) * 2**shift), round((float(y) - 0.5) * 2**shift))
        cv2.circle(image, centre, round(radius * 2**shift), color, -1, cv2.LINE_AA, shift)
    return image


def around(alpha: np.ndarray, margin: float = 0.06) -> tuple[slice, slice]:
    """Rows and columns of the bounding box of alpha [H, W], plus a margin, a fraction of the longer side; all if alpha is empty."""
    rows, columns = np.flatnonzero((alpha > 0.5).any(1)), np.flatnonzero((alpha > 0.5).any(0))
    if not len(rows):
        return slice(None), slice(None)
    edge = round(margin * max(alpha.shape))
    return slice(max(0, rows[0] - edge), rows[-1] + 1 + edge), slice(max(0, columns[0] - edge), columns[-1] + 1 + edge)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """A float image in 0..1 as uint8."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def even_choice(count: int, most: int) -> list[int]:
    """At most `most` indices below `count`, evenly spread, first and last included."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []
