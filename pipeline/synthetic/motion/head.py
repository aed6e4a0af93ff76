"""Motion of a synthetic head: expressions in random order, blinks, gaze, head rotation."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.motion.motion import Motion

GESTURES: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {"mouthSmile": 0.62, "cheekSquint": 0.35, "eyeSquint": 0.3, "mouthDimple": 0.15},
    "laugh": {"mouthSmile": 0.65, "jawOpen": 0.40, "cheekSquint": 0.6, "eyeSquint": 0.4, "mouthUpperUp": 0.35, "browOuterUp": 0.2},
    "shout": {"jawOpen": 0.8, "mouthStretch": 0.4, "mouthUpperUp": 0.3, "mouthLowerDown": 0.5, "browDown": 0.5, "noseSneer": 0.3},
    "surprise": {"browInnerUp": 0.8, "browOuterUp": 0.8, "eyeWide": 0.8, "jawOpen": 0.35, "mouthFunnel": 0.2},
    "anger": {"browDown": 0.9, "noseSneer": 0.5, "mouthPress": 0.5, "eyeSquint": 0.4, "mouthFrown": 0.3},
    "disgust": {"noseSneer": 0.9, "mouthUpperUp": 0.5, "browDown": 0.4, "mouthFrown": 0.3, "cheekSquint": 0.4},
    "sad": {"browInnerUp": 0.8, "mouthFrown": 0.7, "mouthShrugLower": 0.4},
    "kiss": {"mouthPucker": 0.85, "mouthFunnel": 0.2, "browInnerUp": 0.2},
    "puff": {"cheekPuff": 0.8, "mouthPress": 0.3},
    "skew": {"mouthLeft": 0.6, "browDownRight": 0.3},
    "jaw": {"jawRight": 0.6, "jawOpen": 0.15},
    "aa": {"jawOpen": 0.5, "mouthLowerDown": 0.3, "browInnerUp": 0.15},
    "ee": {"mouthStretch": 0.5, "mouthSmile": 0.3, "jawOpen": 0.14, "mouthUpperUp": 0.25, "mouthLowerDown": 0.35},
    "oo": {"mouthFunnel": 0.7, "jawOpen": 0.25, "mouthPucker": 0.3},
    "mm": {"mouthPress": 0.4, "mouthRollLower": 0.3, "mouthRollUpper": 0.2},
    "ff": {"mouthRollLower": 0.5, "mouthUpperUp": 0.3, "jawOpen": 0.08},
}
"""Weights of the 52 ARKit expressions; a name without Left or Right stands for both sides."""


@dataclass(frozen=True)
class Theme:
    """Content of a sequence: gestures, seconds per gesture, amplitudes of the head rotation in degrees (yaw, pitch, roll)."""

    gestures: tuple[str, ...]
    seconds: float
    rotation: tuple[float, float, float]


THEMES = {
    "EMO-1-shout+laugh": Theme(("shout", "laugh", "surprise", "anger", "sad", "smile", "disgust", "kiss", "puff"), 0.26, (7, 4, 4)),
    "EXP-1-head": Theme(("smile", "neutral", "aa", "oo", "ee", "skew", "jaw", "surprise", "mm"), 0.3, (14, 8, 5)),
    "SEN-01": Theme(("aa", "ee", "oo", "mm", "ff", "smile", "neutral"), 0.2, (9, 5, 3)),
}
DEFAULT_SEQUENCES = tuple(THEMES)
_JOINT_SHARE = {"neck01": 0.15, "neck02": 0.15, "neck03": 0.2, "head": 0.5}  # of the head rotation
_BLINK = (0.45, 1.0, 0.9, 0.5, 0.15)  # lid closure in the frames of a blink at 24 frames per second


def head_motion(
    index: int,
    name: str,
    frames: int,
    fps: float,
    expression_names: tuple[str, ...],
    joint_names: tuple[str, ...],
    rng: np.random.Generator,
) -> Motion:
    """The motion of a sequence. Sequences whose name is no theme cycle through the themes by `index`."""
    theme = THEMES.get(name) or list(THEMES.values())[index % len(THEMES)]
    time = np.arange(frames) / fps
    rotation = np.stack([_sway(time, rng) * np.radians(degrees) for degrees in theme.rotation], axis=1)
    actions = dict.fromkeys(expression_names, np.zeros(frames))
    _gestures(actions, theme, time, rng)
    _gaze(actions, time, rotation, rng)
    _blinks(actions, frames, fps, rng)
    pose = np.zeros((frames, len(joint_names), 3))
    for joint, share in _JOINT_SHARE.items():
        pose[:, joint_names.index(joint)] = share * rotation[:, [1, 2, 0]]  # pitch about x, roll about y, yaw about z
    for side, sign in (("L", 1.0), ("R", -1.0)):  # arms hanging; the model's rest pose spreads them
        pose[:, joint_names.index(f"upperarm01.{side}"), 1] = sign * np.radians(33)
    translation = np.stack([_sway(time, rng) * reach for reach in (0.008, 0.006, 0.003)], axis=1)
    expression = np.clip(np.stack([actions[action] for action in expression_names], axis=1), 0, 1)
    return Motion(expression, pose, translation)


def _sway(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[T] smooth random curve in -1..1 with the speed of natural head motion."""
    phase, speed = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.35, 0.6) * 2 * np.pi
    return 0.75 * np.sin(speed * time + phase[0]) + 0.25 * np.sin(2.3 * speed * time + phase[1])


