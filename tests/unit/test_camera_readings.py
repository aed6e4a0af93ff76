"""A calibration in another convention is recognised by whether the views agree, and read right with that name."""

import numpy as np
import pytest

from pipeline.geometry.camera_readings import READINGS, agreement, as_stored, better_reading

RNG = np.random.default_rng(4)
K = np.array([[900.0, 0, 320], [0, 880, 240], [0, 0, 1]])
MIDDLE = np.array([0.3, 1.4, -0.2])  # the subject is not at the origin


def ring(count=6):
    """R [C, 3, 3] and t [C, 3] of cameras around the subject at different heights, the last one tilted."""
    R, t = [], []
    for n, angle in enumerate(np.linspace(-1.1, 1.3, count)):
        centre = MIDDLE + [1.1 * np.sin(angle), 0.25 * np.sin(3.0 * n), 1.1 * np.cos(angle)]
        forward = (MIDDLE - centre) / np.linalg.norm(MIDDLE - centre)
        right = np.cross([0.1 * n, -1, 0], forward)
        right /= np.linalg.norm(right)
        R.append(np.stack([right, np.cross(forward, right), forward]))
        t.append(-R[-1] @ centre)
    return np.stack(R), np.stack(t)


@pytest.fixture
def views():
    """Cameras, and 60 points in each of 5 frames as they see them, with noise and some points missing."""
    R, t = ring()
    points = MIDDLE + RNG.normal(0, 0.06, (300, 3))
    x = np.einsum("cij,nj->cni", K @ R, points) + (t @ K.T)[:, None]
    pixels = x[..., :2] / x[..., 2:] + RNG.normal(0, 0.8, (len(R), 300, 2))
    pixels[RNG.random(pixels.shape[:2]) < 0.2] = np.nan
    return pixels, np.repeat(K[None], len(R), 0), R, t


def test_the_right_cameras_agree(views):
    found = agreement(*views, gate_px=12)
    assert found.share > 0.99 and 0.5 < found.residual_px < 1.5
    assert better_reading(*views, 12) is None


@pytest.mark.parametrize("true", READINGS)
def test_reading_undoes_storing(true):
    R, t = ring()
    again = READINGS[true](*as_stored(true, R, t))
    np.testing.assert_allclose(again[0], R, atol=1e-12)
    np.testing.assert_allclose(again[1], t, atol=1e-12)


@pytest.mark.parametrize("true", READINGS)
@pytest.mark.parametrize("taken_for", READINGS)
def test_the_true_reading_is_named_whatever_it_was_taken_for(views, true, taken_for):
    pixels, intrinsics, R, t = views
    wrong = READINGS[taken_for](*as_stored(true, R, t))
    found = better_reading(pixels, intrinsics, *wrong, 12, taken_for)
    if taken_for == true:
        assert found is None
    else:
        assert found is not None and found[0] == true and found[1].share > 0.99 and found[1].residual_px < 1.5


def test_one_camera_that_is_off_does_not_change_the_name(views):
    pixels, intrinsics, R, t = views
    pixels[2] += 90
    R, t = as_stored("opengl_c2w", R, t)
    assert better_reading(pixels, intrinsics, R, t, 12)[0] == "opengl_c2w"


def test_no_reading_is_named_where_none_helps(views):
    pixels, intrinsics, R, t = views
    shuffled = RNG.uniform(0, 480, pixels.shape)
    assert better_reading(shuffled, intrinsics, R, t, 12) is None
    alone = np.full_like(pixels, np.nan)
    alone[0] = pixels[0]
    assert better_reading(alone, intrinsics, R, t, 12) is None and agreement(alone, intrinsics, R, t, 12).share == 0
