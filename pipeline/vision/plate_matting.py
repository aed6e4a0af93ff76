"""Alpha and foreground colour from a picture and the clean plate of the same camera."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.background import Background, compare_to_plate
from pipeline.vision.components import fill_holes, subject_only
from pipeline.vision.guided_filter import guided_filter
from pipeline.vision.matte import Matte

SURE, POSSIBLE = 4.0, 2.0  # distance from the plate, in noise units, of certain and of possible foreground
PROJECTION_ERROR = 0.05  # error of a projected alpha that does not come from noise: the foreground's colour is only known nearby


def matte_with_plate(image: np.ndarray, plate: np.ndarray, visible: np.ndarray | None = None, *, subject: bool = True) -> Matte:
    """Difference to the plate, a trimap from it, alpha by projection, a guided filter.

    Args:
        image, plate: [H, W, 3] uint8. visible: [H, W], 0 where there is no picture.
        subject: keep the largest thing and what touches it, rather than everything that differs from the plate.
    """
    background = compare_to_plate(image, plate, visible, subject=subject)
    mask = foreground_mask(background.distance, background.sharp_distance, subject)
    mask = fill_holes(mask, image.astype(np.float32), background.plate, background.sigma)
    rgba = np.zeros((*image.shape[:2], 4), np.uint8)
    if mask.any():
        band = band_width(image.shape)
        window = _window(mask, 4 * band + 8)
        rgba[window] = _matte_window(image[window], background, mask[window], band, window)
    return Matte(rgba, background.gain, background.sigma)


def band_width(shape: tuple[int, ...]) -> int:
    """Half width in pixels of the zone around the mask's rim in which alpha is estimated."""
    return max(2, round(max(shape[:2]) / 180))


def foreground_mask(distance: np.ndarray, sharp_distance: np.ndarray, subject: bool) -> np.ndarray:
    """[H, W] bool: what differs from the plate possibly, and somewhere certainly (hysteresis)."""
    possible = distance > POSSIBLE
    _, labels = cv2.connectedComponents(possible.astype(np.uint8), connectivity=8)
    certain = np.zeros(labels.max() + 1, bool)
    certain[labels[(sharp_distance > SURE) & possible]] = True
    mask = certain[labels]
    return subject_only(mask) if subject else mask


def _matte_window(image: np.ndarray, background: Background, mask: np.ndarray, band: int, window: tuple[slice, slice]) -> np.ndarray:
    """RGBA [h, w, 4]; all but the filter works on the unknown pixels alone, which are few."""
    picture = image.astype(np.float32)
    sure_front, sure_back = _trimap(mask, background.sharp_distance[window], band)
    unknown = ~(sure_front | sure_back)
    seen, plate, noise = picture[unknown], background.plate[window][unknown], background.noise[window][unknown]
    front = spread_colour(picture, sure_front, unknown)
    rim = cv2.blur(mask.astype(np.float32), (3, 3))[unknown]
    projected, variance = project(seen, front, plate, noise, rim)
    alpha = sure_front.astype(np.float32)
    alpha[unknown] = projected
    # the filter steadies what noise has spoilt and would blur the hair that the projection resolves
    doubt = variance / (variance + PROJECTION_ERROR**2)
    smooth = guided_filter(picture / 255, alpha)[unknown]
    alpha[unknown] = np.clip(projected + doubt * (smooth - projected), 0, 1)
    colour = np.where(sure_front[..., None], image, 0).astype(np.uint8)
    colour[unknown] = foreground_colour(seen, plate, front, alpha[unknown], noise).round()
    return np.concatenate([colour, (alpha[..., None] * 255).round().astype(np.uint8)], axis=-1)


def _window(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The mask's bounding box, grown: everything outside of it is background."""
    return tuple(slice(max(int(i[0]) - margin, 0), int(i[-1]) + margin + 1) for i in (np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))))


def _trimap(mask: np.ndarray, sharp_distance: np.ndarray, band: int) -> tuple[np.ndarray, np.ndarray]:
    """Sure foreground and sure background [H, W] bool; the rest is unknown."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    solid = mask & (sharp_distance > POSSIBLE)
    # specks where the subject has the plate's colour, far from its rim, are no gaps
    deep = cv2.erode(mask.astype(np.uint8), disc, iterations=4, borderValue=1) > 0
    inner = cv2.erode((solid | deep).astype(np.uint8), disc, borderValue=1) > 0
    if not inner.any():
        inner = mask & (sharp_distance >= np.median(sharp_distance[mask]))
    outer = cv2.dilate(mask.astype(np.uint8), disc) > 0
    return inner, ~outer


def spread_colour(picture: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean colour [N, 3] around the nearest known pixel, for each wanted pixel.

    Args:
        picture: [H, W, 3] float32. known, wanted: [H, W] bool; N pixels are wanted.
    """
    mask = known.astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(1 - mask, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    source = np.zeros(labels.max() + 1, np.int64)
    source[labels[known]] = np.flatnonzero(known)
    nearest = source[labels[wanted]]
    total, weight = cv2.blur(cv2.copyTo(picture, mask), (3, 3)), cv2.blur(mask.astype(np.float32), (3, 3))
    return total.reshape(-1, 3)[nearest] / weight.reshape(-1, 1)[nearest]


def project(seen: np.ndarray, front: np.ndarray, plate: np.ndarray, noise: np.ndarray, rim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Alpha as the place of the colour on the line from plate to foreground, a = <C-B, F-B> / |F-B|^2.

    Where the two are alike the line is short and noise decides: there the mask is believed, as far as the noise demands.

    Args:
        seen, front, plate: colours C, F, B [N, 3], 0..255. noise: [N] grey levels. rim: [N] the mask, softened.

    Returns:
        alpha [N], and its variance from noise [N].
    """
    line = front - plate
    length2 = np.einsum("nc,nc->n", line, line)
    alpha = np.einsum("nc,nc->n", seen - plate, line) / np.maximum(length2, 1e-3)
    trust = length2 / (length2 + 25 * noise**2)
    return trust * np.clip(alpha, 0, 1) + (1 - trust) * rim, noise**2 / np.maximum(length2, 1e-3)


def foreground_colour(seen: np.ndarray, plate: np.ndarray, front: np.ndarray, alpha: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Foreground F [N, 3] of C = a F + (1 - a) B, held to the nearby colour F0 where alpha is too small to say.

    The least squares solution with a normal prior (20 grey levels) around F0: F = F0 + a / (a^2 + s^2 / 20^2) (C - a F0 - (1 - a) B).
    """
    a = alpha[:, None]
    error = seen - a * front - (1 - a) * plate
    return np.clip(front + a / (a**2 + (noise[:, None] / 20) ** 2) * error, 0, 255)
