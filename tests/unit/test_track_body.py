"""The reduced body of the fit: it poses as the model does, and its derivatives are those of finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.body.model import load_model
from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.joints import free_joints
from tests.unit.test_body_model import with_correctives

LIGHT = np.arange(0, 5751, 300)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "correctives"])
def model(request):
    light = load_model("anny_head").subset(LIGHT)
    return with_correctives(light) if request.param else light


@pytest.fixture(scope="module")
def scene(model):
    """The body, a random state of one frame, and all its vertices as points."""
    body, rng = GaussNewtonBody.of(model, free_joints(model, "head")), np.random.default_rng(0)
    state = body.initial_state(1, 0)
    step = np.concatenate([0.3 * rng.normal(size=3 * len(body.names)), rng.normal(size=3), 0.3 * rng.random(body.expression_size)])
    return body, state.updated(step[None], rng.normal(size=body.identity_size), np.zeros(0))


def test_it_poses_as_the_model_does(model, scene):
    body, state = scene
    pose = torch.from_numpy(body.full_pose(state.rotations))
    shape = (torch.from_numpy(x).float() for x in (state.identity, state.expression))
    expected = model.pose_vertices(*shape, pose, torch.from_numpy(state.translation).float()).vertices[0]
    np.testing.assert_allclose(body.vertices(state, 0), expected.numpy(), atol=3e-6)


def test_derivatives_are_those_of_finite_differences(scene):
    body, state = scene
    body = replace(body, **{name: getattr(body, name).astype(np.float64) for name in ("basis", "weights", "correctives")})
    points = body.surface_points(np.arange(len(LIGHT))[:, None], np.ones((len(LIGHT), 1)))
    posed = body.pose_points_with_derivatives(body.pose_joints(state, 0), state, 0, points, 0.0, True)

    def place(step: np.ndarray, identity: np.ndarray) -> np.ndarray:
        moved = state.updated(step[None], identity, np.zeros(0))
        return body.pose_points(body.pose_joints(moved, 0), moved, 0, points)

    sizes, h = (posed.d_frame.shape[2], body.identity_size), 1e-3
    for derivative, first in ((posed.d_frame, True), (posed.d_identity, False)):
        for column in range(derivative.shape[2]):
            steps = [np.zeros(size) for size in sizes]
            steps[0 if first else 1][column] = h
            change = (place(*steps) - place(*(-step for step in steps))) / (2 * h)
            np.testing.assert_allclose(derivative[..., column], change, atol=2e-3 * max(np.abs(change).max(), 1e-3), err_msg=str(column))
