"""What a picture owes to its background: exposure change, sensor noise, cast shadows, and how far each pixel is from the plate."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.vision.guided_filter import channel_sum

DARK, BRIGHT = 12, 243  # values outside say nothing of an exposure change: black level and saturation
SHADOW_DARKEST = 0.45  # a shadow keeps more than this share of the plate's light
SHADOW_SLOPE = 0.035  # change of that share per pixel that still counts as a soft edge, at 400 pixels of height
SHADOW_COLOUR = 1.6  # noise units by which the darkened plate may miss the picture
SHADOW_OPEN_BORDER = 0.08  # share of its border over which a shadow fades into lit background
CHANGED = 1.6  # noise units, over a 3x3 window, from which a pixel no longer passes for background
OUTLIER = 30.0  # noise units: larger distances count as this when the plate's fit is judged
_SQUARE = np.ones((5, 5), np.uint8)


@dataclass(frozen=True)
class Background:
    """The plate as this picture would show it, and the distance of the picture from it.

    Attributes:
        plate: [H, W, 3] float32 (0..255) with the picture's gain and its shadows.
        distance: [H, W] float32, root mean square of the difference over a 3x3 window in units of its expected noise: about 1 on bare background.
        sharp_distance: the same of single pixels.
        noise: [H, W] float32, standard deviation expected of one channel of one pixel, grey levels.
        gain: [3] picture / plate on the background, per channel. sigma: grey levels of noise on flat background. shadow: [H, W] bool.
    """

    plate: np.ndarray
    distance: np.ndarray
    sharp_distance: np.ndarray
    noise: np.ndarray
    gain: np.ndarray
    sigma: float
    shadow: np.ndarray


def compare_to_plate(image: np.ndarray, plate: np.ndarray, visible: np.ndarray | None = None, *, subject: bool = True) -> Background:
    """Compare a picture with the clean plate of its camera.

    Args:
        image, plate: [H, W, 3] uint8. visible: [H, W], 0 where there is no picture (padding).
        subject: only the largest thing is foreground; smaller ones tell where the plate does not fit.
    """
    things = 0.25 if subject else 0.02
    picture, clean = image.astype(np.float32), plate.astype(np.float32)
    seen = np.ones(image.shape[:2], bool) if visible is None else visible > 0
    some = _every_nth(seen)
    gain, bare = estimate_gain(picture[some], clean[some])
    clean *= gain
    difference = picture - clean
    slope = _slope(channel_sum(clean) / 3)
    sigma, per_slope = estimate_noise(difference[some][bare], slope[some][bare])
    noise = np.sqrt(sigma**2 + (per_slope * slope) ** 2)
    cautious = noise * plate_errors(_pooled(difference, noise), seen, things)
    distance = _pooled(difference, cautious)
    shadow, light = _find_shadows(picture, clean, cautious, distance)
    if shadow.any():
        near, clean_in_shadow = _spread_shadow(clean, shadow, light)
        darker = picture - clean_in_shadow
        shadow = near & (_pooled(darker, cautious) < distance)
        clean, difference = np.where(shadow[..., None], clean_in_shadow, clean), np.where(shadow[..., None], darker, difference)
    noise *= plate_errors(_pooled(difference, noise), seen, things)
    distance = _pooled(difference, noise)
    distance[~seen] = 0
    return Background(clean, distance, _pooled(difference, noise, 1), noise, gain, sigma, shadow)


def estimate_gain(picture: np.ndarray, plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exposure change per channel, and which pixels it explains.

    The most frequent brightness ratio is the background's: its ratios agree while those of the subject, though it may fill most of the picture, scatter.

    Args:
        picture, plate: [N, 3] float32 colours of the same pixels, 0..255.

    Returns:
        gain [3], and bare [N] bool: pixels whose colour is the plate's times the gain.
    """
    usable = (np.minimum(picture, plate) > DARK).all(-1) & (np.maximum(picture, plate) < BRIGHT).all(-1)
    if usable.sum() < 100:
        return np.ones(3, np.float32), np.zeros(len(picture), bool)
    ratio = np.log(picture[usable] / plate[usable])
    counts, edges = np.histogram(ratio @ np.full(3, 1 / 3, np.float32), bins=160, range=(-0.8, 0.8))
    centre = np.full(3, edges[np.convolve(counts, np.ones(5), mode="same").argmax()] + 0.005)
    for width in (0.15, 0.08, 0.08):
        near = (np.abs(ratio - centre) < width).all(-1)
        if near.any():
            centre = np.median(ratio[near], axis=0)
    bare = np.zeros(len(picture), bool)
    bare[usable] = (np.abs(ratio - centre) < 0.12).all(-1)
    return np.exp(centre).astype(np.float32), bare


def estimate_noise(difference: np.ndarray, slope: np.ndarray) -> tuple[float, float]:
    """Noise where the plate is flat, and what video compression and vibration add where it has edges.

    Args:
        difference: [N, 3] picture minus plate on bare background, grey levels. slope: [N] of the plate there, grey levels per pixel.

    Returns:
        sigma (grey levels, at least 1) and the addition per unit of slope (pixels, at most 0.5).
    """
    if len(slope) < 100:
        return 2.0, 0.0
    deviation = np.abs(difference).sum(-1) / 3 * np.sqrt(np.pi / 2)  # the mean absolute deviation of a normal variable is sqrt(2 / pi) sigma
    middle, high = np.percentile(slope, (50, 90))
    sigma = max(float(np.median(deviation[slope <= middle])), 1.0)
    steep = slope >= high
    excess = max(float(np.median(deviation[steep])) ** 2 - sigma**2, 0.0)
    return sigma, min(np.sqrt(excess) / max(float(np.median(slope[steep])), 1e-3), 0.5)


