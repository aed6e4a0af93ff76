"""Matting with the clean plate of the same camera: difference, trimap, alpha by projection, guided filter."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.matting.components import bounding_box, fill_holes, grow_box, keep_subject
from pipeline.vision.matting.foreground import nearest_colour, project_alpha, solve_foreground
from pipeline.vision.matting.guided_filter import guided_filter
from pipeline.vision.matting.interface import Matte
from pipeline.vision.matting.plate_difference import PlateDifference, compare_to_plate

FOREGROUND, POSSIBLE = 4.0, 2.0  # distance from the plate, in noise units, of certain and of possible foreground
PROJECTION_SIGMA = 0.05  # error of a projected alpha beside noise: the foreground colour is known only nearby


class PlateMatting:
    """The backend "plate", see `matte_with_plate`."""

    name = "plate"

    def __init__(self, subject_only: bool):
        self.subject_only = subject_only

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        if plate is None:
            raise ValueError("plate matting needs a plate")
        return matte_with_plate(image, plate, visible, subject_only=self.subject_only)


def matte_with_plate(
    image: np.ndarray,
    plate: np.ndarray,
    visible: np.ndarray | None = None,
    *,
    subject_only: bool = True,
) -> Matte:
    """Alpha and foreground colour from an image and its clean plate.

    Args:
        image, plate: [H, W, 3] uint8.
        visible: [H, W], 0 in padding.
        subject_only: keep the largest component and nearby ones, not everything that differs from the plate.
    """
    difference = compare_to_plate(image, plate, visible, subject_only=subject_only)
    mask = foreground_mask(difference.distance, difference.sharp_distance, subject_only)
    mask = fill_holes(mask, image.astype(np.float32), difference.plate, difference.sigma)
    rgba = np.zeros((*image.shape[:2], 4), np.uint8)
    if mask.any():
        band = band_width(image.shape)
        window = grow_box(bounding_box(mask), 4 * band + 8)  # everything outside is background
        rgba[window] = _matte_window(image[window], difference, mask[window], band, window)
    return Matte(rgba, difference.gain, difference.sigma)


def band_width(shape: tuple[int, ...]) -> int:
    """Half width in pixels of the band around the mask's edge in which alpha is estimated."""
    return max(2, round(max(shape[:2]) / 180))


def foreground_mask(distance: np.ndarray, sharp_distance: np.ndarray, subject_only: bool) -> np.ndarray:
    """[H, W] bool by hysteresis: components of possible foreground that contain certain foreground."""
    possible = distance > POSSIBLE
    _, labels = cv2.connectedComponents(possible.astype(np.uint8), connectivity=8)
    certain = np.zeros(labels.max() + 1, bool)
    certain[labels[(sharp_distance > FOREGROUND) & possible]] = True
    mask = certain[labels]
    return keep_subject(mask) if subject_only else mask


def _matte_window(
    image: np.ndarray,
    difference: PlateDifference,
    mask: np.ndarray,
    band: int,
    window: tuple[slice, slice],
) -> np.ndarray:
    """RGBA [h, w, 4] of a window. All steps but the filter work on the few unknown pixels only."""
    float_image = image.astype(np.float32)
    certain_foreground, certain_background = _trimap(mask, difference.sharp_distance[window], band)
    unknown = ~(certain_foreground | certain_background)
    observed = float_image[unknown]
    plate = difference.plate[window][unknown]
    noise = difference.noise[window][unknown]
    foreground = nearest_colour(float_image, certain_foreground, unknown)
    soft_mask = cv2.blur(mask.astype(np.float32), (3, 3))[unknown]
    projected, variance = project_alpha(observed, foreground, plate, noise, soft_mask)
    alpha = certain_foreground.astype(np.float32)
    alpha[unknown] = projected
    # the filter reduces noise, but would blur hair that the projection resolves: it counts as much as noise does
    filter_weight = variance / (variance + PROJECTION_SIGMA**2)
    filtered = guided_filter(float_image / 255, alpha)[unknown]
    alpha[unknown] = np.clip(projected + filter_weight * (filtered - projected), 0, 1)
    colour = np.where(certain_foreground[..., None], image, 0).astype(np.uint8)
    colour[unknown] = solve_foreground(observed, plate, foreground, alpha[unknown], noise).round()
    return np.concatenate([colour, (alpha[..., None] * 255).round().astype(np.uint8)], axis=-1)


def _trimap(mask: np.ndarray, sharp_distance: np.ndarray, band: int) -> tuple[np.ndarray, np.ndarray]:
    """Certain foreground and certain background [H, W] bool; the rest is unknown."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    solid = mask & (sharp_distance > POSSIBLE)
    # specks with the plate's colour far from the edge are no gaps
    deep = cv2.erode(mask.astype(np.uint8), disc, iterations=4, borderValue=1) > 0
    inner = cv2.erode((solid | deep).astype(np.uint8), disc, borderValue=1) > 0
    if not inner.any():
        inner = mask & (sharp_distance >= np.median(sharp_distance[mask]))
    outer = cv2.dilate(mask.astype(np.uint8), disc) > 0
    return inner, ~outer
