"""The light of the studio."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Vector = tuple[float, float, float]


class Light(NamedTuple):
    """Light fixed in the world; numbers only, for compiled code.

    Attributes:
        up: unit direction. lamps: unit directions to three lamps. colours: of the lamps, linear.
        sky, ground: ambient light from above and from below, linear.
    """

    up: Vector
    lamps: tuple[Vector, Vector, Vector]
    colours: tuple[Vector, Vector, Vector]
    sky: Vector
    ground: Vector


def make_light(rng: np.random.Generator, to_world: np.ndarray, skin: Vector) -> Light:
    """Key, fill and rim lamp and ambient light, rotated into the world by `to_world` [3, 3]; brighter for darker skin."""
    side = rng.choice([-1.0, 1.0])
    lamps = np.array([(0.55 * side, -0.75, 0.62), (-0.80 * side, -0.55, 0.20), (-0.45 * side, 0.85, 0.50)])
    lamps = lamps + rng.uniform(-0.08, 0.08, (3, 3))
    lamps /= np.linalg.norm(lamps, axis=1, keepdims=True)
    warmth = rng.uniform(-0.03, 0.05)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    exposure = (0.5 / max(skin)) ** 0.3
    key, fill, rim = (_vector(direction) for direction in lamps @ to_world.T)
    return Light(
        up=_vector(to_world @ np.array([0.0, 0.0, 1.0])),
        lamps=(key, fill, rim),
        colours=(_vector(exposure * (0.80 * tint)), _vector(exposure * (0.24 / tint)), _vector(exposure * np.full(3, 0.34))),
        sky=_vector(exposure * np.array((0.40, 0.41, 0.43))),
        ground=_vector(exposure * np.array((0.20, 0.185, 0.17))),
    )


def _vector(values: np.ndarray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
