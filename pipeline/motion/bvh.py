"""BVH files (Biovision hierarchy), with any names, channel orders, axes and units."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.geometry.rotations import matrix_to_rotvec
from pipeline.io.documents import read_document
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.motion.axes import ADULT_LEG, axes_of, leg_length
from pipeline.motion.joints import slots_of
from pipeline.motion.motion import MOST_FRAMES, MOST_JOINTS, MOST_NUMBERS, Motion, checked

EXPECTED = "a BVH file"
_CHANNELS = {f"{axis.lower()}{kind}": (kind, axis) for kind in ("position", "rotation") for axis in "XYZ"}
_MOST_DEPTH = 200
_UNITS = (1.0, 0.01, 0.001)  # metres of a metre, centimetre, millimetre
JUMP = 0.1  # radians within a frame, mean of the joints: the step from a calibration pose
_LEGS = (0.5, 1.2)  # metres: by the length of its legs a skeleton's unit is known


@dataclass
class _Joint:
    """offset: [3] from its parent. channels: (position or rotation, axis) in the file's order, from column `start` on."""

    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: list[tuple[str, str]] = field(default_factory=list)
    start: int = 0


def read_bvh(path: Path) -> Motion:
    """A BVH file as a motion, in metres, its rest pose that of its offsets. Positions of joints other than the root are left out.

    Metres, centimetres and millimetres are told apart by the length of the legs; where no unit gives human legs, they are scaled to those of an adult.

    Raises InputError: not a BVH file, truncated, or not finite.
    """
    joints, values, seconds = read_document(path, _parse, what="BVH", expected=EXPECTED)
    if not 0 < seconds < 1e6:
        raise InputError("an impossible frame time", file=path, found=seconds, expected="seconds per frame, such as 0.00833333")
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise InputError(f"frame {bad[0] + 1} holds a number that is not finite", file=path, expected="finite numbers", remedy="export the file again")
    rest = np.zeros((len(joints), 3))
    for number, joint in enumerate(joints):
        rest[number] = joint.offset + (rest[joint.parent] if joint.parent >= 0 else 0)
    names, slots = tuple(joint.name for joint in joints), slots_of([joint.name for joint in joints])
    A, leg = axes_of(rest, slots), leg_length(rest, slots)
    unit = next((unit for unit in _UNITS if _LEGS[0] <= leg * unit <= _LEGS[1]), ADULT_LEG / leg if leg > 0 else 1.0)
    local = A @ np.stack([_rotations(joint, values) for joint in joints], axis=1) @ A.T
    if first := _calibration_frames(local):
        log(f"{path.name}: the first frame is a calibration pose; it is left out")
        local, values = local[first:], values[first:]
    moved = np.tile(joints[0].offset, (len(values), 1))
    for column, (kind, axis) in enumerate(joints[0].channels, start=joints[0].start):
        if kind == "position":
            moved[:, "XYZ".index(axis)] = values[:, column]
    parents = tuple(joint.parent for joint in joints)
    return checked(Motion(names, parents, matrix_to_rotvec(local), unit * (moved - joints[0].offset) @ A.T, 1 / seconds, rest=unit * rest @ A.T), path)


def _calibration_frames(local: np.ndarray) -> int:
    """1 where the first of rotations [T, J, 3, 3] is far from the second, and no later step is like that; else 0."""
    if len(local) < 4:
        return 0
    steps = np.arccos(np.clip((np.einsum("tjab,tjab->tj", local[:-1], local[1:]) - 1) / 2, -1, 1)).mean(1)
    return int(steps[0] > JUMP and steps[0] > steps[1:].max() and steps[0] > 10 * np.median(steps))


def _rotations(joint: _Joint, values: np.ndarray) -> np.ndarray:
    """[T, 3, 3]: the channels multiply in the file's order, R = R_first R_second R_third."""
    columns = [(column, axis) for column, (kind, axis) in enumerate(joint.channels, start=joint.start) if kind == "rotation"]
    if not columns:
        return np.tile(np.eye(3), (len(values), 1, 1))
    return Rotation.from_euler("".join(axis for _, axis in columns), values[:, [column for column, _ in columns]], degrees=True).as_matrix()


