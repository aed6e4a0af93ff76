"""What a made-up head does: gestures that follow each other, blinks, glances, nods and turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
"""Combinations of the 52 facial actions; a name without Left or Right stands for both sides."""


@dataclass(frozen=True)
class Theme:
    """What a sequence is about: gestures to choose from, seconds each takes, head turns in degrees (yaw, pitch, roll)."""

    gestures: tuple[str, ...]
    seconds: float
    turns: tuple[float, float, float]


THEMES = {
    "EMO-1-shout+laugh": Theme(("shout", "laugh", "surprise", "anger", "sad", "smile", "disgust", "kiss", "puff"), 0.26, (7, 4, 4)),
    "EXP-1-head": Theme(("smile", "neutral", "aa", "oo", "ee", "skew", "jaw", "surprise", "mm"), 0.3, (14, 8, 5)),
    "SEN-01": Theme(("aa", "ee", "oo", "mm", "ff", "smile", "neutral"), 0.2, (9, 5, 3)),
}
DEFAULT_SEQUENCES = tuple(THEMES)
_TURN_SHARE = {"neck01": 0.15, "neck02": 0.15, "neck03": 0.2, "head": 0.5}
_BLINK = (0.45, 1.0, 0.9, 0.5, 0.15)  # share of closing in the frames of a blink at 24 frames per second


@dataclass(frozen=True, eq=False)
class Motion:
    """Parameters of one sequence of T frames in the person's own space: expression [T,E], pose [T,J,3] axis-angle, shift [T,3] metres."""

    expression: np.ndarray
    pose: np.ndarray
    shift: np.ndarray


def head_motion(
    index: int, name: str, frames: int, fps: float, expression_names: tuple[str, ...], joint_names: tuple[str, ...], rng: np.random.Generator
) -> Motion:
    """The motion of a sequence; names that are no theme take the themes in turn."""
    theme = THEMES.get(name) or list(THEMES.values())[index % len(THEMES)]
    time = np.arange(frames) / fps
    turns = np.stack([_sway(time, rng) * np.radians(degrees) for degrees in theme.turns], axis=1)
    actions = dict.fromkeys(expression_names, np.zeros(frames))
    _gestures(actions, theme, time, rng)
    _gaze(actions, time, turns, rng)
    _blinks(actions, frames, fps, rng)
    pose = np.zeros((frames, len(joint_names), 3))
    for joint, share in _TURN_SHARE.items():
        pose[:, joint_names.index(joint)] = share * turns[:, [1, 2, 0]]  # pitch about x, roll about y, yaw about z
    for side, sign in (("L", 1.0), ("R", -1.0)):  # arms hang down; the model's rest pose spreads them
        pose[:, joint_names.index(f"upperarm01.{side}"), 1] = sign * np.radians(33)
    shift = np.stack([_sway(time, rng) * reach for reach in (0.008, 0.006, 0.003)], axis=1)
    expression = np.clip(np.stack([actions[action] for action in expression_names], axis=1), 0, 1)
    return Motion(expression, pose, shift)


def _sway(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth curve within -1..1 that moves in a second what a living head moves."""
    phase, speed = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.35, 0.6) * 2 * np.pi
    return 0.75 * np.sin(speed * time + phase[0]) + 0.25 * np.sin(2.3 * speed * time + phase[1])


def _sides(action: str, expression_names) -> list[str]:
    if action in expression_names:
        return [action]
    return [action + "Left", action + "Right"]


def _gestures(actions: dict[str, np.ndarray], theme: Theme, time: np.ndarray, rng: np.random.Generator) -> None:
    """Gestures one after the other in random order, each half flowing into the next."""
    count = int(np.ceil(time[-1] / theme.seconds)) + 2 if len(time) > 1 else 2
    order: list[str] = []
    while len(order) < count:
        order += [str(name) for name in rng.permutation(theme.gestures)]
    key_times = theme.seconds * (np.arange(count) - rng.uniform(0, 1))
    for key, gesture in enumerate(order[:count]):
        t = np.clip(1 - np.abs(time - key_times[key]) / theme.seconds, 0, 1)
        course = t * t * (3 - 2 * t) * rng.uniform(0.75, 1.1)
        for action, amount in GESTURES[gesture].items():
            for side in _sides(action, actions):
                actions[side] = actions[side] + course * amount * rng.uniform(0.9, 1.1)


def _gaze(actions: dict[str, np.ndarray], time: np.ndarray, turns: np.ndarray, rng: np.random.Generator) -> None:
    """Glances held for a third of a second; the eyes take back half of the head's turn."""
    glance = np.floor(time / rng.uniform(0.3, 0.45)).astype(int)
    yaw = rng.uniform(-0.55, 0.55, glance.max() + 1)[glance] - 1.3 * turns[:, 0]
    pitch = rng.uniform(-0.4, 0.4, glance.max() + 1)[glance] + 1.0 * turns[:, 1]
    for side, out in (("Left", yaw), ("Right", -yaw)):  # yaw towards the person's left is outwards for the left eye
        for action, amount in ((f"eyeLookOut{side}", out), (f"eyeLookIn{side}", -out), (f"eyeLookUp{side}", pitch), (f"eyeLookDown{side}", -pitch)):
            actions[action] = actions[action] + np.clip(amount, 0, 0.85)


def _blinks(actions: dict[str, np.ndarray], frames: int, fps: float, rng: np.random.Generator) -> None:
    """A blink every second or two, at least one in a sequence that is long enough."""
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