def _sides(action: str, expression_names: Container[str]) -> list[str]:
    """An expression without a side as its left and right ones."""
    if action in expression_names:
        return [action]
    return [action + "Left", action + "Right"]


def _gestures(actions: dict[str, np.ndarray], theme: Theme, time: np.ndarray, rng: np.random.Generator) -> None:
    """Add gestures in random order, each blending into the next."""
    count = int(np.ceil(time[-1] / theme.seconds)) + 2 if len(time) > 1 else 2
    order: list[str] = []
    while len(order) < count:
        order += [str(name) for name in rng.permutation(theme.gestures)]
    key_times = theme.seconds * (np.arange(count) - rng.uniform(0, 1))
    for key, gesture in enumerate(order[:count]):
        t = np.clip(1 - np.abs(time - key_times[key]) / theme.seconds, 0, 1)
        weight = t * t * (3 - 2 * t) * rng.uniform(0.75, 1.1)
        for action, amount in GESTURES[gesture].items():
            for side in _sides(action, actions):
                actions[side] = actions[side] + weight * amount * rng.uniform(0.9, 1.1)


def _gaze(actions: dict[str, np.ndarray], time: np.ndarray, rotation: np.ndarray, rng: np.random.Generator) -> None:
    """Add fixations of about a third of a second; the eyes partly compensate the head rotation."""
    fixation = np.floor(time / rng.uniform(0.3, 0.45)).astype(int)
    yaw = rng.uniform(-0.55, 0.55, fixation.max() + 1)[fixation] - 1.3 * rotation[:, 0]
    pitch = rng.uniform(-0.4, 0.4, fixation.max() + 1)[fixation] + 1.0 * rotation[:, 1]
    for side, out in (("Left", yaw), ("Right", -yaw)):  # yaw to the subject's left is outwards for the left eye
        for direction, amount in (("Out", out), ("In", -out), ("Up", pitch), ("Down", -pitch)):
            action = f"eyeLook{direction}{side}"
            actions[action] = actions[action] + np.clip(amount, 0, 0.85)


def _blinks(actions: dict[str, np.ndarray], frames: int, fps: float, rng: np.random.Generator) -> None:
    """Add a blink every one to two seconds, at least one in sequences that are long enough."""
    closed = np.zeros(frames)
    start = int(rng.integers(0, max(1, frames - len(_BLINK) + 1)) % max(1, int(fps)))
    while start < frames:
        stop = min(start + len(_BLINK), frames)
        closed[start:stop] = np.maximum(closed[start:stop], _BLINK[: stop - start])
        start += int(fps * rng.uniform(1.0, 2.2))
    for side in ("Left", "Right"):
        for action in (f"eyeWide{side}", f"eyeSquint{side}", f"eyeLookUp{side}", f"eyeLookDown{side}"):
            actions[action] = actions[action] * (1 - closed)
        actions[f"eyeBlink{side}"] = np.maximum(actions[f"eyeBlink{side}"], closed)