def _parse(text: str) -> tuple[list[_Joint], np.ndarray, float]:
    """Joints, values [T, channels], seconds per frame. Raises ValueError."""
    head, mark, tail = text.partition("MOTION")
    if not mark or head.split(maxsplit=1)[:1] != ["HIERARCHY"]:
        raise ValueError("no HIERARCHY followed by MOTION")
    joints = _hierarchy(head.split()[1:])
    channels = sum(len(joint.channels) for joint in joints)
    lines = tail.lstrip().split("\n", 2)
    if len(lines) < 3 or not lines[0].startswith("Frames:") or not lines[1].strip().startswith("Frame Time:"):
        raise ValueError("MOTION is not followed by 'Frames:' and 'Frame Time:'")
    frames, seconds = int(lines[0].split(":")[1]), float(lines[1].split(":")[1])
    if not 1 <= frames <= MOST_FRAMES or frames * channels > MOST_NUMBERS:
        raise ValueError(f"{frames} frames of {channels} channels; 1 to {MOST_FRAMES} frames, at most {MOST_NUMBERS} numbers")
    if channels == 0 or not lines[2].strip():
        raise ValueError(f"{channels} channels and no numbers" if channels == 0 else f"ends before the first of {frames} frames")
    values = np.loadtxt(io.StringIO(lines[2]), ndmin=2, max_rows=frames + 1, comments=None)
    if values.shape != (frames, channels):
        raise ValueError(f"{len(values)} frames of {values.shape[1]} numbers where the header says {frames} of {channels}")
    return joints, values, seconds


def _hierarchy(words: list[str]) -> list[_Joint]:
    """The joints in the file's order. Raises ValueError."""
    joints: list[_Joint] = []
    open_joints: list[int] = []  # -1 is an end site, which is no joint
    at, start = 0, 0
    while at < len(words):
        word = words[at]
        if word in ("ROOT", "JOINT"):
            name, parent = words[at + 1], open_joints[-1] if open_joints else -1
            if (word == "ROOT") != (not joints) or words[at + 2] != "{" or (joints and not open_joints):
                raise ValueError(f"{word} {name} where the hierarchy does not allow it")
            joints.append(_Joint(name, parent))
            open_joints.append(len(joints) - 1)
            at += 3
        elif word == "End":
            open_joints.append(-1)
            at += 3
        elif word == "OFFSET":
            offset = np.array(words[at + 1 : at + 4], np.float64)
            if offset.shape != (3,) or not np.isfinite(offset).all():
                raise ValueError(f"OFFSET {' '.join(words[at + 1 : at + 4])}")
            if open_joints[-1] >= 0:
                joints[open_joints[-1]].offset = offset
            at += 4
        elif word == "CHANNELS":
            count = int(words[at + 1])
            channels = [_CHANNELS[word.lower()] for word in words[at + 2 : at + 2 + count] if word.lower() in _CHANNELS]
            if not 0 <= count <= 6 or len(set(channels)) != count:
                raise ValueError(f"joint {joints[-1].name} has CHANNELS {' '.join(words[at + 1 : at + 8])}; at most 6 different ones are possible")
            joints[-1].channels, joints[-1].start = channels, start
            start, at = start + count, at + 2 + count
        elif word == "}":
            open_joints.pop()
            at += 1
        else:
            raise ValueError(f"{word!r} in the hierarchy")
        if len(joints) > MOST_JOINTS or len(open_joints) > _MOST_DEPTH:
            raise ValueError(f"more than {MOST_JOINTS} joints, or nested deeper than {_MOST_DEPTH}")
    if not joints or open_joints:
        raise ValueError("no joints" if not joints else "a bracket is not closed")
    return joints
