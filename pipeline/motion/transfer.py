"""Joint rotations of one skeleton on another: matched by slots, with the rest poses' difference corrected.

A bone of the driven body points where the driver's bone points: with directions d at rest, G_target = G_driver C, where C turns d_target to d_driver. C
follows the one of the bone before it by the smallest turn (a T-posed driver straightens the bent elbow of our A-pose about its hinge). Spines, necks and
collars are not corrected: their joints lie in different places of the body. Feet are corrected about the vertical alone: both soles are flat at rest.
"""

from __future__ import annotations

import numpy as np

from pipeline.geometry.rotations import aligning, between
from pipeline.motion.joints import BONES, CHAINS, Slots, plain, without_side
from pipeline.motion.kinematics import global_rotations, local_rotations
from pipeline.motion.motion import Motion
from pipeline.motion.target import Target

_BELOW = {"spine": ("hips",), "neck": ("spine", "hips")}  # what a chain begins at
_BEFORE = {follower: slot for slot, follower in BONES.items()} | {"toe": "foot", "index1": "hand", "thumb1": "hand", "ring1": "hand", "pinky1": "hand"}


def transferred(motion: Motion, local: np.ndarray, slots: Slots, target: Target, neutral: np.ndarray) -> tuple[np.ndarray, frozenset[int]]:
    """Local rotations [T, J', 3, 3] of the target, and which of its joints the motion moves.

    Where both have hips the whole body moves as the driver does. Otherwise the target's trunk stays, and what lies beyond it turns relative to the driver's
    chest; relative to the world where the driver has none.

    Args:
        local: [T, J, 3, 3] of the motion's joints. neutral: [J', 3, 3] local rotations of the joints that the motion does not move.
    """
    if target.has_parameters(motion):
        return _copied(motion, local, target, neutral)
    count = len(local)
    driver = global_rotations(local, motion.parents)
    whole = "hips" in slots and "hips" in target.slots
    known: dict[int, np.ndarray] = {}
    if not whole and "spine" in slots:
        driver = np.swapaxes(driver[:, slots.last("spine")], -1, -2)[:, None] @ driver
    turns = rest_corrections(motion.rest, slots, target)
    for slot, joints in target.slots.joints.items():
        if slot not in slots or (not whole and slot in ("hips", "spine")):
            continue
        if slot in CHAINS:
            below = [slots.last(name) for name in _BELOW[slot] if name in slots and (whole or name == "spine")]
            start = driver[:, below[0]] if below else np.tile(np.eye(3), (count, 1, 1))
            links = [start, *(driver[:, joint] for joint in slots.joints[slot])]
            known |= {joint: _along(links, (number + 1) / len(joints)) for number, joint in enumerate(joints)}
        else:
            known |= {joint: driver[:, slots.first(slot)] @ turns.get(slot, np.eye(3)) for joint in joints}
    return _completed(known, target, neutral, whole, count), frozenset(known)


def _copied(motion: Motion, local: np.ndarray, target: Target, neutral: np.ndarray) -> tuple[np.ndarray, frozenset[int]]:
    """Of a motion of the same model: the joints of the same names."""
    names = [plain(name) for name in motion.joints]
    known = {number: names.index(plain(name)) for number, name in enumerate(target.model.joint_names) if plain(name) in names}
    result = np.tile(neutral, (len(local), 1, 1, 1))
    result[:, list(known)] = local[:, list(known.values())]
    return result, frozenset(known)


def rest_corrections(rest: np.ndarray | None, slots: Slots, target: Target) -> dict[str, np.ndarray]:
    """C [3, 3] of each slot of both skeletons. rest: [J, 3] of the driver; without it nothing is corrected."""
    turns: dict[str, np.ndarray] = {}
    if rest is None:
        return turns

    def bone(positions: np.ndarray, of: Slots, slot: str, follower: str) -> np.ndarray:
        return positions[of.first(follower)] - positions[of.first(slot)]

    for slot in (slot for slot in target.slots.joints if slot in slots):
        part, side = without_side(slot), slot.removesuffix(without_side(slot))
        before = turns.get(side + _BEFORE.get(part, ""), np.eye(3))
        follower = side + ("toe" if part == "foot" else BONES.get(part, ""))
        if follower not in slots or follower not in target.slots:
            turns[slot] = before if part in _BEFORE and part != "foot" else np.eye(3)
            continue
        ours, theirs = bone(target.rest, target.slots, slot, follower), bone(rest, slots, slot, follower)
        if part == "foot":
            turns[slot] = aligning(ours * [1, 1, 0], theirs * [1, 1, 0])
        else:
            turns[slot] = aligning(before @ ours, theirs) @ before
    return turns


def _along(links: list[np.ndarray], share: float) -> np.ndarray:
    """The rotation [T, 3, 3] at a share of a chain of them: a joint's own where both chains have as many joints."""
    place = share * (len(links) - 1)
    first = min(int(place + 1e-9), len(links) - 2)
    return between(links[first], links[first + 1], np.full(len(links[0]), place - first))


def _completed(known: dict[int, np.ndarray], target: Target, neutral: np.ndarray, whole: bool, count: int) -> np.ndarray:
    """Local rotations [T, J', 3, 3] of the global ones that are known; other joints keep their neutral one."""
    parents = target.parents
    R = np.empty((count, len(parents), 3, 3))
    trunk = target.slots.last("spine") if "spine" in target.slots else 0
    for joint, parent in enumerate(parents):
        own = np.broadcast_to(neutral[joint], (count, 3, 3))
        R[:, joint] = own if parent < 0 else R[:, parent] @ own
        if joint in known:
            R[:, joint] = known[joint] if whole else R[:, trunk] @ known[joint]
    return local_rotations(R, parents)
