"""A motion on a body: poses of an avatar in the world that it was tracked in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.body.body_pose import BodyPose
from pipeline.body.traits import COMPONENT
from pipeline.geometry.rotations import mean_rotation, rotvec_to_matrix
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.io.words import listed
from pipeline.motion.axes import leg_length
from pipeline.motion.feet import planted, sole_of
from pipeline.motion.guard import near_tracked
from pipeline.motion.joints import SIDES, Slots, slots_of
from pipeline.motion.limits import limited
from pipeline.motion.motion import Motion
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.smoothing import smoothed
from pipeline.motion.target import Target
from pipeline.motion.transfer import transferred

GAZE = "eyeLook"  # how the names of expressions that turn the eyes begin


@dataclass(frozen=True, eq=False)
class Retargeted:
    """Poses of T frames, and facts: joints and expressions that are driven or unknown, foot slide, limited joints."""

    poses: list[BodyPose]
    facts: dict[str, Any]


def retarget(motion: Motion, target: Target, options: RetargetOptions | None = None) -> Retargeted:
    """The motion on the body. Raises InputError where the two have nothing in common, or the expressions cannot be mapped by name."""
    options = options or RetargetOptions()
    if options.neutral is not None and not 0 <= options.neutral < len(motion):
        raise InputError("no such neutral frame", found=options.neutral, expected=f"0 to {len(motion) - 1}", remedy="correct --neutral")
    slots, facts = slots_of(motion.joints), dict[str, Any]()
    expression = _expression(motion, target, options, facts)
    own = target.neutral_rotations()
    local = rotvec_to_matrix(motion.rotations)
    head = "hips" not in slots or "hips" not in target.slots or not any(f"{side} thigh" in slots for side in SIDES)
    neutral_frames = slice(None) if options.neutral is None else slice(options.neutral, options.neutral + 1)
    if head and not options.absolute and not target.has_parameters(motion):
        local[:, 0] = mean_rotation(local[neutral_frames, 0]).T @ local[:, 0]  # of any world
    if any(name.startswith(GAZE) for name in facts["expressions"]) and not target.has_parameters(motion):  # the eyes turn once
        slots = Slots(slots.rig, {slot: joints for slot, joints in slots.joints.items() if not slot.endswith(" eye")})
    rotations, moved = transferred(motion, local, slots, target, own)
    if not moved and not facts["expressions"]:
        names = ", ".join((*motion.joints, *motion.expressions)[:8])
        raise InputError("nothing of this motion is known to the avatar", found=names, expected="names of docs/motion.md", remedy="see docs/motion.md")
    facts["joints"] = [target.model.joint_names[joint] for joint in sorted(moved)]
    if head and not options.absolute:
        joints = sorted(moved)
        rest = mean_rotation(rotations[neutral_frames][:, joints])
        rotations[:, joints] = own[joints] @ np.swapaxes(rest, -1, -2) @ rotations[:, joints]
        root = _head_place(motion, target, neutral_frames, 0 in moved)
    elif head:
        root = motion.translation + target.origin(motion.world) if 0 in moved else np.tile(target.roots.mean(0), (len(motion), 1))
    else:
        rotations, root = _body_place(motion, slots, target, rotations, neutral_frames, options.absolute)
    if options.limits:
        rotations, facts["limited"] = limited(rotations, target, moved)
    if options.smooth:
        rotations, root, expression = smoothed(rotations, root, expression, options.smooth * motion.fps)
    if options.guard:
        rotations, expression = near_tracked(rotations, expression, target)
    if not head and (sole := sole_of(target)):
        same = _as_they_are(motion, target)
        rotations, root, facts["feet"] = planted(rotations, root, target, sole, motion.fps, apply=options.feet and not same)
        if not options.absolute and not same:
            root = root + [0, 0, target.ground() - facts["feet"]["ground_m"]]
    world = motion.world if options.absolute and target.has_parameters(motion) else None
    return Retargeted(target.poses(rotations, root, expression, world), facts)


def _as_they_are(motion: Motion, target: Target) -> bool:
    """Whether the motion holds the parameters of this very body, so that its feet are where they were tracked."""
    same = motion.rest is not None and motion.rest.shape == target.rest.shape
    return target.has_parameters(motion) and same and bool(np.abs(motion.rest - target.rest).max() < 1e-3)


def _expression(motion: Motion, target: Target, options: RetargetOptions, facts: dict[str, Any]) -> np.ndarray:
    """[T, E] of the target's expressions: by name, whatever its case; numbered components only on a body of the same model."""
    names, own = {name.casefold(): number for number, name in enumerate(target.model.expression_names)}, target.neutral_expression()
    result, same = np.tile(own, (len(motion), 1)), target.has_parameters(motion)
    known = [same or not name.startswith(COMPONENT) for name in motion.expressions]
    pairs = [(number, names[name.casefold()]) for number, name in enumerate(motion.expressions) if known[number] and name.casefold() in names]
    pairs = pairs if options.expressions else []
    unknown = [name for name in motion.expressions if name.casefold() not in names]
    facts["expressions"] = [target.model.expression_names[ours] for _, ours in pairs]
    facts["unknown_expressions"] = unknown
    if not options.expressions or not motion.expressions:
        return result
    if not any(known):
        raise InputError(
            "the motion's expressions are components of another model's basis, which no name maps to the avatar's",
            found=f"{motion.expressions[0]} ... {motion.expressions[-1]}",
            expected=f"names such as {listed(target.model.expression_names)}, or an avatar that was tracked with that model",
            remedy="leave the face out: --no-expressions",
        )
    if unknown:
        log(f"left out: {len(unknown)} expressions that the avatar does not have: {listed(unknown)}")
    theirs, ours = (list(column) for column in zip(*pairs)) if pairs else ([], [])
    values = motion.expression[:, theirs]
    if not options.absolute:
        neutral = np.median(values, axis=0) if options.neutral is None else values[options.neutral]
        values = own[ours] + values - neutral
    low, high = np.minimum(target.expression.min(0), 0)[ours], np.maximum(target.expression.max(0), 1)[ours]
    weights = np.array([not motion.expressions[number].startswith(COMPONENT) for number in theirs], bool)  # components have no bounds
    result[:, ours] = np.where(weights, np.clip(values, low, high), values)
    return result


