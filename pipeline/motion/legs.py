"""Legs bent so that the ankles reach their goals: two-bone inverse kinematics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.geometry.rotations import aligning, rotvec_to_matrix
from pipeline.motion.kinematics import positions
from pipeline.motion.target import Target

_STRAIGHT = 1e-3  # sine of a knee's angle below which its own hinge is the axis


def bent_legs(R: np.ndarray, root: np.ndarray, target: Target, legs: Sequence[tuple[int, int, int]], goals: np.ndarray) -> np.ndarray:
    """Global rotations [T, J, 3, 3] with thighs and shins turned; what hangs on a thigh or shin turns along, feet keep their orientation.

    Each knee bends in the plane in which it is bent, or about the left-right axis of a straight leg; then the leg turns to its goal by the smallest rotation.

    Args:
        legs: thigh, shin and foot joints. goals: [legs, T, 3] positions of the foot joints; out of reach: as near as the leg gets.
    """
    places, R = positions(R, root, target.rest, target.parents), R.copy()
    for (thigh, shin, foot), goal in zip(legs, goals):
        hip, knee, ankle = places[:, thigh], places[:, shin], places[:, foot]
        upper, lower = knee - hip, ankle - knee
        a, b = np.linalg.norm(upper, axis=1), np.linalg.norm(lower, axis=1)
        distance = np.clip(np.linalg.norm(goal - hip, axis=1), np.abs(a - b) + 1e-6, a + b - 1e-6)
        normal = np.cross(upper, lower)
        size = np.linalg.norm(normal, axis=1, keepdims=True)
        hinge = R[:, thigh] @ np.array([1.0, 0, 0])
        normal = np.where(size > _STRAIGHT * (a * b)[:, None], normal / np.maximum(size, 1e-12), hinge)
        bend = np.arctan2((np.cross(upper, lower) * normal).sum(1), (upper * lower).sum(1))
        angle = np.arccos(np.clip((distance**2 - a**2 - b**2) / (2 * a * b), -1, 1))  # the angle between thigh and shin
        turn_shin = rotvec_to_matrix(normal * (angle - bend)[:, None])
        reached = upper + _turned(turn_shin, lower)
        turn_leg = aligning(reached, goal - hip)
        for joint in _between(thigh, shin, target.parents):
            R[:, joint] = turn_leg @ R[:, joint]
        for joint in _between(shin, foot, target.parents):
            R[:, joint] = turn_leg @ turn_shin @ R[:, joint]
    return R


def _between(first: int, end: int, parents: Sequence[int]) -> list[int]:
    """The joints from `first` down to before `end`."""
    joints, joint = [], parents[end]
    while joint != parents[first]:
        joints.append(joint)
        joint = parents[joint]
    return joints


def _turned(R: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (R @ v[..., None])[..., 0]
