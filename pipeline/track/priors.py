"""Quadratic priors on shape, pose and motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.geometry.rotations import matrix_to_rotvec
from pipeline.track.normal_equations import NormalEquations
from pipeline.track.state import State


@dataclass(frozen=True)
class Priors:
    """Precisions (1 / variance) towards the mean shape at rest, and of the change from frame to frame.

    Attributes:
        identity: [I].
        landmark_offsets: [L, L] precision matrix of each axis, 1/m^2.
        rest: [A, 3, 3] expected rotations.
        pose: [A] of joint angles, 1/rad^2; 0 for the root.
        expression: [E].
        sparsity: L1 weight of expressions (never negative), which keeps unneeded ones at zero.
        pose_change: [A] 1/rad^2. translation_change: in 1/(world unit)^2. expression_change: a number.
        temporal_weight: [F-1] factor on the three changes, see `Observations`.
    """

    identity: np.ndarray
    landmark_offsets: np.ndarray
    rest: np.ndarray
    pose: np.ndarray
    expression: np.ndarray
    sparsity: float
    pose_change: np.ndarray
    translation_change: float
    expression_change: float
    temporal_weight: np.ndarray

    def add(self, normal: NormalEquations, state: State, shared: bool) -> None:
        """Add the priors. The derivative of the logarithm is taken as the identity: exact at rest, second order near it."""
        frames, joints = state.rotations.shape[:2]
        angles = matrix_to_rotvec(state.rotations @ self.rest.swapaxes(1, 2)).reshape(frames, -1)
        weight = np.concatenate([np.repeat(self.pose, 3), np.zeros(3), self.expression])
        normal.add_prior(weight, np.concatenate([angles, np.zeros((frames, 3)), state.expression], 1))
        normal.g[:, 3 * joints + 3 :] -= self.sparsity
        normal.cost += self.sparsity * float(state.expression.sum())
        if frames > 1:
            rotation = matrix_to_rotvec(state.rotations[1:] @ state.rotations[:-1].swapaxes(-1, -2)).reshape(frames - 1, -1)
            change = np.concatenate([rotation, np.diff(state.translation, axis=0), np.diff(state.expression, axis=0)], 1)
            expression_change = np.full(state.expression.shape[1], self.expression_change)
            weight = np.concatenate([np.repeat(self.pose_change, 3), np.full(3, self.translation_change), expression_change])
            normal.add_temporal(self.temporal_weight[:, None] * weight, change)
        if shared:
            normal.add_shared_prior(np.diag(self.identity), state.identity, 0)
            precision = np.kron(self.landmark_offsets, np.eye(3))
            normal.add_shared_prior(precision, state.landmark_offsets.ravel(), len(state.identity))
