"""Correction of a matte by a person segmentation: fills where the subject resembles the plate, removes other objects."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.vision.crops import box_crop
from pipeline.vision.matting.components import bounding_box
from pipeline.vision.matting.interface import Matte, Matting
from pipeline.vision.mediapipe_quiet import quiet_mediapipe

PERSON, POSSIBLE = 0.8, 0.2  # probability of certain and of possible person pixels
# Distances as fractions of the person's size. The matte is unchanged between INSIDE and OUTSIDE of the person's edge;
# NOTCH is the half width of the widest notch that is filled.
INSIDE, OUTSIDE, NOTCH = 0.008, 0.025, 0.08
MIN_IOU = 0.5  # intersection over union of segmentation and matte below which the matte is unchanged
GROW, MAX_PIXELS = 1.25, 768  # the network's input: the subject's box times GROW, at most MAX_PIXELS wide


class PersonCorrection:
    """A matting backend whose mattes MediaPipe's pose segmentation corrects.

    On whole bodies this segmentation is steadier than MediaPipe's selfie segmentation.
    """

    def __init__(self, matting: Matting):
        self._matting = matting
        self.name = matting.name
        with quiet_mediapipe() as mediapipe:
            # static mode: no result depends on an earlier image
            self._network = mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1, enable_segmentation=True)
            self._network.process(np.zeros((64, 64, 3), np.uint8))  # the first call loads the network and logs

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        matte = self._matting.matte(image, plate, visible)
        person = self._segment(image, matte.rgba[..., 3] > 127)
        if person is not None and visible is not None:
            person[visible == 0] = 0
        if person is None or intersection_over_union(matte.rgba[..., 3], person) < MIN_IOU:
            return replace(matte, corrected=False)
        return replace(matte, rgba=correct(matte.rgba, image, person), corrected=True)

    def _segment(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
        """[H, W] float32 probability of a person around the mask; None without a detection."""
        if not mask.any():
            return None
        rows, columns = bounding_box(mask)
        crop = box_crop(np.array([[columns.start, rows.start], [columns.stop, rows.stop]], float), GROW)
        pixels = min(round(crop.side), MAX_PIXELS)
        probability = self._network.process(crop.cut(image, pixels)).segmentation_mask
        return None if probability is None else crop.paste(np.array(probability, np.float32), image.shape[:2])


def intersection_over_union(alpha: np.ndarray, person: np.ndarray) -> float:
    """Intersection over union of an alpha [H, W] uint8 and a person probability [H, W], thresholded at one half."""
    a, b = alpha > 127, person > 0.5
    return float((a & b).sum() / max((a | b).sum(), 1))


def correct(rgba: np.ndarray, image: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Correct a matte by a person segmentation; near the person's edge it is unchanged.

    Well inside the person, alpha becomes at least the probability and the colour the image's; well outside, alpha
    becomes 0. Only holes and notches of the matte are filled: what sticks out of it is an object behind the person that
    the segmentation took for a body part.

    Args:
        rgba: [H, W, 4] uint8.
        image: [H, W, 3] uint8.
        person: [H, W] float32, probability 0..1.

    Returns:
        [H, W, 4] uint8.
    """
    possible = person > POSSIBLE
    if not possible.any():
        return rgba
    size = max(side.stop - side.start for side in bounding_box(possible))
    outside = cv2.distanceTransform((~possible).astype(np.uint8), cv2.DIST_L2, 5)
    depth = cv2.distanceTransform((person > PERSON).astype(np.uint8), cv2.DIST_L2, 5)
    solid = rgba[..., 3] > 127
    fill = _overlapping((depth > max(2, INSIDE * size)) & _closed(solid, NOTCH * size), solid)
    alpha = np.where(fill, np.maximum(rgba[..., 3], (person * 255).round().astype(np.uint8)), rgba[..., 3])
    alpha = np.where(outside > max(2, OUTSIDE * size), 0, alpha)
    colour = np.where(fill[..., None], image, rgba[..., :3])
    return np.dstack([np.where(alpha[..., None] > 0, colour, 0), alpha]).astype(np.uint8)


def _overlapping(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The components of a mask [H, W] bool that overlap another mask."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    overlaps = np.bincount(labels[other], minlength=count) > 0
    overlaps[0] = False
    return overlaps[labels]


def _closed(mask: np.ndarray, radius: float) -> np.ndarray:
    """Morphological closing of a mask [H, W] bool with a disc of any radius, by distance transforms."""
    margin = int(radius) + 2
    padded = np.pad(mask, margin)
    dilated = cv2.distanceTransform((~padded).astype(np.uint8), cv2.DIST_L2, 5) <= radius
    closed = cv2.distanceTransform(dilated.astype(np.uint8), cv2.DIST_L2, 5) > radius
    return mask | closed[margin:-margin, margin:-margin]
