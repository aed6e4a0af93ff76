"""A camera that is ahead of the others in time is found by the motion, and what is wrong otherwise is not taken for that."""

import numpy as np
import pytest

from pipeline.geometry.time_offset import time_offsets
from tests.unit.capture_trees import look_at

CAMERAS = [look_at(f"c{n}", angle) for n, angle in enumerate(np.linspace(-1.0, 1.0, 5))]
PROJECTIONS = np.stack([camera.projection for camera in CAMERAS])
FRAMES = 40


def tracks(offsets=(0,) * 5, motion=0.1, noise=0.3, seed=3):
    """[C, F, N, 2] of a cloud of points that sways, as cameras `offsets` frames ahead see it."""
    random = np.random.default_rng(seed)
    cloud, phases = random.normal(0, 0.08, (12, 3)), random.uniform(0, 6, 3)
    times = np.arange(FRAMES)[:, None] + np.asarray(offsets)[:, None, None]  # [C, F, 1]
    world = cloud + motion * np.sin(times * [0.21, 0.13, 0.17] + phases)[:, :, None]
    seen = np.einsum("cij,cfnj->cfni", PROJECTIONS[:, :, :3], world) + PROJECTIONS[:, None, None, :, 3]
    return seen[..., :2] / seen[..., 2:] + random.normal(0, noise, (*seen.shape[:-1], 2))


@pytest.mark.parametrize("offset", [-8, -5, 3, 9])
@pytest.mark.parametrize("camera", [0, 2])
def test_the_offset_of_one_camera_is_found(camera, offset):
    offsets = np.zeros(5, int)
    offsets[camera] = offset
    assert time_offsets(tracks(offsets), PROJECTIONS, 20.0).tolist() == offsets.tolist()


def test_gaps_and_outliers_change_nothing():
    points = tracks([0, 0, 4, 0, 0])
    points[0, 5:12] = np.nan
    points[2, 20] = np.nan
    points[3, 7] += 40
    assert time_offsets(points, PROJECTIONS, 20.0).tolist() == [0, 0, 4, 0, 0]


@pytest.mark.parametrize("motion", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_simultaneous_cameras_have_none(motion, seed):
    assert not time_offsets(tracks(motion=motion, noise=0.8, seed=seed), PROJECTIONS, 20.0).any()


def test_a_wrong_camera_is_not_a_late_one():
    turned, noisy, swapped = tracks(), tracks(), tracks(seed=5)[[1, 0, 2, 3, 4]]
    turned[1] += [3.0, -2.0]
    noisy[3] += np.random.default_rng(0).normal(0, 2, noisy[3].shape)
    for points in (turned, noisy, swapped):
        assert not time_offsets(points, PROJECTIONS, 20.0).any()


def test_where_nothing_can_be_said():
    late = tracks([0, 5, 0, 0, 0])
    assert not time_offsets(late[:2], PROJECTIONS[:2], 20.0).any()
    assert not time_offsets(late[:, :4], PROJECTIONS, 20.0).any()
    assert not time_offsets(np.full_like(late, np.nan), PROJECTIONS, 20.0).any()
