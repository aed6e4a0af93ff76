"""Alpha without a plate: MediaPipe's selfie segmentation, coarse, sharpened along the colours of the picture."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.components import subject_only
from pipeline.vision.guided_filter import guided_filter
from pipeline.vision.matte import Matte
from pipeline.vision.mediapipe_quiet import quiet_mediapipe
from pipeline.vision.plate_matting import foreground_colour, spread_colour

GROW = 0.2  # the second look takes the subject's bounding box, grown by this share of its size
NOISE = 3.0  # grey levels of noise that the foreground colour allows for


class SelfieMatting:
    """Looks twice: at the whole picture, then at the subject enlarged, since the network sees 256x256 pixels."""

    name = "selfie"

    def __init__(self, only_subject: bool):
        self._subject_only = only_subject
        with quiet_mediapipe() as mediapipe:
            self._network = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
            self._network.process(np.zeros((64, 64, 3), np.uint8))  # the first call loads the network, with remarks

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        likely = self._look(image)
        box = self._subject_box(likely)
        rgba = np.zeros((*image.shape[:2], 4), np.uint8)
        if box is None:
            return Matte(rgba)
        closer = np.zeros_like(likely)
        closer[box] = self._look(image[box])
        # the closer look may take a part for the whole and miss the rest: where the two differ, the first decides what, the second where
        likely = np.where(cv2.dilate(likely, np.ones((15, 15), np.uint8)) > 0.5, closer, np.minimum(likely, closer))
        if visible is not None:
            likely[visible == 0] = 0
        if self._subject_only:
            likely = np.where(cv2.dilate(subject_only(likely > 0.5).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0, likely, 0)
        rgba[box] = _refine(image[box], likely[box])
        return Matte(rgba)

    def _look(self, image: np.ndarray) -> np.ndarray:
        """[H, W] float32 probability of a person."""
        return np.array(self._network.process(np.ascontiguousarray(image)).segmentation_mask, np.float32)

    def _subject_box(self, likely: np.ndarray) -> tuple[slice, slice] | None:
        mask = likely > 0.5
        if not mask.any():
            return None
        if self._subject_only:
            mask = subject_only(mask)
        spans = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)]
        margin = GROW * max(high - low for low, high in spans) + 8
        return tuple(slice(max(int(low - margin), 0), int(high + margin) + 1) for low, high in spans)


def _refine(image: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """RGBA of a picture and a coarse probability: sure where the network is, along the picture's edges between."""
    picture = image.astype(np.float32)
    radius = max(3, round(max(image.shape[:2]) / 100))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    front = cv2.erode((likely > 0.8).astype(np.uint8), kernel, borderValue=1) > 0
    back = cv2.dilate((likely > 0.2).astype(np.uint8), kernel) == 0
    if not front.any() or not back.any():
        return np.dstack([image, (likely * 255).round().astype(np.uint8)])
    alpha = guided_filter(picture / 255, likely, radius, 1e-4)
    alpha[front], alpha[back] = 1, 0
    # the network's soft rim is doubt rather than transparency: steeper, the fringe of background gets thinner
    alpha = np.clip((alpha - 0.5) * 1.6 + 0.5, 0, 1)
    colour = np.where(alpha[..., None] > 0, image, 0).astype(np.uint8)
    rim = (alpha > 0) & (alpha < 1)
    nearby = spread_colour(picture, back, rim), spread_colour(picture, front, rim)
    colour[rim] = foreground_colour(picture[rim], *nearby, alpha[rim], np.full(rim.sum(), NOISE, np.float32)).round()
    return np.dstack([colour, (alpha * 255).round().astype(np.uint8)])
