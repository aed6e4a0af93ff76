"""The empty studio in the image of a camera: uneven wall paint, joints between panels, vignetting."""

from __future__ import annotations

import numba
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.color import decode_srgb
from pipeline.synthetic.rendering.noise import lattice, smoothstep, value_noise

STUDIO_RADIUS = 2.6  # metres from the subject to the wall, a vertical cylinder


def render_background(camera: Camera, to_world: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The plate without noise, sRGB float32 [H, W, 3] in 0..1.

    Args:
        to_world: rotation and translation from the subject's space to the world.
        rng: draws what all cameras share, colour and pattern of the wall: pass the same stream for each.
    """
    R, t = to_world
    wall = decode_srgb(rng.uniform(0.50, 0.66) + rng.uniform(-0.035, 0.035, 3) * [1.0, 0.4, -1.0])
    table = lattice(rng)
    rows, columns = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    K = camera.K
    rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones(rows.shape)], axis=-1)
    rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)) @ camera.R @ R
    start = R.T @ (camera.centre - t)
    image = _shade_wall(table, rays, start, wall)
    from_centre = np.hypot(columns / camera.width - 0.5, rows / camera.height - 0.5)
    return (image * (1 - 0.35 * from_centre[..., None] ** 2)).astype(np.float32)


@numba.njit(cache=True)
def _shade_wall(table, rays, start, wall):
    height, width = rays.shape[:2]
    image = np.empty((height, width, 3))
    for row in range(height):
        for column in range(width):
            ray = rays[row, column]
            # where the ray leaves the cylinder
            a = ray[0] ** 2 + ray[1] ** 2 + 1e-9
            b = ray[0] * start[0] + ray[1] * start[1]
            c = start[0] ** 2 + start[1] ** 2 - STUDIO_RADIUS**2
            far = (-b + np.sqrt(b * b - a * c)) / a
            x, y, z = start[0] + far * ray[0], start[1] + far * ray[1], start[2] + far * ray[2]
            tone = 1 + 0.10 * value_noise(table, 2.2 * x, 2.2 * y, 2.2 * z) + 0.05 * value_noise(table, 9 * x, 9 * y, 9 * z)
            tone += 0.025 * value_noise(table, 40 * x, 40 * y, 40 * z) + 0.10 * z
            panel = np.arctan2(x, y) * STUDIO_RADIUS / 0.62
            joint = abs(panel - np.floor(panel) - 0.5)
            tone *= 1 - 0.16 * smoothstep(0.485, 0.495, joint)
            for channel in range(3):
                linear = max(wall[channel] * tone, 0.0)
                # sRGB encoding without its linear part, which ends at 0.0031: no wall is as dark
                image[row, column, channel] = 1.055 * max(linear, 0.0031) ** (1 / 2.4) - 0.055
    return image
