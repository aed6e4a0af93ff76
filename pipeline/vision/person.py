"""A person segmentation corrects a matte: it fills where the subject looks like the plate and removes what is not the person."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.vision.crops import box_crop
from pipeline.vision.matte import Matte, Matting
from pipeline.vision.mediapipe_quiet import quiet_mediapipe

SURE, POSSIBLE = 0.8, 0.2  # probabilities from which a pixel is certainly, and up to which it is certainly not, the person's
INSIDE, BEYOND, NOTCH = 0.008, 0.025, 0.08  # of the person's size: how far the rim is left alone inwards, outwards, and the half width of what may be filled
AGREEMENT = 0.5  # share (intersection over union) from which segmentation and matte speak of the same person; below, the matte stays as it is
GROW, LARGEST_VIEW = 1.25, 768  # the network looks at the subject's box, grown by this factor, in no more pixels than this


class PersonMatting:
    """Another matting, whose results MediaPipe's pose segmentation corrects (steadier on whole bodies than its selfie segmentation)."""

    def __init__(self, matting: Matting):
        self._matting, self.name = matting, matting.name
        with quiet_mediapipe() as mediapipe:
            # in static mode no picture's result depends on the one before
            self._network = mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1, enable_segmentation=True)
            self._network.process(np.zeros((64, 64, 3), np.uint8))  # the first call loads the network, with remarks

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        matte = self._matting.matte(image, plate, visible)
        person = self._look(image, matte.rgba[..., 3] > 127)
        if person is not None and visible is not None:
            person[visible == 0] = 0
        if person is None or agreement(matte.rgba[..., 3], person) < AGREEMENT:
            return replace(matte, corrected=False)
        return replace(matte, rgba=correct(matte.rgba, image, person), corrected=True)

    def _look(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
        """[H, W] float32 probability of a person around the mask; None where nobody is found."""
        if not mask.any():
            return None
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        crop = box_crop(np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], float), GROW)
        found = self._network.process(crop.cut(image, min(round(crop.side), LARGEST_VIEW))).segmentation_mask
        return None if found is None else crop.paste(np.array(found, np.float32), image.shape[:2])


def agreement(alpha: np.ndarray, person: np.ndarray) -> float:
    """Intersection over union of an alpha [H, W] uint8 and a person's probability [H, W], both halved."""
    a, b = alpha > 127, person > 0.5
    return float((a & b).sum() / max((a | b).sum(), 1))


def correct(rgba: np.ndarray, image: np.ndarray, person: np.ndarray) -> np.ndarray:
    """A matte after a person segmentation had its say; near the person's rim the matte stays as it is.

    Well inside of the person alpha is at least the probability and the colour the picture's; well outside alpha is nothing. Only holes and notches
    of the matte are filled: what the segmentation takes for a part of the body and sticks out of the matte is a thing behind it.

    Args:
        rgba: [H, W, 4] uint8. image: [H, W, 3] uint8. person: [H, W] float32, probability 0..1.

    Returns:
        [H, W, 4] uint8.
    """
    possible = person > POSSIBLE
    if not possible.any():
        return rgba
    size = max(np.ptp(np.flatnonzero(possible.any(axis))) + 1 for axis in (0, 1))
    away = cv2.distanceTransform((~possible).astype(np.uint8), cv2.DIST_L2, 5)
    depth = cv2.distanceTransform((person > SURE).astype(np.uint8), cv2.DIST_L2, 5)
    solid = rgba[..., 3] > 127
    fill = _touching((depth > max(2, INSIDE * size)) & _closed(solid, NOTCH * size), solid)
    alpha = np.where(fill, np.maximum(rgba[..., 3], (person * 255).round().astype(np.uint8)), rgba[..., 3])
    alpha = np.where(away > max(2, BEYOND * size), 0, alpha)
    colour = np.where(fill[..., None], image, rgba[..., :3])
    return np.dstack([np.where(alpha[..., None] > 0, colour, 0), alpha]).astype(np.uint8)


def _touching(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The components of a mask [H, W] bool that overlap another."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    overlaps = np.bincount(labels[other], minlength=count) > 0
    overlaps[0] = False
    return overlaps[labels]


def _closed(mask: np.ndarray, radius: float) -> np.ndarray:
    """Morphological closing with a disc of any radius, by distances; [H, W] bool."""
    margin = int(radius) + 2
    padded = np.pad(mask, margin)
    grown = cv2.distanceTransform((~padded).astype(np.uint8), cv2.DIST_L2, 5) <= radius
    closed = cv2.distanceTransform(grown.astype(np.uint8), cv2.DIST_L2, 5) > radius
    return mask | closed[margin:-margin, margin:-margin]
