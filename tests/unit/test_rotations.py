"""Rotations: every mapping against scipy, and the identities that connect them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pipeline.geometry.rotations import (
    aligning,
    between,
    matrix_to_quat,
    matrix_to_rotvec,
    mean_rotation,
    nearest_rotation,
    quat_multiply,
    quat_rotate,
    quat_to_matrix,
    rotvec_to_matrix,
    rotvec_to_matrix_torch,
    skew,
)


@pytest.fixture
def rotvecs() -> np.ndarray:
    """[54, 3] rotation vectors: zero, nearly zero, small, random and half turns."""
    random = np.random.default_rng(0).normal(size=(48, 3))
    return np.concatenate([np.zeros((1, 3)), [[1e-9, 0, 0]], [[3e-3, 1e-3, 0]], random, np.pi * np.eye(3)])


def test_skew_is_the_cross_product():
    a, b = np.random.default_rng(1).normal(size=(2, 10, 3))
    np.testing.assert_allclose((skew(a) @ b[..., None])[..., 0], np.cross(a, b), atol=1e-15)


def test_rotation_vectors_agree_with_scipy_and_invert(rotvecs):
    R = rotvec_to_matrix(rotvecs)
    np.testing.assert_allclose(R, Rotation.from_rotvec(rotvecs).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(matrix_to_rotvec(R)[:-3], rotvecs[:-3], atol=1e-7)  # the sign of a half turn is free
    np.testing.assert_allclose(rotvec_to_matrix(matrix_to_rotvec(R)), R, atol=1e-7)


def test_torch_agrees_with_numpy(rotvecs):
    np.testing.assert_allclose(rotvec_to_matrix_torch(torch.from_numpy(rotvecs)), rotvec_to_matrix(rotvecs), atol=1e-11)


@pytest.mark.parametrize("rotvec", [[0.0, 0, 0], [0.4, -1.1, 0.7]])
def test_gradients_of_rotation_vectors_are_right_also_at_zero(rotvec):
    assert torch.autograd.gradcheck(rotvec_to_matrix_torch, torch.tensor(rotvec, dtype=torch.float64, requires_grad=True))


def test_any_batch_shape(rotvecs):
    batch = rotvecs.reshape(2, 27, 3)
    R = rotvec_to_matrix(batch)
    assert R.shape == (2, 27, 3, 3) and matrix_to_rotvec(R).shape == (2, 27, 3)
    quats = matrix_to_quat(torch.from_numpy(R))
    assert quats.shape == (2, 27, 4) and quat_to_matrix(quats).shape == (2, 27, 3, 3)
    np.testing.assert_array_equal(R[1, 5], rotvec_to_matrix(batch[1, 5]))


def test_quaternions_agree_with_scipy(rotvecs):
    R = rotvec_to_matrix(rotvecs)
    quats = matrix_to_quat(torch.from_numpy(R))
    np.testing.assert_allclose(Rotation.from_quat(quats.numpy(), scalar_first=True).as_matrix(), R, atol=1e-12)
    np.testing.assert_allclose(quat_to_matrix(3.0 * quats), R, atol=1e-12)


def test_products_compose_rotations():
    p, q = (torch.from_numpy(Rotation.random(20, random_state=seed).as_quat(scalar_first=True)) for seed in (1, 2))
    v = torch.from_numpy(np.random.default_rng(3).normal(size=(20, 3)))
    torch.testing.assert_close(quat_to_matrix(quat_multiply(p, q)), quat_to_matrix(p) @ quat_to_matrix(q))
    torch.testing.assert_close(quat_rotate(q, v), (quat_to_matrix(q) @ v[..., None])[..., 0])
    torch.testing.assert_close(quat_rotate(quat_multiply(p, q), v), quat_rotate(p, quat_rotate(q, v)))


def test_a_share_of_the_way_between_rotations():
    rng = np.random.default_rng(7)
    first, second = (Rotation.from_rotvec(rng.normal(size=(20, 3))) for _ in range(2))
    whole = (first.inv() * second).magnitude()
    for share in (0.0, 0.3, 1.0):
        part = Rotation.from_matrix(between(first.as_matrix(), second.as_matrix(), np.full(20, share)))
        np.testing.assert_allclose((first.inv() * part).magnitude(), share * whole, atol=1e-7)
        np.testing.assert_allclose((part.inv() * second).magnitude(), (1 - share) * whole, atol=1e-7)


def test_the_mean_of_rotations_is_that_of_a_symmetric_spread_and_turns_with_them():
    centre, rng = Rotation.from_rotvec([2.5, 1.0, -0.4]), np.random.default_rng(8)
    deviations = 0.5 * rng.normal(size=(6, 3))
    spread = centre * Rotation.from_rotvec(np.concatenate([deviations, -deviations]))
    np.testing.assert_allclose(mean_rotation(spread.as_matrix()), centre.as_matrix(), atol=1e-12)
    both = mean_rotation(np.stack([spread.as_matrix(), spread.as_matrix()], axis=1))
    np.testing.assert_allclose(both, np.stack([centre.as_matrix()] * 2), atol=1e-12)


def test_the_smallest_turn_between_directions():
    rng = np.random.default_rng(9)
    for _ in range(20):
        a, b = rng.normal(size=(2, 3))
        R = aligning(a, b)
        np.testing.assert_allclose(R @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-12)
        expected = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        assert Rotation.from_matrix(R).magnitude() == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(aligning(a, 2 * a), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(aligning(a, -a) @ a, -a, atol=1e-9)
    np.testing.assert_array_equal(aligning(np.zeros(3), a), np.eye(3))
    sources, targets = np.stack([a, a, a, 2 * b]), np.stack([b, 3 * a, -a, a])
    np.testing.assert_allclose(aligning(sources, targets), [aligning(*pair) for pair in zip(sources, targets)], atol=1e-12)


def test_the_nearest_rotation_is_nearer_than_those_around_it_and_no_reflection():
    rng = np.random.default_rng(10)
    M = rng.normal(size=(8, 3, 3))
    R = nearest_rotation(M)
    np.testing.assert_allclose(np.linalg.det(R), 1)
    np.testing.assert_allclose(nearest_rotation(R), R, atol=1e-12)
    for turn in Rotation.from_rotvec(0.01 * rng.normal(size=(20, 3))).as_matrix():
        assert (np.linalg.norm(M - turn @ R, axis=(1, 2)) > np.linalg.norm(M - R, axis=(1, 2))).all()
