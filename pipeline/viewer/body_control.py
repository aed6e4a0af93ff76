"""The body's parameters as sliders have them: they follow the tracked frames, until somebody takes control."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import torch

from pipeline.body.body_pose import BodyPose
from pipeline.training.contract import AvatarBody

MAIN_JOINTS = re.compile(r"root|hip|knee|ankle|spine|neck|head|jaw|eye|collar|clavicle|shoulder|arm|elbow|wrist|leg|foot|pelvis", re.IGNORECASE)
LARGEST_ANGLE = 3.15  # radians
Place = tuple[str, int, int]
"""Of a slider's value: "expression", its index and 0; or "rotations", joint and axis."""


class BodyControl:
    """Expression and joint rotations of one body.

    Attributes:
        enabled: whether `pose` takes these values in place of the tracked ones. expression: [E]. rotations: [J, 3] radians.
        expression_names: [E]. joints: index by name, of those that are worth a slider. expression_range: of the sliders.
    """

    def __init__(self, body: AvatarBody):
        self._body, model = body, body.shaped
        self.enabled = False
        self.expression_names = model.expression_names
        main = {name: i for i, name in enumerate(model.joint_names) if MAIN_JOINTS.match(name)}
        self.joints = main or {name: i for i, name in enumerate(model.joint_names)}
        tracked = np.concatenate([_array(body.pose_at(frame).expression) for frame in range(0, len(body.frames), 1 + len(body.frames) // 50)])
        # weights of facial actions are 0 to 1; components of a statistical basis have both signs
        self.expression_range = (0.0, 1.0) if tracked.min() > -0.2 else (-3.0, 3.0)
        self.follow(body.pose_at(0))

    def follow(self, pose: BodyPose) -> None:
        """Take the values of a pose."""
        self.expression, self.rotations = _array(pose.expression), _array(pose.rotations)

    def values(self) -> dict[Place, float]:
        """What the sliders show."""
        expression = {("expression", i, 0): float(value) for i, value in enumerate(self.expression)}
        return expression | {("rotations", joint, axis): float(self.rotations[joint, axis]) for joint in self.joints.values() for axis in range(3)}

    def set(self, place: Place, value: float) -> None:
        """Take control, with one value changed."""
        name, index, axis = place
        self.enabled = True
        if name == "expression":
            self.expression[index] = value
        else:
            self.rotations[index, axis] = value

    def reset(self) -> None:
        """The neutral expression and the rest pose, but for where the whole body is turned."""
        self.expression = np.zeros_like(self.expression)
        self.rotations[1:] = 0

    def pose(self, frame: int | BodyPose) -> int | BodyPose:
        """What the avatar is posed with: a tracked frame (or another pose) as it is, or under control with these values in it."""
        if not self.enabled:
            return frame
        base = frame if isinstance(frame, BodyPose) else self._body.pose_at(frame)
        return replace(base, expression=_tensor(self.expression, base.expression), rotations=_tensor(self.rotations, base.rotations))


def folder_of(expression: str) -> str:
    """The folder in which an expression's slider lies: the part of the face that its name begins with."""
    match = re.match(r"brow|cheek|eye|jaw|mouth|nose|tongue", expression, re.IGNORECASE)
    return match[0].lower() if match else "other"


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy().copy()


def _tensor(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(values).to(like)
