"""Which parts of a mask are the subject."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.guided_filter import channel_sum

TRUE_GAP = 0.35  # correlation of the textures of picture and plate from which a hole shows the plate
LARGEST_HOLE, SMALL_HOLE = 0.05, 0.002  # shares of the subject's area up to which a hole is filled: whose texture is another, and of which texture says nothing


def subject_only(mask: np.ndarray, *, reach: float = 0.12, smallest: float = 0.0015) -> np.ndarray:
    """Keep the largest component and what lies near it; drop bystanders and specks.

    Args:
        mask: [H, W] bool.
        reach: a part stays if its gap to the largest is less than this share of the largest one's size (the root of its area);
            of a line without a body, as a plate's edges leave, less than an eighth of that.
        smallest: a part must have at least this share of the largest one's area.

    Returns:
        [H, W] bool.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = int(areas.argmax()) + 1
    away = cv2.distanceTransform((labels != largest).astype(np.uint8), cv2.DIST_L2, 3)
    size = np.sqrt(areas.max())
    near, at_hand = (np.bincount(labels[away < share * size], minlength=count) > 0 for share in (reach, reach / 8))
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    solid = np.bincount(labels[inside > 1 + 0.004 * max(mask.shape)], minlength=count) > 0
    keep = (at_hand | (near & solid)) & (stats[:, cv2.CC_STAT_AREA] >= max(smallest * areas.max(), 4))
    keep[0], keep[largest] = False, True
    return keep[labels]


def fill_holes(mask: np.ndarray, picture: np.ndarray, plate: np.ndarray, sigma: float) -> np.ndarray:
    """Fill holes and notches that are no view of the background: places where the subject happens to have the plate's colour.

    A true gap shows the plate's texture. Where the plate has none, the size decides: small ones are filled.

    Args:
        mask: [H, W] bool. picture, plate: [H, W, 3] float32, 0..255. sigma: sensor noise, grey levels.
    """
    candidate = ~mask & ~_outside(mask)
    if not candidate.any():
        return mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(candidate.astype(np.uint8), connectivity=4)
    share = stats[:, cv2.CC_STAT_AREA] / max(int(mask.sum()), 1)
    likeness, decided = _texture_likeness(labels, count, picture, plate, sigma)
    fill = np.where(decided, (likeness < TRUE_GAP) & (share < LARGEST_HOLE), share < SMALL_HOLE)
    fill[0] = False  # all that is no candidate
    return mask | fill[labels]


def _outside(mask: np.ndarray) -> np.ndarray:
    """[H, W] bool: what is connected to the picture's border once narrow notches are closed."""
    size = 2 * max(2, round(0.012 * max(mask.shape))) + 1
    padded = np.pad(mask.astype(np.uint8), size)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    closed = closed[size:-size, size:-size]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - closed, connectivity=4)
    left, top, width, height = stats[:, :4].T
    outer = (left == 0) | (top == 0) | (left + width == mask.shape[1]) | (top + height == mask.shape[0])
    outer[0] = False
    return outer[labels]


def _texture_likeness(labels: np.ndarray, count: int, picture: np.ndarray, plate: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of the Laplacians of picture and plate in each component, and whether the plate has texture enough for that to say anything."""
    inside = cv2.erode((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # at the rim the Laplacian would see the subject
    place = labels[inside]
    a, b = (cv2.Laplacian(channel_sum(image) / 3, cv2.CV_32F)[inside] for image in (picture, plate))

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values, minlength=count)

    pixels = np.bincount(place, minlength=count)
    likeness = total(a * b) / np.sqrt(total(a * a) * total(b * b) + 1e-6)
    # the Laplacian 1 1 -4 1 1 of white noise has 20 times its variance; the mean of three channels a third of that
    return likeness, (total(b * b) > 2 * pixels * sigma**2 * 20 / 3) & (pixels >= 9)