def plate_errors(distance: np.ndarray, seen: np.ndarray, things: float) -> np.ndarray:
    """[H, W] factor, at least 1, by which the noise is larger where the plate does not fit: patched or refocused, reflections, swaying things.

    It is the root mean square distance of the surroundings (a wide window) without the things that stand out most, which are the subject: those of
    at least `things` times the largest one's area.
    """
    step = max(1, max(distance.shape) // 160)
    small, inside = distance[::step, ::step], seen[::step, ::step]
    outstanding = _outstanding(small, things)
    rest = (inside & ~outstanding).astype(np.float32)
    spread = 2 * (max(small.shape) // 10) + 1
    weight = cv2.GaussianBlur(rest, (spread, spread), 0, borderType=cv2.BORDER_CONSTANT)
    excess = rest * np.minimum(small, OUTLIER) ** 2
    power = cv2.GaussianBlur(excess, (spread, spread), 0, borderType=cv2.BORDER_CONSTANT)
    overall = float(excess.sum() / max(rest.sum(), 1))
    # deep inside the subject no surroundings are in reach: there the whole picture's value stands in
    local = (power + 1e-3 * overall) / (weight + 1e-3)
    return np.maximum(cv2.resize(np.sqrt(local), distance.shape[::-1], interpolation=cv2.INTER_LINEAR), 1)


def _outstanding(distance: np.ndarray, things: float) -> np.ndarray:
    """[H, W] bool: the largest things that differ from the plate by more than Otsu's threshold of log distance, and a margin."""
    levels = np.clip(np.log(np.maximum(distance, 1)) * 50, 0, 255).astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_OTSU)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    large = stats[:, cv2.CC_STAT_AREA] >= things * stats[1:, cv2.CC_STAT_AREA].max(initial=1)
    large[0] = False
    margin = 2 * (max(distance.shape) // 80) + 1
    return cv2.dilate(large[labels].astype(np.uint8), np.ones((margin, margin), np.uint8)) > 0


def _every_nth(seen: np.ndarray) -> np.ndarray:
    """Indices [2, N] of about 10000 of the pixels that are `seen`: enough for a median."""
    pixels = np.flatnonzero(seen)
    return np.unravel_index(pixels[:: max(1, len(pixels) // 10000)], seen.shape)


def _slope(grey: np.ndarray) -> np.ndarray:
    return cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125))


def _pooled(difference: np.ndarray, noise: np.ndarray, size: int = 3) -> np.ndarray:
    """[H, W] root mean square of the normalised difference over a window of `size` pixels."""
    # running sums may end a little below zero
    return np.sqrt(np.maximum(cv2.blur(channel_sum(difference**2) / (3 * noise**2), (size, size)), 0))


def _find_shadows(picture: np.ndarray, plate: np.ndarray, noise: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the background is merely darker: unchanged chromaticity and texture, no sharp edge.

    Returns:
        shadow [H, W] bool and light [H, W], the share of light that is left.
    """
    light = cv2.blur(channel_sum(picture * plate), (5, 5)) / (cv2.blur(channel_sum(plate**2), (5, 5)) + 1)
    other_colour = _pooled(picture - light[..., None] * plate, noise, 5) > SHADOW_COLOUR
    soft = _slope(light) < SHADOW_SLOPE * 400 / max(plate.shape[:2])
    changed = distance > CHANGED
    candidate = (changed & soft & ~other_colour & (light > SHADOW_DARKEST) & (light < 1)).astype(np.uint8)
    candidate = cv2.morphologyEx(cv2.morphologyEx(candidate, cv2.MORPH_CLOSE, _SQUARE), cv2.MORPH_OPEN, _SQUARE)
    return _fading(candidate, changed), light


def _spread_shadow(plate: np.ndarray, shadow: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The darkened plate [H, W, 3], also where the subject hides the shadow: `near` [H, W] bool, within the window of the mean."""
    window = (2 * round(max(shadow.shape) / 60) + 1,) * 2
    weight = cv2.blur(shadow.astype(np.float32), window)
    mean = cv2.blur(np.where(shadow, light, 0).astype(np.float32), window) / np.maximum(weight, 1e-6)
    return weight > 1e-3, plate * np.where(shadow, light, mean)[..., None]


def _fading(candidate: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Components of `candidate` that fade into a wide stretch of plain background: an object ends at an edge, so that its border has changed too."""
    _, places, stats, _ = cv2.connectedComponentsWithStats((~changed).astype(np.uint8), connectivity=4)
    wide = stats[:, cv2.CC_STAT_AREA] >= 0.01 * changed.size
    changed = changed | ~wide[places]
    count, labels = cv2.connectedComponents(candidate, connectivity=4)
    grown = cv2.dilate(labels.astype(np.uint16), _SQUARE)
    border = (labels == 0) & (grown > 0)
    around = np.bincount(grown[border], minlength=count)
    fades = np.bincount(grown[border & ~changed], minlength=count) > SHADOW_OPEN_BORDER * np.maximum(around, 1)
    fades[0] = False
    return fades[labels] | (fades[grown] & border & ~changed)
