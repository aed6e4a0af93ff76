"""Feet kept where they touch the ground: contacts, how far they slide, and the correction of root and legs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d, maximum_filter1d

from pipeline.motion.joints import SIDES
from pipeline.motion.kinematics import global_rotations, local_rotations, positions
from pipeline.motion.legs import bent_legs
from pipeline.motion.target import Target

CONTACT_M, CONTACT_SPEED = 0.05, 0.35  # a sole point touches the ground below this height and this speed, metres per second
SHORTEST = 0.06  # seconds of a contact, or of a gap between two
LOW_SHARE = 20  # percentile over the frames of the lowest sole point: the ground of a motion that walks, with room for jumps
FOLLOW = 0.12  # seconds over which the root follows the feet
REACH = 0.998  # of a leg's length: it is never quite straight


@dataclass(frozen=True, eq=False)
class Foot:
    """The sole of a foot. joints: thigh, shin, foot. points: heel, ball, tip as (joint, [3] metres from it at rest, in the axes of a motion)."""

    joints: tuple[int, int, int]
    points: tuple[tuple[int, np.ndarray], ...]


def sole_of(target: Target) -> tuple[Foot, ...]:
    """Both feet of a body; none where it has no legs."""
    slots, weights = target.slots, target.model.lbs_weights.detach().cpu().numpy()
    vertices = target.model.template.detach().cpu().double().numpy() @ target.axes.T
    feet = []
    for side in SIDES:
        if not all(f"{side} {part}" in slots for part in ("thigh", "shin", "foot")):
            return ()
        joints = (slots.first(f"{side} thigh"), slots.first(f"{side} shin"), slots.first(f"{side} foot"))
        toe = slots.first(f"{side} toe") if f"{side} toe" in slots else joints[2]
        skin = vertices[weights[:, _below(joints[2], target.parents)].sum(1) > 0.5]
        sole = skin[skin[:, 2] < skin[:, 2].min() + 0.02]
        heel, tip = sole[sole[:, 1].argmax()], sole[sole[:, 1].argmin()]
        ball = np.array([*target.rest[toe][:2], sole[:, 2].min()]) if toe != joints[2] else tip
        feet.append(Foot(joints, tuple((joint, point - target.rest[joint]) for joint, point in ((joints[2], heel), (joints[2], ball), (toe, tip)))))
    return tuple(feet)


def planted(
    rotations: np.ndarray, root: np.ndarray, target: Target, feet: tuple[Foot, ...], fps: float, *, apply: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Rotations [T, J, 3, 3] and root path [T, 3] whose feet stand still on the ground while they touch it, and facts.

    In a contact the foot's slower point (heel or ball) keeps its place, the lowest point that of the ground; between contacts the correction fades from one
    to the next. The root follows the feet slowly and sinks where a leg would be too short; the legs do the rest (two-bone inverse kinematics). The feet keep
    their orientation.

    Returns:
        facts: contact_share of the frames, slide_before_mm and slide_mm (mean and largest per frame of the touching point), ground_m the height of the ground.
    """
    R = global_rotations(rotations, target.parents)
    soles = [_points(R, root, target, foot) for foot in feet]
    ground = float(np.percentile(np.min([sole[..., 2].min(1) for sole in soles], axis=0), LOW_SHARE))
    contacts = [_contacts(sole, ground, fps) for sole in soles]
    facts: dict[str, Any] = {"ground_m": ground, "contact_share": [round(float(contact.mean()), 3) for contact in contacts]}
    facts["slide_before_mm"] = _slide(soles, contacts)
    if apply and any(contact.any() for contact in contacts):
        shifts = np.stack([_shift(sole, contact, ground) for sole, contact in zip(soles, contacts)])
        goals = positions(R, root, target.rest, target.parents)[:, [foot.joints[2] for foot in feet]].swapaxes(0, 1) + shifts
        root = root + gaussian_filter1d(shifts.mean(0), FOLLOW * fps, axis=0, mode="nearest")
        root = root - _sink(R, root, target, feet, goals, fps)
        R = bent_legs(R, root, target, [foot.joints for foot in feet], goals)
        rotations = local_rotations(R, target.parents)
        soles = [_points(R, root, target, foot) for foot in feet]
    facts["slide_mm"] = _slide(soles, contacts)
    return rotations, root, facts


