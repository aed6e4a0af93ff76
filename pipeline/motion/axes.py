"""The axes of a skeleton, measured from its rest pose, and its size."""

from __future__ import annotations

import numpy as np

from pipeline.motion.joints import Slots

Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From x left, y up, z forward (BVH, SMPL, FLAME, ARKit) to the axes of a motion: x left, z up, -y forward."""
ADULT_LEG = 0.8  # hip to ankle of a mean adult, metres, where a form has no skeleton
_UPRIGHT = np.cos(np.radians(30))  # of a world whose vertical is not an axis nothing is assumed


def axes_of(rest: np.ndarray, slots: Slots) -> np.ndarray:
    """The rotation [3, 3] from a skeleton's axes to those of a motion; its axes are taken as vertical and horizontal.

    Left is from right to left hip (else arm, eye), up from hips to the outermost of spine, neck and eyes. A head with a neck alone rises from its root: the eyes
    may be farther in front of the neck than above it. Without either: as they are.

    Args:
        rest: [J, 3] rest positions.
    """
    across = next((part for part in ("thigh", "upperarm", "eye") if f"left {part}" in slots and f"right {part}" in slots), None)
    low = next((rest[slots.first(slot)] for slot in ("left thigh", "hips", "spine") if slot in slots), rest[0] if "neck" in slots else None)
    high = next((rest[slots.last(slot)] for slot in ("left eye", "neck", "spine") if slot in slots), None)
    if across is None or low is None or high is None:
        return np.eye(3)
    left = nearest_axis(rest[slots.first(f"left {across}")] - rest[slots.first(f"right {across}")])
    rise = high - low
    up = nearest_axis(rise - (rise @ left) * left)
    return np.stack([left, np.cross(up, left), up])


def nearest_axis(direction: np.ndarray) -> np.ndarray:
    """The unit vector [3] along an axis, forth or back, that is nearest to a direction [3]."""
    axis = np.zeros(3)
    number = int(np.abs(direction).argmax())
    axis[number] = 1.0 if direction[number] > 0 else -1.0
    return axis


def upright_world(facing: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] from the axes of a motion to a world in which a subject at rest has the orientation `facing` [3, 3], about.

    The world's vertical is its axis nearest to the subject's, if that is within 30 degrees; the subject faces the same way.
    """
    up = facing[:, 2]
    axis = nearest_axis(up)
    up = axis if axis @ up > _UPRIGHT else up
    left = facing[:, 0] - (facing[:, 0] @ up) * up
    left /= np.linalg.norm(left)
    return np.stack([left, np.cross(up, left), up], axis=1)


def leg_length(rest: np.ndarray | None, slots: Slots) -> float:
    """Length of thigh and shin, the mean of both sides, in the unit of `rest` [J, 3]; ADULT_LEG where the skeleton has none."""
    sides = [side for side in ("left", "right") if all(f"{side} {part}" in slots for part in ("thigh", "shin", "foot"))]
    if rest is None or not sides:
        return ADULT_LEG
    legs = [[rest[slots.first(f"{side} {part}")] for part in ("thigh", "shin", "foot")] for side in sides]
    return float(np.mean([np.linalg.norm(np.diff(leg, axis=0), axis=1).sum() for leg in legs]))
