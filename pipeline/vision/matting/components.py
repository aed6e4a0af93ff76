"""Connected components of a foreground mask: which belong to the subject, and which holes to fill."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.matting.image_ops import channel_sum

GAP_CORRELATION = 0.35  # texture correlation of image and plate from which a hole shows the plate
LARGEST_HOLE = 0.05  # fraction of the mask's area up to which a hole with another texture than the plate's is filled
SMALL_HOLE = 0.002  # the same for a hole before a plate without texture


def keep_subject(mask: np.ndarray, *, reach: float = 0.12, smallest: float = 0.0015) -> np.ndarray:
    """Keep the largest component and nearby components; drop bystanders and specks.

    Args:
        mask: [H, W] bool.
        reach: largest gap to the largest component, as a fraction of its size (the square root of its area). An eighth
            of it for components that are thin everywhere, such as residual edges of the plate.
        smallest: smallest area, as a fraction of the largest component's.

    Returns:
        [H, W] bool.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = int(areas.argmax()) + 1
    gap = cv2.distanceTransform((labels != largest).astype(np.uint8), cv2.DIST_L2, 3)
    size = np.sqrt(areas.max())
    near, adjacent = (np.bincount(labels[gap < fraction * size], minlength=count) > 0 for fraction in (reach, reach / 8))
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    thick = np.bincount(labels[depth > 1 + 0.004 * max(mask.shape)], minlength=count) > 0
    keep = (adjacent | (near & thick)) & (stats[:, cv2.CC_STAT_AREA] >= max(smallest * areas.max(), 4))
    keep[0] = False
    keep[largest] = True
    return keep[labels]


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """Row and column slices of the bounding box of a mask [H, W] bool that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def grow_box(box: tuple[slice, slice], margin: float) -> tuple[slice, slice]:
    """A box with `margin` pixels more on each side, not below 0."""
    rows, columns = (slice(max(int(side.start - margin), 0), int(side.stop - 1 + margin) + 1) for side in box)
    return rows, columns


def fill_holes(mask: np.ndarray, image: np.ndarray, plate: np.ndarray, sigma: float) -> np.ndarray:
    """Fill holes and notches of the mask where the subject happens to have the plate's colour.

    A true gap shows the plate's texture. Where the plate has no texture, only small holes are filled.

    Args:
        mask: [H, W] bool.
        image, plate: [H, W, 3] float32, 0..255.
        sigma: sensor noise, grey levels.

    Returns:
        [H, W] bool.
    """
    candidates = ~mask & ~_outside(mask)
    if not candidates.any():
        return mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(candidates.astype(np.uint8), connectivity=4)
    fraction = stats[:, cv2.CC_STAT_AREA] / max(int(mask.sum()), 1)
    correlation, textured = _texture_correlation(labels, count, image, plate, sigma)
    fill = np.where(textured, (correlation < GAP_CORRELATION) & (fraction < LARGEST_HOLE), fraction < SMALL_HOLE)
    fill[0] = False  # label 0: no candidate
    return mask | fill[labels]


def _outside(mask: np.ndarray) -> np.ndarray:
    """[H, W] bool: background connected to the image border after narrow notches are closed."""
    size = 2 * max(2, round(0.012 * max(mask.shape))) + 1
    padded = np.pad(mask.astype(np.uint8), size)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    closed = closed[size:-size, size:-size]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - closed, connectivity=4)
    left, top, width, height = stats[:, :4].T
    at_border = (left == 0) | (top == 0) | (left + width == mask.shape[1]) | (top + height == mask.shape[0])
    at_border[0] = False
    return at_border[labels]


def _texture_correlation(
    labels: np.ndarray,
    count: int,
    image: np.ndarray,
    plate: np.ndarray,
    sigma: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of the Laplacians of image and plate in each component.

    Returns:
        correlation [count], and whether [count] the plate has enough texture for it.
    """
    # one pixel inside: at the edge of a hole the Laplacian would include the subject
    inside = cv2.erode((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    component = labels[inside]
    a, b = (cv2.Laplacian(channel_sum(colour) / 3, cv2.CV_32F)[inside] for colour in (image, plate))

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(component, values, minlength=count)

    pixels = np.bincount(component, minlength=count)
    correlation = total(a * b) / np.sqrt(total(a * a) * total(b * b) + 1e-6)
    # the Laplacian 1 1 -4 1 1 of white noise has 20 times its variance; the mean of three channels has a third of that
    return correlation, (total(b * b) > 2 * pixels * sigma**2 * 20 / 3) & (pixels >= 9)
