"""Which parts of a mask are the subject."""

from __future__ import annotations

import cv2
import numpy as np


def subject_only(mask: np.ndarray, *, reach: float = 0.12, smallest: float = 0.0015) -> np.ndarray:
    """Keep the largest component and what lies near it; drop bystanders and specks.

    Args:
        mask: [H, W] bool.
        reach: a part stays if its gap to the largest is less than this share of the largest one's size (the root of its area).
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
    near = np.bincount(labels[away < reach * np.sqrt(areas.max())], minlength=count) > 0
    keep = near & (stats[:, cv2.CC_STAT_AREA] >= max(smallest * areas.max(), 4))
    keep[0], keep[largest] = False, True
    return keep[labels]


def fill_holes(mask: np.ndarray, distance: np.ndarray, *, largest: float = 0.01, background_like: float = 1.15) -> np.ndarray:
    """Fill small holes that are no view of the background: places where the subject happens to have the plate's colour.

    A true gap shows the plate, so that the mean squared normalised difference in it is about 1; a look-alike differs a little more everywhere.

    Args:
        mask: [H, W] bool. distance: [H, W] as in `background.Background`.
        largest: holes above this share of the mask's area stay open. background_like: root mean square distance up to which a hole counts as a true gap.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    height, width = mask.shape
    inner = (stats[:, 0] > 0) & (stats[:, 1] > 0) & (stats[:, 0] + stats[:, 2] < width) & (stats[:, 1] + stats[:, 3] < height)
    power = np.sqrt(np.bincount(labels.ravel(), (distance**2).ravel(), minlength=count) / np.maximum(stats[:, cv2.CC_STAT_AREA], 1))
    area = stats[:, cv2.CC_STAT_AREA]
    fill = inner & (area < largest * mask.sum()) & ((power > background_like) | (area < 12))
    fill[0] = False  # the mask itself
    return mask | fill[labels]
