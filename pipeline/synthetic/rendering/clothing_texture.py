"""Procedural textures of hair and clothes (numba); conventions as in face_texture.py."""

from __future__ import annotations

import numba
import numpy as np

from pipeline.synthetic.rendering.face_texture import bump, mix
from pipeline.synthetic.rendering.noise import smoothstep, value_noise


@numba.njit(cache=True, fastmath=True)
def hair(appearance, table, x, y, z, grain):
    """Short hair combed away from the crown; strands differ in tone and shine."""
    dx, dz = x, z + 92.0
    far = np.sqrt(dx * dx + dz * dz) + 1.0
    round_x, round_z = 80 * dx / far, 80 * dz / far
    along = far - y + appearance.shift[1]
    locks = value_noise(table, round_x / 5.5, along / 45, round_z / 5.5)
    strands = value_noise(table, round_x / 1.2 + 3 * locks, along / 16, round_z / 1.2) * smoothstep(3.0, 0.8, grain)
    tone = max(1 + 0.34 * strands + 0.26 * locks, 0.15)
    c = appearance.hair
    return c[0] * tone, c[1] * tone, c[2] * tone, 0.07 + 0.05 * strands, 16.0


@numba.njit(cache=True, fastmath=True)
def below_collar(appearance, x, y, z):
    """Millimetres below the collar's edge, negative above: a plane around the neck, lower in front, rising onto the shoulders."""
    return appearance.collar - 0.3 * (z + 60) + 0.4 * max(abs(x) - 60, 0.0) - y


@numba.njit(cache=True, fastmath=True)
def is_clothed(appearance, x, y, z):
    """True below the collar and inside the sleeves."""
    return below_collar(appearance, x, y, z) > 0 and abs(x) < appearance.sleeve


@numba.njit(cache=True, fastmath=True)
def clothes(appearance, table, x, y, z, grain):
    """Knitted, plain or striped shirt with a ribbed collar; trousers; shoes."""
    broad = value_noise(table, x / 40 + appearance.shift[0], y / 40, z / 40)
    colour = appearance.shirt
    tone = 1 + 0.10 * broad
    if y > appearance.waist:
        if appearance.stripe > 0:
            wave = np.sin(2 * np.pi * (y + 0.12 * z) / appearance.stripe)
            blur = min(0.25 + 6 * grain / appearance.stripe, 1.0)
            colour = mix(colour, appearance.shirt_second, 0.85 * smoothstep(-blur, blur, wave))
        stitch = value_noise(table, x / 2.4, y / 3.4 + 0.5 * abs(x) / 2.4, z / 2.4)
        tone *= 1 + 0.22 * stitch * smoothstep(3.5, 1.0, grain)
        below = below_collar(appearance, x, y, z)
        if below < 11:
            colour = appearance.shirt
            tone *= 0.8 + 0.25 * bump(below - 5.0, 0.0, 4.5)
        return colour[0] * tone, colour[1] * tone, colour[2] * tone, 0.015, 8.0
    if y < appearance.ankle + 75:
        c = appearance.shoes
        return c[0] * tone, c[1] * tone, c[2] * tone, 0.12, 30.0
    weave = value_noise(table, (x + y) / 3, y / 9, z / 3) * smoothstep(4.0, 1.5, grain)
    tone *= 1 + 0.2 * weave
    c = appearance.trousers
    return c[0] * tone, c[1] * tone, c[2] * tone, 0.02, 8.0
