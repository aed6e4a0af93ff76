"""The body that a motion is brought to: its skeleton in the axes of a motion, and how its subject was tracked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline.body.body_pose import BodyPose
from pipeline.geometry.rotations import matrix_to_rotvec, mean_rotation, rotvec_to_matrix
from pipeline.geometry.spread import spread
from pipeline.motion.axes import axes_of, leg_length, upright_world
from pipeline.motion.joints import Slots, plain, slots_of
from pipeline.motion.motion import Motion

if TYPE_CHECKING:
    from pipeline.body.model import ParametricModel


@dataclass(frozen=True, eq=False)
class Target:
    """A body that can be posed.

    Attributes:
        model: its mean is the subject. scale: world units per metre of the model.
        axes: [3, 3] from the model's axes to those of a motion. rest: [J, 3] in those axes, metres. slots: of its joints. leg: metres.
        world: [3, 3] from the axes of a motion to the world that the subject was tracked in.
        rotations: [F, J, 3, 3] tracked, in the axes of a motion, the root relative to `world`. roots: [F, 3] tracked position of the root there, metres.
        expression: [F, E] tracked.
    """

    model: ParametricModel
    scale: float
    axes: np.ndarray
    rest: np.ndarray
    slots: Slots
    leg: float
    world: np.ndarray
    rotations: np.ndarray
    roots: np.ndarray
    expression: np.ndarray

    @staticmethod
    def of(body: Any) -> Target:
        """Of the body of an avatar (`AvatarBody`)."""
        poses = [body.pose_at(frame) for frame in range(len(body.frames))]
        rotations, translation, expression = (
            torch.stack([getattr(pose, name) for pose in poses]).detach().cpu().numpy() for name in ("rotations", "translation", "expression")
        )
        return Target.tracked(body.shaped, rotations, translation, expression, float(body.scale))

    @staticmethod
    def tracked(shaped: ParametricModel, rotations: np.ndarray, translation: np.ndarray, expression: np.ndarray, scale: float = 1.0) -> Target:
        """Of a model whose mean is the subject and its tracked frames: rotations [F, J, 3], translation [F, 3], expression [F, E] (as `BodyPose`)."""
        rest_model = shaped.rest_joints.detach().cpu().double().numpy()
        slots = slots_of(shaped.joint_names)
        axes = axes_of(rest_model, slots)
        R = rotvec_to_matrix(rotations)
        facing = mean_rotation(R[:, 0]) @ axes.T
        world = upright_world(facing) if "hips" in slots else facing
        local = axes @ R @ axes.T
        local[:, 0] = world.T @ R[:, 0] @ axes.T
        rest = rest_model @ axes.T
        roots = (rest_model[0] + translation / scale) @ world
        return Target(shaped, scale, axes, rest, slots, leg_length(rest, slots), world, local, roots, np.asarray(expression, np.float64))

    @property
    def parents(self) -> tuple[int, ...]:
        return self.model.parents

    def has_parameters(self, motion: Motion) -> bool:
        """Whether a motion's rotations are parameters of this body's own model: the same rig and root."""
        return motion.model and slots_of(motion.joints).rig == self.slots.rig and plain(motion.joints[0]) == plain(self.model.joint_names[0])

    def neutral_expression(self) -> np.ndarray:
        """[E] median of the tracked frames."""
        return np.median(self.expression, axis=0)

    def neutral_rotations(self) -> np.ndarray:
        """[J, 3, 3] mean of the tracked frames."""
        return mean_rotation(self.rotations)

    def origin(self, world: np.ndarray) -> np.ndarray:
        """[3]: where the root lies without a translation, in the axes of a motion relative to a world."""
        return (self.rest[0] @ self.axes) @ world

    def motion(self, fps: float, expressions: tuple[str, ...], frames: tuple[str, ...]) -> Motion:
        """What was tracked, as a motion. frames: ids."""
        return Motion(
            joints=self.model.joint_names,
            parents=self.parents,
            rotations=matrix_to_rotvec(self.rotations),
            translation=self.roots - self.origin(self.world),
            fps=fps,
            expressions=expressions,
            expression=self.expression,
            rest=self.rest,
            frames=frames,
            model=True,
            world=self.world,
        )

    def poses(self, rotations: np.ndarray, roots: np.ndarray, expression: np.ndarray, world: np.ndarray | None = None) -> list[BodyPose]:
        """Poses of local rotations [T, J, 3, 3], root positions [T, 3] and expressions [T, E], in this value's axes. world: another one than the tracked."""
        world = self.world if world is None else world
        local = self.axes.T @ rotations @ self.axes
        local[:, 0] = world @ rotations[:, 0] @ self.axes
        translation = self.scale * (roots - self.origin(world)) @ world.T
        device = self.model.template.device
        values = [torch.as_tensor(value, dtype=torch.float32, device=device) for value in (expression, matrix_to_rotvec(local), translation)]
        return [BodyPose(*parts) for parts in zip(*values)]

    def ground(self) -> float:
        """Height of the lowest vertex in the axes of a motion, median of some tracked frames, metres."""
        some = spread(len(self.rotations), 5)
        heights = []
        for pose in self.poses(self.rotations[some], self.roots[some], self.expression[some]):
            parts = (pose.expression[None], pose.rotations[None], pose.translation[None])
            vertices = self.model.pose_vertices(self.model.identity_basis.new_zeros(len(self.model.identity_basis)), *parts, self.scale).vertices[0]
            heights.append(float((vertices.detach().cpu().numpy() @ self.world[:, 2]).min()) / self.scale)
        return float(np.median(heights))
