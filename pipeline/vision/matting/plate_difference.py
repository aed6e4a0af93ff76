"""Difference of an image to the clean plate of its camera: exposure gain, sensor noise, shadows, distance per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.vision.matting.image_ops import channel_sum, gradient_magnitude, normalised_distance
from pipeline.vision.matting.shadows import find_shadows, shade_plate

DARK, BRIGHT = 12, 243  # outside these grey levels, black level and saturation hide an exposure change
OUTLIER = 30.0  # noise units at which distances are clipped when the fit of the plate is estimated
# Smallest foreground component, as a fraction of the largest: subject only, all objects.
SUBJECT_AREA, OBJECT_AREA = 0.25, 0.02


@dataclass(frozen=True)
class PlateDifference:
    """The plate adapted to an image, and the distance of the image from it.

    Attributes:
        plate: [H, W, 3] float32 (0..255) with the image's gain and shadows.
        distance: [H, W] float32, root mean square difference over a 3x3 window in units of its expected noise:
            about 1 on visible background.
        sharp_distance: the same without the window.
        noise: [H, W] float32, expected standard deviation of one channel of one pixel, grey levels.
        gain: [3] image / plate on the background, per channel.
        sigma: noise on flat background, grey levels.
    """

    plate: np.ndarray
    distance: np.ndarray
    sharp_distance: np.ndarray
    noise: np.ndarray
    gain: np.ndarray
    sigma: float


def compare_to_plate(
    image: np.ndarray,
    plate: np.ndarray,
    visible: np.ndarray | None = None,
    *,
    subject_only: bool = True,
) -> PlateDifference:
    """Compare an image with the clean plate of its camera.

    Args:
        image, plate: [H, W, 3] uint8.
        visible: [H, W], 0 in padding.
        subject_only: only components about as large as the largest are foreground; smaller ones are errors of the plate.
    """
    min_area = SUBJECT_AREA if subject_only else OBJECT_AREA
    colour, background = image.astype(np.float32), plate.astype(np.float32)
    valid = np.ones(image.shape[:2], bool) if visible is None else visible > 0
    sample = _sample_pixels(valid)
    gain, on_background = estimate_gain(colour[sample], background[sample])
    background *= gain
    difference = colour - background
    slope = gradient_magnitude(channel_sum(background) / 3)
    sigma, per_slope = estimate_noise(difference[sample][on_background], slope[sample][on_background])
    noise = np.sqrt(sigma**2 + (per_slope * slope) ** 2)
    raised_noise = noise * plate_error_factor(normalised_distance(difference, noise), valid, min_area)
    distance = normalised_distance(difference, raised_noise)
    shadow, light = find_shadows(colour, background, raised_noise, distance)
    if shadow.any():
        near, shaded = shade_plate(background, shadow, light)
        shaded_difference = colour - shaded
        shadow = near & (normalised_distance(shaded_difference, raised_noise) < distance)
        background = np.where(shadow[..., None], shaded, background)
        difference = np.where(shadow[..., None], shaded_difference, difference)
    noise *= plate_error_factor(normalised_distance(difference, noise), valid, min_area)
    distance = normalised_distance(difference, noise)
    distance[~valid] = 0
    return PlateDifference(background, distance, normalised_distance(difference, noise, 1), noise, gain, sigma)


def estimate_gain(image: np.ndarray, plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exposure change per channel, and the pixels it explains.

    The most frequent brightness ratio is the background's: its ratios agree, while the subject's scatter even where it
    fills most of the image.

    Args:
        image, plate: [N, 3] float32 colours of the same pixels, 0..255.

    Returns:
        gain [3], and on_background [N] bool: pixels whose colour is the plate's times the gain.
    """
    usable = (np.minimum(image, plate) > DARK).all(-1) & (np.maximum(image, plate) < BRIGHT).all(-1)
    if usable.sum() < 100:
        return np.ones(3, np.float32), np.zeros(len(image), bool)
    ratio = np.log(image[usable] / plate[usable])
    counts, edges = np.histogram(ratio @ np.full(3, 1 / 3, np.float32), bins=160, range=(-0.8, 0.8))
    centre = np.full(3, edges[np.convolve(counts, np.ones(5), mode="same").argmax()] + 0.005)
    for width in (0.15, 0.08, 0.08):
        near = (np.abs(ratio - centre) < width).all(-1)
        if near.any():
            centre = np.median(ratio[near], axis=0)
    on_background = np.zeros(len(image), bool)
    on_background[usable] = (np.abs(ratio - centre) < 0.12).all(-1)
    return np.exp(centre).astype(np.float32), on_background


