"""A motion: how a skeleton and a face move, independent of whom they move, and its own file.

One convention for all forms (readers convert): metres, radians, seconds; z up, the subject at rest faces -y, its left is +x. The rotations of all joints are
in these axes, relative to the rest pose, each in the rotated axes of its parent: as in `BodyPose` (docs/conventions.md). The first joint turns the whole body
in the world of the motion.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.geometry.rotations import between, matrix_to_rotvec, rotvec_to_matrix
from pipeline.io.arrays import Integers, Numbers, Shape, Text, check_finite, load_npz, save_npz
from pipeline.io.errors import InputError

MOST_FRAMES, MOST_JOINTS, MOST_EXPRESSIONS = 1_000_000, 1000, 1000
MOST_NUMBERS = 200_000_000  # of all frames
LARGEST = 1e6  # of any number, such as metres
SLOWEST, FASTEST = 0.1, 1000.0  # frames per second
_ARRAYS: dict[str, Shape] = {
    "joints": Text(("joints",)),
    "parents": Integers(("joints",)),
    "rotations": Numbers(("frames", "joints", 3)),
    "rest": Numbers((None, 3)),
    "translation": Numbers(("frames", 3)),
    "expressions": Text(("expressions",)),
    "expression": Numbers(("frames", "expressions")),
    "frames": Text((None,)),
    "fps": Numbers(()),
    "world": Numbers((3, 3)),
    "model": Integers(()),
}


@dataclass(frozen=True, eq=False)
class Motion:
    """T frames of a motion.

    Attributes:
        joints: names as the form has them, the root first; parents: [J], -1 for the root, before their children.
        rotations: [T, J, 3] rotation vectors. rest: [J, 3] rest positions of the joints, metres; None where the form states none.
        translation: [T, 3] of the first joint from its rest position, metres.
        expressions: names of E expressions; expression: [T, E] weights.
        fps: frames per second. frames: ids of the images of the capture that the motion is from, else empty.
        model: whether the rotations are parameters of a model with these joint names, so that they hold for it as they are.
        world: [3, 3] rotation from this motion's world to that of the capture it is from.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    rotations: np.ndarray
    translation: np.ndarray
    fps: float
    expressions: tuple[str, ...] = ()
    expression: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    rest: np.ndarray | None = None
    frames: tuple[str, ...] = ()
    model: bool = False
    world: np.ndarray = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        if not self.expressions:
            object.__setattr__(self, "expression", np.zeros((len(self.rotations), 0)))

    def __len__(self) -> int:
        return len(self.rotations)

    def at(self, frames: slice | np.ndarray) -> Motion:
        """Only these frames."""
        ids = tuple(np.array(self.frames)[frames].tolist()) if self.frames else ()
        return replace(self, rotations=self.rotations[frames], translation=self.translation[frames], expression=self.expression[frames], frames=ids)

    def resampled(self, fps: float) -> Motion:
        """The same motion at another rate: rotations along the shortest arc (slerp), the rest linear; each frame keeps the id of the image nearest in time."""
        if fps == self.fps or len(self) < 2:
            return replace(self, fps=fps)
        count = int(np.floor((len(self) - 1) / self.fps * fps + 1e-6)) + 1
        place = np.minimum(np.arange(count) * self.fps / fps, len(self) - 1)
        first = np.minimum(place.astype(int), len(self) - 2)
        share = place - first
        R = rotvec_to_matrix(self.rotations)
        blended = [(1 - share)[:, None] * values[first] + share[:, None] * values[first + 1] for values in (self.translation, self.expression)]
        nearest = tuple(self.frames[i] for i in place.round().astype(int)) if self.frames else ()
        turned = matrix_to_rotvec(between(R[first], R[first + 1], share[:, None]))
        return replace(self, rotations=turned, translation=blended[0], expression=blended[1], fps=fps, frames=nearest)


def checked(motion: Motion, path: str | Path) -> Motion:
    """The motion, if it is one of finite numbers in possible sizes. Raises InputError."""
    sizes = {"frames": (len(motion), MOST_FRAMES), "joints": (len(motion.joints), MOST_JOINTS), "expressions": (len(motion.expressions), MOST_EXPRESSIONS)}
    for name, (size, most) in sizes.items():
        if not (name == "expressions" or size > 0) or size > most:
            raise InputError(f"a motion with {size} {name}", file=path, expected=f"1 to {most}", remedy="check the file")
    check_fps(motion.fps, path)
    arrays = {name: getattr(motion, name) for name in ("rotations", "translation", "expression", "rest", "world")}
    check_finite({name: array for name, array in arrays.items() if array is not None}, LARGEST, path)
    if any(not -1 <= parent < number for number, parent in enumerate(motion.parents)) or motion.parents.count(-1) != 1:
        raise InputError("joints whose parents do not precede them", file=path, found=motion.parents, expected="one root, the first joint")
    return motion


def check_fps(fps: float, path: str | Path | None = None) -> float:
    """The rate, if it is a possible one. Raises InputError."""
    if not SLOWEST <= fps <= FASTEST:
        raise InputError("an impossible frame rate", file=path, found=f"{fps} frames per second", expected=f"{SLOWEST} to {FASTEST:g}", remedy="say --fps")
    return float(fps)


def save_motion(path: str | Path, motion: Motion) -> None:
    """Write a motion as the project's own form, an npz."""
    rest = np.zeros((0, 3)) if motion.rest is None else motion.rest
    texts = {name: np.array(getattr(motion, name), np.str_) for name in ("joints", "expressions", "frames")}
    numbers = {name: np.asarray(getattr(motion, name), np.float64) for name in ("rotations", "translation", "expression", "fps", "world")}
    save_npz(path, {**texts, **numbers, "rest": rest, "parents": np.array(motion.parents), "model": np.array(int(motion.model))})


def load_motion(path: str | Path) -> Motion:
    """Inverse of `save_motion`. Raises InputError where the file is not one."""
    a = load_npz(path, _ARRAYS)
    frames, rest = tuple(a["frames"].tolist()), a["rest"]
    if len(frames) not in (0, len(a["rotations"])) or len(rest) not in (0, len(a["joints"])):
        found, expected = f"{len(frames)} frame ids, {len(rest)} rest positions", f"{len(a['rotations'])} and {len(a['joints'])}, or none"
        raise InputError("is not complete", file=path, found=found, expected=expected)
    motion = Motion(
        joints=tuple(a["joints"].tolist()),
        parents=tuple(int(parent) for parent in a["parents"]),
        rotations=a["rotations"].astype(np.float64),
        translation=a["translation"].astype(np.float64),
        fps=float(a["fps"]),
        expressions=tuple(a["expressions"].tolist()),
        expression=a["expression"].astype(np.float64),
        rest=rest.astype(np.float64) if len(rest) else None,
        frames=frames,
        model=bool(a["model"]),
        world=a["world"].astype(np.float64),
    )
    return checked(motion, path)
