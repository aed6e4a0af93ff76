"""The unknowns of the fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.geometry.rotations import rotvec_to_matrix

MAX_ROTATION_STEP = 0.6  # radians per joint and step; the linearisation is poor beyond


@dataclass
class State:
    """Parameters of F frames.

    Attributes:
        identity: [I]. expression: [F, E], between `bounds`.
        rotations: [F, A, 3, 3] local rotations of the free joints.
        translation: [F, 3] world. scale: world units per metre.
        landmark_offsets: [L, 3] metres in the rest pose, constant over time: where a detector's point lies relative to its
            place on the model.
        vertex_offsets: [V, 3] metres in the rest pose.
    """

    identity: np.ndarray
    expression: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray
    scale: float
    landmark_offsets: np.ndarray
    vertex_offsets: np.ndarray
    bounds: tuple[float, float] = (0.0, 1.0)

    @property
    def frames(self) -> int:
        """F."""
        return len(self.translation)

    def coefficients(self, frame: int) -> np.ndarray:
        """[K] identity and expression of one frame."""
        return np.concatenate([self.identity, self.expression[frame]])

    def select(self, frames: np.ndarray) -> State:
        """The same shape, at the frames of these indices."""
        return replace(
            self,
            expression=self.expression[frames],
            rotations=self.rotations[frames],
            translation=self.translation[frames],
        )

    def updated(self, frame_step: np.ndarray, identity_step: np.ndarray, landmark_step: np.ndarray) -> State:
        """The state after a step of the solver.

        Rotations take left-multiplied increments of at most MAX_ROTATION_STEP; expressions are clipped to their bounds.

        Args:
            frame_step: [F, 3A + 3 + E] rotations, translation, expression.
            identity_step: [I].
            landmark_step: [3L].
        """
        joints = self.rotations.shape[1]
        rotation, translation, expression = np.split(frame_step, [3 * joints, 3 * joints + 3], axis=1)
        rotation = rotation.reshape(-1, joints, 3)
        angle = np.linalg.norm(rotation, axis=-1, keepdims=True)
        rotation = rotation * np.minimum(1.0, MAX_ROTATION_STEP / np.maximum(angle, 1e-9))
        return replace(
            self,
            identity=self.identity + identity_step,
            landmark_offsets=self.landmark_offsets + landmark_step.reshape(self.landmark_offsets.shape),
            rotations=rotvec_to_matrix(rotation) @ self.rotations,
            translation=self.translation + translation,
            expression=np.clip(self.expression + expression, *self.bounds),
        )
