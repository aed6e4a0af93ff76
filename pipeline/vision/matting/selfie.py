"""Matting without a plate: MediaPipe's selfie segmentation, refined along the edges of the image."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.matting.components import bounding_box, grow_box, keep_subject
from pipeline.vision.matting.foreground import without_plate
from pipeline.vision.matting.guided_filter import guided_filter
from pipeline.vision.matting.interface import Matte
from pipeline.vision.mediapipe_quiet import quiet_mediapipe

GROW = 0.2  # margin of the second pass around the subject's bounding box, as a fraction of its size


class SelfieMatting:
    """Two passes, the whole image and the enlarged subject, since the network's input is 256x256 pixels."""

    name = "selfie"

    def __init__(self, subject_only: bool):
        self._subject_only = subject_only
        with quiet_mediapipe() as mediapipe:
            self._network = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
            self._network.process(np.zeros((64, 64, 3), np.uint8))  # the first call loads the network and logs

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        probability = self._segment(image)
        box = self._subject_box(probability)
        rgba = np.zeros((*image.shape[:2], 4), np.uint8)
        if box is None:
            return Matte(rgba)
        enlarged = np.zeros_like(probability)
        enlarged[box] = self._segment(image[box])
        # the second pass is sharper but may miss parts: the first decides what is the subject, the second where it ends
        near = cv2.dilate(probability, np.ones((15, 15), np.uint8)) > 0.5
        probability = np.where(near, enlarged, np.minimum(probability, enlarged))
        if visible is not None:
            probability[visible == 0] = 0
        if self._subject_only:
            subject = keep_subject(probability > 0.5).astype(np.uint8)
            probability = np.where(cv2.dilate(subject, np.ones((9, 9), np.uint8)) > 0, probability, 0)
        rgba[box] = _refine(image[box], probability[box])
        return Matte(rgba)

    def _segment(self, image: np.ndarray) -> np.ndarray:
        """[H, W] float32 probability of a person."""
        return np.array(self._network.process(np.ascontiguousarray(image)).segmentation_mask, np.float32)

    def _subject_box(self, probability: np.ndarray) -> tuple[slice, slice] | None:
        mask = probability > 0.5
        if not mask.any():
            return None
        if self._subject_only:
            mask = keep_subject(mask)
        box = bounding_box(mask)
        return grow_box(box, GROW * max(side.stop - 1 - side.start for side in box) + 8)


def _refine(image: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """RGBA of an image and a coarse probability: certain where the network is, along the image's edges between."""
    radius = max(3, round(max(image.shape[:2]) / 100))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    foreground = cv2.erode((probability > 0.8).astype(np.uint8), kernel, borderValue=1) > 0
    background = cv2.dilate((probability > 0.2).astype(np.uint8), kernel) == 0
    if not foreground.any() or not background.any():
        return np.dstack([image, (probability * 255).round().astype(np.uint8)])
    alpha = guided_filter(image.astype(np.float32) / 255, probability, radius, 1e-4)
    alpha[foreground] = 1
    alpha[background] = 0
    # the network's soft edge is uncertainty, not transparency: a steeper alpha narrows the background fringe
    alpha = np.clip((alpha - 0.5) * 1.6 + 0.5, 0, 1)
    return without_plate(image, alpha, foreground, background)