def estimate_noise(difference: np.ndarray, slope: np.ndarray) -> tuple[float, float]:
    """Noise on flat background, and its increase at edges, which video compression and vibration cause.

    Args:
        difference: [N, 3] image minus plate on visible background, grey levels.
        slope: [N] gradient magnitude of the plate there, grey levels per pixel.

    Returns:
        sigma (grey levels, at least 1) and its increase per unit of slope (pixels, at most 0.5).
    """
    if len(slope) < 100:
        return 2.0, 0.0
    # the mean absolute deviation of a normal variable is sqrt(2 / pi) sigma
    deviation = np.abs(difference).sum(-1) / 3 * np.sqrt(np.pi / 2)
    median_slope, high_slope = np.percentile(slope, (50, 90))
    sigma = max(float(np.median(deviation[slope <= median_slope])), 1.0)
    steep = slope >= high_slope
    excess = max(float(np.median(deviation[steep])) ** 2 - sigma**2, 0.0)
    return sigma, min(np.sqrt(excess) / max(float(np.median(slope[steep])), 1e-3), 0.5)


def plate_error_factor(distance: np.ndarray, valid: np.ndarray, min_area: float) -> np.ndarray:
    """[H, W] factor, at least 1, on the noise where the plate does not fit.

    Reasons are patched or refocused plates, reflections and moving objects. The factor is the root mean square distance
    over a wide window without the foreground: components that differ from the plate and have at least `min_area` times
    the area of the largest.
    """
    step = max(1, max(distance.shape) // 160)
    small, inside = distance[::step, ::step], valid[::step, ::step]
    background = (inside & ~_foreground(small, min_area)).astype(np.float32)
    size = 2 * (max(small.shape) // 10) + 1
    weight = cv2.GaussianBlur(background, (size, size), 0, borderType=cv2.BORDER_CONSTANT)
    squared = background * np.minimum(small, OUTLIER) ** 2
    power = cv2.GaussianBlur(squared, (size, size), 0, borderType=cv2.BORDER_CONSTANT)
    mean_squared = float(squared.sum() / max(background.sum(), 1))
    # deep inside the subject the window holds no background: the mean of the whole image takes over
    local = (power + 1e-3 * mean_squared) / (weight + 1e-3)
    return np.maximum(cv2.resize(np.sqrt(local), distance.shape[::-1], interpolation=cv2.INTER_LINEAR), 1)


def _foreground(distance: np.ndarray, min_area: float) -> np.ndarray:
    """[H, W] bool: the largest components above Otsu's threshold of log distance, dilated."""
    levels = np.clip(np.log(np.maximum(distance, 1)) * 50, 0, 255).astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_OTSU)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    large = stats[:, cv2.CC_STAT_AREA] >= min_area * stats[1:, cv2.CC_STAT_AREA].max(initial=1)
    large[0] = False
    size = 2 * (max(distance.shape) // 80) + 1
    return cv2.dilate(large[labels].astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def _sample_pixels(valid: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row and column indices of about 10000 evenly spread valid pixels: enough for a median."""
    pixels = np.flatnonzero(valid)
    return np.unravel_index(pixels[:: max(1, len(pixels) // 10000)], valid.shape)
