"""The cameras of a synthetic rig."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.capture.camera import Camera
from pipeline.synthetic.settings import SynthesiseSettings

Rigid = tuple[np.ndarray, np.ndarray]
"""Rotation [3, 3] and translation [3] from the subject's space (metres, z up, looking along -y) to the world."""

FRONTAL = "222200037"
SERIALS = ("220700191", "221501007", *(f"2222000{n}" for n in range(36, 50)))
"""Serial numbers of NeRSemble's 16 cameras; 222200037 is the frontal one."""


def make_rig(
    settings: SynthesiseSettings,
    target: np.ndarray,
    to_world: Rigid,
    rng: np.random.Generator,
) -> tuple[list[Camera], Camera]:
    """The cameras and the novel one, in the world. All look at `target` [3], a point in the subject's space."""
    count = settings.cameras
    if settings.subject == "head":  # within 55 degrees of the front, at three heights
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
    neighbour = frontal + 1 if frontal + 1 < count else frontal - 1
    between = (yaws[frontal] + yaws[neighbour]) / 2 if count > 1 else 9.0
    yaw, pitch = between + rng.uniform(-2, 2), rng.uniform(3, 8)
    return cameras, _look_at("novel", K, settings, target, yaw, pitch, to_world, rng)


def random_world(rng: np.random.Generator) -> Rigid:
    """A random rotation and translation: the axes of a rig's calibration are arbitrary."""
    return Rotation.random(random_state=int(rng.integers(2**31))).as_matrix(), rng.uniform(-0.3, 0.3, 3)


def _intrinsics(settings: SynthesiseSettings, rng: np.random.Generator) -> np.ndarray:
    """One K for all: a head at one metre fills half of the width, a body at three metres most of the height."""
    if settings.subject == "head":
        pixel_angle = 0.325 / settings.width
    else:
        pixel_angle = max(2.15 / settings.height, 1.5 / settings.width) / 3.0
    focal = 1.0 / pixel_angle
    offset = rng.uniform(-0.012, 0.012, 2) * settings.width
    return np.array([[focal, 0, settings.width / 2 + offset[0]], [0, focal, settings.height / 2 + offset[1]], [0, 0, 1.0]])


def _look_at(
    name: str,
    K: np.ndarray,
    settings: SynthesiseSettings,
    target: np.ndarray,
    yaw: float,
    pitch: float,
    to_world: Rigid,
    rng: np.random.Generator,
) -> Camera:
    """A camera `yaw` degrees to the subject's left of the front and `pitch` degrees above, with a small random roll."""
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