def _head_place(motion: Motion, target: Target, neutral: slice, moves: bool) -> np.ndarray:
    """[T, 3]: the root of a head moves from the avatar's own place as the driver's does from its neutral one, in the axes of both neutral heads."""
    own = target.roots.mean(0)
    if not moves:
        return np.tile(own, (len(motion), 1))
    theirs = mean_rotation(rotvec_to_matrix(motion.rotations[neutral, 0]))
    path = motion.translation - motion.translation[neutral].mean(0)
    return own + path @ (target.neutral_rotations()[0] @ theirs.T).T


def _body_place(motion: Motion, slots: Slots, target: Target, rotations: np.ndarray, neutral: slice, absolute: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and path of the root, scaled by leg length.

    Unless `absolute`, the motion is turned about the vertical and moved so that its neutral frames (their mean) stand where the avatar was tracked.
    """
    if target.has_parameters(motion) and absolute:
        return rotations, motion.translation + target.origin(motion.world)
    root = motion.translation * (target.leg / leg_length(motion.rest, slots))
    if absolute:
        return rotations, root + target.origin(target.world)
    turn = _heading(target.neutral_rotations()[0]) @ _heading(mean_rotation(rotations[neutral, 0])).T
    rotations = rotations.copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    return rotations, (root - root[neutral].mean(0)) @ turn.T + target.roots.mean(0)


def _heading(R: np.ndarray) -> np.ndarray:
    """The turn about the vertical [3, 3] that comes nearest to a rotation."""
    angle = np.arctan2(R[1, 0] - R[0, 1], R[0, 0] + R[1, 1])
    return rotvec_to_matrix(np.array([0, 0, angle]))
