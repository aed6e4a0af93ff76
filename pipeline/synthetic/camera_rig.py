"""Where the cameras of a made-up rig stand, and the room's light."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.capture.camera import Camera
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.synthetic.shade import Light, Vector

FRONTAL = "222200037"
SERIALS = ("220700191", "221501007", *(f"2222000{n}" for n in range(36, 50)))
"""Serial numbers of NeRSemble's 16 cameras; 222200037 looks at the face from the front."""


def make_rig(
    settings: SynthesiseSettings, target: np.ndarray, to_world: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> tuple[list[Camera], Camera]:
    """The cameras and the novel one, in the world.

    target [3]: what they look at, in the person's space (metres, z up, looking along -y); to_world: rotation and shift of that space into the world.
    """
    head = settings.subject == "head"
    count = settings.cameras
    if head:  # within 55 degrees of the front, on three heights
        yaws = np.linspace(-50, 50, count) if count > 1 else np.zeros(1)
        pitches = np.array([2, 17, -11])[np.arange(count) % 3] + rng.uniform(-2, 2, count)
    else:  # all around
        yaws = np.arange(count) * 360 / count
        pitches = np.array([4, 18])[np.arange(count) % 2] + rng.uniform(-2, 2, count)
    yaws = yaws + rng.uniform(-2, 2, count)
    frontal = int(np.argmin(np.abs((yaws + 180) % 360 - 180)))
    pitches[frontal] = rng.uniform(-3, 3)
    others = iter(name for name in SERIALS if name != FRONTAL)
    names = [FRONTAL if index == frontal else next(others) for index in range(count)]
    K = _intrinsics(settings, rng)
    cameras = [_look_at(name, K, settings, target, yaw, pitch, to_world, rng) for name, yaw, pitch in zip(names, yaws, pitches)]
    beside = frontal + 1 if frontal + 1 < count else frontal - 1
    between = (yaws[frontal] + yaws[beside]) / 2 if count > 1 else 9.0
    return cameras, _look_at("novel", K, settings, target, between + rng.uniform(-2, 2), rng.uniform(3, 8), to_world, rng)


def random_world(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A rotation and a shift: how the rig's calibration happened to lay its axes."""
    return Rotation.random(random_state=int(rng.integers(2**31))).as_matrix(), rng.uniform(-0.3, 0.3, 3)


def make_light(rng: np.random.Generator, to_world: np.ndarray, skin: Vector) -> Light:
    """Key, fill and rim lamp with the room's own light, turned into the world by a rotation [3,3]; a little brighter for darker skin, as a photographer would."""
    side = rng.choice([-1.0, 1.0])
    lamps = np.array([(0.55 * side, -0.75, 0.62), (-0.80 * side, -0.55, 0.20), (-0.45 * side, 0.85, 0.50)]) + rng.uniform(-0.08, 0.08, (3, 3))
    lamps /= np.linalg.norm(lamps, axis=1, keepdims=True)
    warmth = rng.uniform(-0.03, 0.05)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    exposure = (0.5 / max(skin)) ** 0.3
    colours, sky, ground = (exposure * np.array(a) for a in ([0.80 * tint, 0.24 / tint, np.full(3, 0.34)], (0.40, 0.41, 0.43), (0.20, 0.185, 0.17)))
    up = to_world @ np.array([0.0, 0.0, 1.0])
    return Light(_numbers(up), tuple(map(_numbers, lamps @ to_world.T)), tuple(map(_numbers, colours)), _numbers(sky), _numbers(ground))


def _numbers(values: np.ndarray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _intrinsics(settings: SynthesiseSettings, rng: np.random.Generator) -> np.ndarray:
    """One K for all: a head one metre away fills half of the width, a whole person three metres away most of the height."""
    seen = 0.325 / settings.width if settings.subject == "head" else max(2.15 / settings.height, 1.5 / settings.width) / 3.0
    focal = 1.0 / seen
    shift = rng.uniform(-0.012, 0.012, 2) * settings.width
    return np.array([[focal, 0, settings.width / 2 + shift[0]], [0, focal, settings.height / 2 + shift[1]], [0, 0, 1.0]])


def _look_at(name, K, settings, target, yaw, pitch, to_world, rng) -> Camera:
    """A camera `yaw` degrees to the person's left of the front and `pitch` degrees above, turned a little about its axis."""
    distance = (1.0 if settings.subject == "head" else 3.0) * rng.uniform(0.97, 1.03)
    y, p, roll = np.radians([yaw, pitch, rng.uniform(-2, 2)])
    position = target + distance * np.array([np.sin(y) * np.cos(p), -np.cos(y) * np.cos(p), np.sin(p)])
    forward = (target - position) / distance
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    right, down = right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)
    world_R, world_t = to_world
    R = np.stack([right, down, forward]) @ world_R.T
    return Camera(name, settings.width, settings.height, K, R, -R @ (world_R @ position + world_t))
