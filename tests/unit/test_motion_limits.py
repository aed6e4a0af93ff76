"""Limits of angles, smoothing, and the guard."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.motion.guard import clamped
from pipeline.motion.motion import Motion
from pipeline.motion.retarget import retarget
from pipeline.motion.settings import RetargetOptions
from tests.unit.motion_bodies import PLAIN, target_of, values

RNG = np.random.default_rng(11)


def test_limits_smoothing_and_guard():
    target = target_of("anny_head")
    vectors = np.zeros((31, 1, 3))
    vectors[15, 0] = [2.5, 0, 0]
    jump = Motion(("head",), (-1,), vectors, np.zeros((31, 3)), 30.0)
    joints = list(target.model.joint_names)
    head = [joints.index(name) for name in ("neck01", "neck02", "neck03", "head")]
    free = values(retarget(jump, target, PLAIN))[0][:, head]
    result = retarget(replace(jump, rotations=np.tile([np.pi - 0.01, 0, 0], (31, 1, 1))), target, RetargetOptions(absolute=True))
    assert not result.facts["limited"]  # shared out, no joint of the neck bends too far
    jaw = Motion(("jaw",), (-1,), np.tile([1.5, 0, 0], (4, 1, 1)), np.zeros((4, 3)), 30.0)
    result = retarget(jaw, target, RetargetOptions(absolute=True))
    assert result.facts["limited"] == {"jaw": 4}
    assert np.linalg.norm(values(result)[0][:, joints.index("jaw")], axis=-1) == pytest.approx(np.radians(40), abs=1e-5)
    calm = values(retarget(jump, target, replace(PLAIN, smooth=0.1)))[0][:, head]
    steps = [np.abs(np.diff(rotations, axis=0)).max() for rotations in (free, calm)]
    assert steps[1] < 0.3 * steps[0] and np.abs(calm[15] - calm[13]).max() > 0
    np.testing.assert_allclose(calm[15 - 6 : 15], calm[16 : 15 + 7][::-1], atol=1e-4)  # no delay
    guarded = values(retarget(jump, target, replace(PLAIN, guard=True)))
    relative = target.rotations[:, 1:]
    deviation = Rotation.from_matrix(relative.reshape(-1, 3, 3)).as_rotvec().reshape(len(relative), -1)
    result = guarded[0][:, 1:].reshape(31, -1)
    _, scales, axes = np.linalg.svd(deviation - deviation.mean(0), full_matrices=False)
    coefficients = (result - deviation.mean(0)) @ axes[:-1].T / (scales[:-1] / np.sqrt(len(deviation) - 1))
    assert np.abs(coefficients).max() < 2 + 1e-3


def test_the_guard_keeps_what_was_tracked_within_two_sigma():
    values_ = RNG.normal(size=(200, 6)) * [3, 2, 1, 0.5, 0.1, 0]
    inner = np.abs((values_ - values_.mean(0)) @ np.linalg.svd(values_ - values_.mean(0), full_matrices=False)[2].T)
    inside = (inner <= 2 * inner.std(0)).all(1) & (inner <= 1.9 * np.sqrt((inner**2).mean(0)) + 1e-9).all(1)
    assert inside.sum() > 20
    np.testing.assert_allclose(clamped(values_[inside], values_), values_[inside], atol=1e-9)
    far = clamped(100 * values_, values_)
    assert np.abs(far - values_.mean(0)).max() < 2 * 3.5 * 1.5
