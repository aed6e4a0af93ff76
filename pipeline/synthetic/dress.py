"""Paint of hair and clothes at a place of the canvas (numba); conventions as in paint.py."""

from __future__ import annotations

import numba
import numpy as np

from pipeline.synthetic.noise import smoothstep, value_noise
from pipeline.synthetic.paint import bump, mix


@numba.njit(cache=True, fastmath=True)
def hair(look, table, x, y, z, grain):
    """Short hair combed away from the crown: strands that differ in tone and in shine."""
    dx, dz = x, z + 92.0
    far = np.sqrt(dx * dx + dz * dz) + 1.0
    round_x, round_z = 80 * dx / far, 80 * dz / far
    along = far - y + look.shift[1]
    locks = value_noise(table, round_x / 5.5, along / 45, round_z / 5.5)
    strands = value_noise(table, round_x / 1.2 + 3 * locks, along / 16, round_z / 1.2) * smoothstep(3.0, 0.8, grain)
    tone = max(1 + 0.34 * strands + 0.26 * locks, 0.15)
    c = look.hair
    return c[0] * tone, c[1] * tone, c[2] * tone, 0.07 + 0.05 * strands, 16.0


@numba.njit(cache=True, fastmath=True)
def below_collar(look, x, y, z):
    """Millimetres below the collar's edge, negative above it: a plane about the neck, lower in front, that rises onto the shoulders."""
    return look.collar - 0.3 * (z + 60) + 0.4 * max(abs(x) - 60, 0.0) - y


@numba.njit(cache=True, fastmath=True)
def is_clothed(look, x, y, z):
    """True below the collar and short of the sleeves' ends."""
    return below_collar(look, x, y, z) > 0 and abs(x) < look.sleeve


@numba.njit(cache=True, fastmath=True)
def clothes(look, table, x, y, z, grain):
    """Knitted or striped shirt with a ribbed collar, trousers and shoes."""
    broad = value_noise(table, x / 40 + look.shift[0], y / 40, z / 40)
    colour = look.shirt
    tone = 1 + 0.10 * broad
    if y > look.waist:
        if look.stripe > 0:
            wave = np.sin(2 * np.pi * (y + 0.12 * z) / look.stripe)
            blur = min(0.25 + 6 * grain / look.stripe, 1.0)
            colour = mix(colour, look.shirt_second, 0.85 * smoothstep(-blur, blur, wave))
        stitch = value_noise(table, x / 2.4, y / 3.4 + 0.5 * abs(x) / 2.4, z / 2.4)
        tone *= 1 + 0.22 * stitch * smoothstep(3.5, 1.0, grain)
        below = below_collar(look, x, y, z)
        if below < 11:
            colour = look.shirt
            tone *= 0.8 + 0.25 * bump(below - 5.0, 0.0, 4.5)
        return colour[0] * tone, colour[1] * tone, colour[2] * tone, 0.015, 8.0
    if y < look.ankle + 75:
        c = look.shoes
        return c[0] * tone, c[1] * tone, c[2] * tone, 0.12, 30.0
    weave = value_noise(table, (x + y) / 3, y / 9, z / 3) * smoothstep(4.0, 1.5, grain)
    tone *= 1 + 0.2 * weave
    c = look.trousers
    return c[0] * tone, c[1] * tone, c[2] * tone, 0.02, 8.0