def _below(joint: int, parents: tuple[int, ...]) -> list[int]:
    """A joint and all that hang on it."""
    below = [joint]
    for number, parent in enumerate(parents):
        if parent in below:
            below.append(number)
    return below


def _points(R: np.ndarray, root: np.ndarray, target: Target, foot: Foot) -> np.ndarray:
    """[T, 3, 3]: heel, ball and tip."""
    places = positions(R, root, target.rest, target.parents)
    return np.stack([places[:, joint] + R[:, joint] @ offset for joint, offset in foot.points], axis=1)


def _contacts(sole: np.ndarray, ground: float, fps: float) -> np.ndarray:
    """[T] bool: heel or ball is low and slow."""
    if len(sole) < 2:
        return np.zeros(len(sole), bool)
    speed = np.linalg.norm(np.gradient(sole[:, :2], axis=0), axis=-1) * fps
    touching = ((sole[:, :2, 2] - ground < CONTACT_M) & (speed < CONTACT_SPEED)).any(1)
    width = max(int(round(SHORTEST * fps)), 1)
    return binary_opening(binary_closing(touching, np.ones(width)), np.ones(width))


def _moves(sole: np.ndarray) -> np.ndarray:
    """[T - 1, 2] how far the slower one of heel and ball moves over the ground in a frame."""
    steps = np.diff(sole[:, :2, :2], axis=0)
    slower = np.linalg.norm(steps, axis=-1).argmin(1)
    return steps[np.arange(len(steps)), slower]


def _slide(soles: list[np.ndarray], contacts: list[np.ndarray]) -> dict[str, float]:
    """Movement over the ground per frame while in contact, mm."""
    moves = np.concatenate([np.linalg.norm(_moves(sole), axis=1)[contact[1:] & contact[:-1]] for sole, contact in zip(soles, contacts)])
    return {"mean": round(1000 * float(moves.mean()), 2), "largest": round(1000 * float(moves.max()), 2)} if len(moves) else {"mean": 0.0, "largest": 0.0}


def _shift(sole: np.ndarray, contact: np.ndarray, ground: float) -> np.ndarray:
    """[T, 3] how far a foot has to be moved."""
    lowest = sole[..., 2].min(1)
    shift = np.zeros((len(sole), 3))
    shift[:, 2] = ground - lowest
    moves = np.concatenate([np.zeros((1, 2)), _moves(sole)])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], contact.astype(int), [0]])))
    for first, end in edges.reshape(-1, 2):
        slid = np.cumsum(moves[first:end], axis=0) - moves[first]
        shift[first:end, :2] = slid.mean(0) - slid
    known = np.flatnonzero(contact)
    if len(known):
        away = np.flatnonzero(~contact)
        before, after = known[np.maximum(np.searchsorted(known, away) - 1, 0)], known[np.minimum(np.searchsorted(known, away), len(known) - 1)]
        share = np.clip((away - before) / np.maximum(after - before, 1), 0, 1)
        share = (share * share * (3 - 2 * share))[:, None]
        shift[away] = (1 - share) * shift[before] + share * shift[after]
        shift[away, 2] = np.maximum(shift[away, 2], ground - lowest[away])  # never below the ground
    return shift


def _sink(R: np.ndarray, root: np.ndarray, target: Target, feet: tuple[Foot, ...], goals: np.ndarray, fps: float) -> np.ndarray:
    """[T, 3]: how far the root has to sink for both legs to reach their goals [2, T, 3]."""
    places = positions(R, root, target.rest, target.parents)
    needed = np.zeros(len(root))
    for foot, goal in zip(feet, goals):
        thigh, shin, ankle = (target.rest[joint] for joint in foot.joints)
        reach = REACH * (np.linalg.norm(shin - thigh) + np.linalg.norm(ankle - shin))
        gap = places[:, foot.joints[0]] - goal
        height = np.sqrt(np.maximum(reach**2 - (gap[:, :2] ** 2).sum(1), 0))
        needed = np.maximum(needed, gap[:, 2] - height)
    width = max(int(round(FOLLOW * fps)), 1)
    sunk = gaussian_filter1d(maximum_filter1d(needed, 2 * width + 1, mode="nearest"), width / 2, mode="nearest")
    return sunk[:, None] * [0, 0, 1]
