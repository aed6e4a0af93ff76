"""Plate matting undoes a composition; only the subject is in the matte."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.vision.matting.components import fill_holes, keep_subject
from pipeline.vision.matting.guided_filter import guided_filter
from pipeline.vision.matting.image_ops import gradient_magnitude
from pipeline.vision.matting.plate import matte_with_plate
from pipeline.vision.matting.plate_difference import estimate_gain

HEIGHT, WIDTH = 220, 160


def _smooth(generator: np.random.Generator, sigma: float, amplitude: float) -> np.ndarray:
    noise = cv2.GaussianBlur(generator.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), sigma)
    return noise / noise.std() * amplitude


def _scene(*, gain: tuple[float, float, float] = (1, 1, 1), shadow: float = 0.0, bystander: bool = False) -> dict[str, np.ndarray]:
    """A head and shoulders before a textured wall, with sensor noise of two grey levels."""
    generator = np.random.default_rng(3)
    plate = np.clip(np.float32([105, 120, 130]) + _smooth(generator, 2, 6) + _smooth(generator, 20, 10), 5, 250)
    large = np.zeros((HEIGHT * 4, WIDTH * 4), np.float32)
    cv2.ellipse(large, (300, 340), (140, 190), 0, 0, 360, 1, -1)
    cv2.rectangle(large, (230, 400), (370, 700), 1, -1)
    cv2.ellipse(large, (300, 920), (280, 330), 0, 0, 360, 1, -1)
    alpha = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    colour = np.float32([205, 150, 120]) + _smooth(generator, 10, 12)
    colour[150:] = np.float32([60, 40, 90]) + _smooth(generator, 4, 5)[150:]
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(light, (135, 110), (40, 30), 0, 0, 360, 1, -1)
    light = 1 - shadow * cv2.GaussianBlur(light, (0, 0), 6)
    image = alpha[..., None] * colour + (1 - alpha[..., None]) * plate * light[..., None]
    if bystander:
        cv2.rectangle(image, (3, 10), (12, 60), (30, 30, 200), -1)
    image = image * np.float32(gain) + generator.normal(0, 2, image.shape)
    plate = plate + generator.normal(0, 1, plate.shape)
    as_bytes = {name: np.clip(image, 0, 255).round().astype(np.uint8) for name, image in (("image", image), ("plate", plate))}
    return as_bytes | {"alpha": alpha, "colour": colour * np.float32(gain)}


def _alpha(rgba: np.ndarray) -> np.ndarray:
    return rgba[..., 3] / 255


@pytest.mark.parametrize("gain", [(1, 1, 1), (0.9, 0.95, 1.05)])
@pytest.mark.parametrize("shadow", [0.0, 0.3])
def test_plate_matting_finds_alpha_under_gain_shadow_and_noise(gain, shadow):
    scene = _scene(gain=gain, shadow=shadow)
    found = _alpha(matte_with_plate(scene["image"], scene["plate"]).rgba)
    inside, truth = found > 0.5, scene["alpha"] > 0.5
    assert np.abs(found - scene["alpha"]).mean() < 0.010
    assert (inside & truth).sum() / (inside | truth).sum() > 0.985
    assert found[scene["alpha"] == 0].mean() < 0.002


def test_gain_and_noise_are_reported():
    matte = matte_with_plate(*(_scene(gain=(0.9, 0.95, 1.05))[name] for name in ("image", "plate")))
    np.testing.assert_allclose(matte.gain, (0.9, 0.95, 1.05), atol=0.01)
    assert 1.8 < matte.sigma < 2.9  # image and plate together: root of 2^2 + 1^2


def test_foreground_colour_carries_no_background():
    scene = _scene()
    rgba = matte_with_plate(scene["image"], scene["plate"]).rgba
    rim = (scene["alpha"] > 0.4) & (scene["alpha"] < 0.95) & (rgba[..., 3] > 0)
    rim[145:156] = False  # where face and clothes meet, both are near
    error = np.abs(rgba[..., :3] - scene["colour"])[rim].mean()
    raw = np.abs(scene["image"] - scene["colour"])[rim].mean()
    assert error < 0.6 * raw


def test_bystanders_go_only_if_asked():
    scene = _scene(bystander=True)
    region = np.s_[15:55, 5:10]
    assert _alpha(matte_with_plate(scene["image"], scene["plate"]).rgba)[region].max() == 0
    assert _alpha(matte_with_plate(scene["image"], scene["plate"], subject_only=False).rgba)[region].min() > 0.9


def test_an_empty_scene_has_an_empty_matte():
    scene = _scene()
    generator = np.random.default_rng(1)
    noisy = np.clip(scene["plate"] * 0.97 + generator.normal(0, 2, scene["plate"].shape), 0, 255).astype(np.uint8)
    assert matte_with_plate(noisy, scene["plate"]).rgba[..., 3].max() == 0


def test_padding_is_background():
    scene = _scene()
    visible = np.full((HEIGHT, WIDTH), 255, np.uint8)
    visible[:, :20] = 0
    rgba = matte_with_plate(scene["image"], scene["plate"], visible).rgba
    assert rgba[:, :14, 3].max() == 0
    assert np.abs(_alpha(rgba) - scene["alpha"])[:, 26:].mean() < 0.012


def test_gain_is_the_backgrounds_though_the_subject_is_larger():
    generator = np.random.default_rng(0)
    plate = generator.uniform(40, 200, (5000, 3)).astype(np.float32)
    image = plate * np.float32([1.1, 0.9, 1.0]) + generator.normal(0, 1, plate.shape).astype(np.float32)
    image[:3000] = generator.uniform(20, 230, (3000, 3))
    gain, on_background = estimate_gain(image, plate)
    np.testing.assert_allclose(gain, [1.1, 0.9, 1.0], rtol=0.01)
    assert on_background[3000:].mean() > 0.9 and on_background[:3000].mean() < 0.1


def test_gradient_magnitude_is_exact_to_the_last_bit():
    grey = np.random.default_rng(0).uniform(0, 255, (352, 240)).astype(np.float32)
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order) / 8 for order in ((1, 0), (0, 1)))
    np.testing.assert_array_equal(gradient_magnitude(grey), np.sqrt(x * x + y * y))


def test_guided_filter_keeps_affine_functions_of_the_guide():
    guide = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 1, (60, 50, 3)).astype(np.float32), (0, 0), 4)
    values = guide @ np.float32([0.3, -0.5, 0.4]) + 0.2
    np.testing.assert_allclose(guided_filter(guide, values, 6, 1e-9), values, atol=2e-3)


def test_guided_filter_smooths_along_but_not_across_an_edge():
    guide = np.zeros((60, 60, 3), np.float32)
    guide[:, 30:] = 0.8
    truth = (guide[..., 0] > 0).astype(np.float32)
    noisy = truth + np.random.default_rng(0).normal(0, 0.2, truth.shape).astype(np.float32)
    found = guided_filter(guide, noisy)
    assert np.abs(found - truth).mean() < 0.3 * np.abs(noisy - truth).mean()
    assert found[:, 32:].min() - found[:, :28].max() > 0.7


def test_subject_keeps_its_parts_and_loses_strangers():
    mask = np.zeros((100, 100), bool)
    mask[30:90, 30:70] = True
    mask[24:28, 40:46] = True  # a hand beside the head
    mask[5:20, 2:9] = True  # somebody far away
    kept = keep_subject(mask)
    assert kept[25, 42] and kept[50, 50] and not kept[10, 5]


def test_holes_that_show_the_plate_stay_open_and_lookalikes_are_filled():
    generator = np.random.default_rng(0)
    plate = generator.uniform(80, 160, (80, 80, 3)).astype(np.float32)
    mask = np.zeros((80, 80), bool)
    mask[5:75, 5:75] = True
    gap, lookalike = np.s_[20:30, 20:30], np.s_[50:60, 50:60]
    notch = np.s_[5:20, 60:63]  # open to the outside
    mask[gap] = mask[lookalike] = mask[notch] = False
    image = plate.copy()
    image[mask] = 30
    for region in (lookalike, notch):
        image[region] = plate[region].mean((0, 1))
    filled = fill_holes(mask, image, plate, 2.0)
    assert not filled[gap].any() and filled[lookalike].all() and filled[8:20, 60:63].all()
