"""Procedural textures of skin, lips, brows, eyes, mouth and teeth (numba).

Every function takes a point (x, y, z) of texture space in millimetres (see texture_space.py) and returns (red, green, blue,
shine, sharpness): linear reflectance, strength and exponent of the highlight. `grain` is the size of a sample on the surface
in millimetres; finer detail is left out. The numbers are set by hand.
"""

from __future__ import annotations

import numba
import numpy as np

from pipeline.synthetic.rendering.noise import smoothstep, spots, value_noise

IRIS_RADIUS, PUPIL_RADIUS = 6.4, 2.5  # millimetres on the eyeball


@numba.njit(cache=True, fastmath=True, inline="always")
def mix(a, b, share):
    """Linear interpolation of colours a and b (three numbers each)."""
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share


@numba.njit(cache=True, fastmath=True, inline="always")
def scaled(a, factor):
    """Colour a (three numbers) times a factor."""
    return a[0] * factor, a[1] * factor, a[2] * factor


@numba.njit(cache=True, fastmath=True, inline="always")
def bump(dx, dy, radius):
    """Smooth bump of height 1 at (0, 0), 0 beyond 1.5 radii."""
    t = max(1 - (dx * dx + dy * dy) / (2.25 * radius * radius), 0.0)
    return t * t


@numba.njit(cache=True, fastmath=True)
def skin(appearance, table, x, y, z, grain, lid, beard):
    """Skin with blush, blotches, pores, freckles, stubble and lashes. lid: mm to the lid's margin; beard: 0..1."""
    side = abs(x)
    nx, ny, nz = x + appearance.shift[0], y + appearance.shift[1], z + appearance.shift[2]
    base = appearance.skin
    broad = value_noise(table, nx / 17, ny / 17, nz / 17)
    fine = value_noise(table, nx / 5.3, ny / 5.3, nz / 5.3)
    tone = 1 + 0.05 * broad + 0.06 * fine
    if grain < 1.2:
        tone += 0.09 * smoothstep(1.2, 0.4, grain) * value_noise(table, nx / 1.3, ny / 1.3, nz / 1.3)
    red = 0.0
    if z > -30:
        red = bump(side - 38, y + 36, 24) + 0.9 * bump(x, y + 42, 11) * smoothstep(25, 40, z) + 0.4 * bump(x, y + 102, 16)
    red = appearance.blush * (0.55 * red + 0.5 * smoothstep(74, 80, side) * smoothstep(30, 20, abs(y + 20))) + 0.16 * broad
    around_eye = bump(side - 30, (y + 11) * 1.5, 12) * (0.35 if y < -3 else 0.15)
    tone *= 1 - 0.32 * around_eye
    r = base[0] * tone * (1 + 0.05 * red)
    g = base[1] * tone * (1 - 0.24 * red - 0.06 * around_eye)
    b = base[2] * tone * (1 - 0.27 * red + 0.05 * around_eye)
    if appearance.freckles > 0.05 and z > -40 and y < 40 and y > -80:
        place = bump(side - 30, y + 26, 30) + 0.7 * bump(x, y + 20, 16)
        dots = spots(table, nx / 3.1, ny / 3.1, nz / 3.1, 0.45) + 0.7 * spots(table, nz / 5.3, nx / 5.3, ny / 5.3, 0.25)
        f = min(appearance.freckles * place * dots, 0.75)
        r, g, b = r * (1 - 0.42 * f), g * (1 - 0.55 * f), b * (1 - 0.62 * f)
    if spots(table, nx / 31, nz / 31, ny / 31, 0.10) > 0.985:  # the centre of a wide spot: a mole
        r, g, b = r * 0.45, g * 0.36, b * 0.33
    if beard > 0.01 and appearance.stubble > 0.05:
        hairs = value_noise(table, nx / 0.9, ny / 2.0, nz / 0.9) * smoothstep(2.5, 0.6, grain)
        s = appearance.stubble * beard * min(max(0.42 + 0.5 * hairs + 0.2 * fine, 0.0), 0.85)
        r, g, b = mix((r, g, b), appearance.brow, s)
    r, g, b = _lid_margin(appearance, table, (r, g, b), x, y, z, lid)
    forehead = bump(x, (y - 50) * 0.8, 40) + 1.2 * bump(x, y + 35, 12)
    shine = 0.06 + 0.10 * appearance.oil * min(forehead, 1.0) + 0.02 * fine
    return r, g, b, shine, 24.0


@numba.njit(cache=True, fastmath=True, inline="always")
def _lid_margin(appearance, table, colour, x, y, z, lid):
    """Lashes as a dark line on the upper margin, thinner on the lower; crease above the upper lid; pink inner corners."""
    if lid > 9 or z < 0:
        return colour
    dark = scaled(appearance.brow, 0.5)
    strands = 0.85 + 0.15 * value_noise(table, x / 0.8, 5.0, 0.0)
    upper = smoothstep(-3.6, -2.2, y - 0.05 * (abs(x) - 20))  # the line between the corners falls a little towards the nose
    colour = mix(colour, dark, upper * 0.95 * strands * smoothstep(1.5, 0.6, lid))
    colour = scaled(colour, 1 - upper * 0.28 * bump(lid - 4.6, 0.0, 1.2))
    colour = mix(colour, dark, (1 - upper) * 0.45 * strands * smoothstep(1.1, 0.4, lid))
    inner = bump(abs(x) - 18.5, y + 3.4, 2.6)
    return mix(colour, (0.52, 0.20, 0.18), 0.6 * inner)


@numba.njit(cache=True, fastmath=True)
def lip_share(x, y):
    """1 on the lips, 0 outside: between two curves from corner to corner, with a cupid's bow."""
    side = abs(x) / 24.4
    if side >= 1 or y > -60 or y < -88:
        return 0.0
    fall = 1 - side * side
    top = -71.6 + 9.0 * np.sqrt(fall * np.sqrt(fall)) - 1.7 * bump(x, 0.0, 3.2)
    bottom = -72.4 - 11.6 * np.sqrt(fall * np.sqrt(fall))
    return smoothstep(0.9, -0.9, y - top) * smoothstep(-1.0, 1.0, y - bottom)


@numba.njit(cache=True, fastmath=True)
def lips(appearance, table, x, y, z, grain):
    """Lips with fine vertical lines, darker towards the line between them."""
    nx, ny = x + appearance.shift[0], y + appearance.shift[1]
    lines = value_noise(table, nx / 1.1, ny / 6.5, z / 6) * smoothstep(2.5, 0.7, grain)
    tone = 1 + 0.16 * lines + 0.08 * value_noise(table, nx / 4, ny / 4, z / 4)
    tone *= 1 - 0.30 * bump(0.0, y + 71.6, 2.2)
    c = appearance.lip
    return c[0] * tone, c[1] * tone, c[2] * tone, 0.10 + 0.05 * lines, 30.0


@numba.njit(cache=True, fastmath=True)
def brow_share(appearance, table, x, y, grain):
    """Fraction of the skin covered by brow hairs at (x, y): strokes that fan from vertical at the nose to horizontal at the temple."""
    side = abs(x)
    along = (side - 10.5) / 42.5
    if along < -0.08 or along > 1.06:
        return 0.0
    t = min(max(along, 0.0), 1.0)
    middle = 16.8 + appearance.brow_up + 5.6 * np.sin(2.05 * t**0.85) - 3.6 * t * t
    half = (3.6 - 2.3 * t**1.6) * appearance.brow_thick
    off = (y - middle) / half
    if abs(off) > 1.7:
        return 0.0
    lean = 1.15 - 1.5 * t  # angle of a hair to the horizontal, radians
    u = side * np.cos(lean) + y * np.sin(lean)
    v = y * np.cos(lean) - side * np.sin(lean)
    hairs = value_noise(table, u / 5.0 + 9.0 * (x > 0), v / 0.85, appearance.shift[0]) * smoothstep(2.6, 0.6, grain)
    body = smoothstep(1.35, 0.35, abs(off) + 0.30 * hairs) * smoothstep(-0.08, 0.05, along) * smoothstep(1.06, 0.86, along + 0.05 * hairs)
    return min(max(body * (0.86 + 0.30 * hairs), 0.0), 0.96)


@numba.njit(cache=True, fastmath=True)
def eye(appearance, table, x, y, z, seed):
    """The eyeball at a point relative to its centre, z towards the pupil: sclera with veins, iris with rays and a dark edge, pupil."""
    length = np.sqrt(x * x + y * y + z * z) + 1e-6
    radius = 16.4 * np.sqrt(x * x + y * y) / length if z > 0 else 30.0
    white = (0.58, 0.53, 0.50)
    if radius > IRIS_RADIUS + 0.8:
        veins = max(value_noise(table, x / 1.6 + seed, y / 0.8, z / 1.6) - 0.25, 0.0) * smoothstep(7, 13, radius)
        r, g, b = mix(white, (0.60, 0.16, 0.12), min(0.55 * veins + 0.35 * smoothstep(11, 15, radius), 0.7))
        return r, g, b, 0.5, 260.0
    angle_x, angle_y = x / (radius + 0.3), y / (radius + 0.3)
    rays = value_noise(table, 7 * angle_x + seed, 7 * angle_y, 0.25 * radius) + 0.6 * value_noise(table, 19 * angle_x, 19 * angle_y + seed, 0.3 * radius)
    t = smoothstep(PUPIL_RADIUS, IRIS_RADIUS, radius)
    iris = mix(appearance.iris_inner, appearance.iris, smoothstep(0.0, 0.75, t + 0.18 * rays))
    iris = scaled(iris, (1 + 0.38 * rays) * (1 - 0.72 * smoothstep(0.72, 1.0, t)))
    iris = mix((0.006, 0.005, 0.005), iris, smoothstep(PUPIL_RADIUS - 0.3, PUPIL_RADIUS + 0.35, radius))
    r, g, b = mix(iris, white, smoothstep(IRIS_RADIUS - 0.25, IRIS_RADIUS + 0.7, radius))
    return r, g, b, 0.9, 380.0


@numba.njit(cache=True, fastmath=True)
def mouth(table, x, y, z):
    """Inside of the mouth: dark and shiny, lighter towards the lips."""
    front = smoothstep(8, 26, z)
    tone = (0.35 + 0.65 * front) * (1 + 0.15 * value_noise(table, x / 3, y / 3, z / 3))
    return 0.33 * tone, 0.095 * tone, 0.085 * tone, 0.15, 40.0


@numba.njit(cache=True, fastmath=True)
def tongue(table, x, y, z):
    """Tongue with small bumps and a groove in the middle."""
    tone = (0.6 + 0.4 * smoothstep(-25, 8, z)) * (1 + 0.2 * value_noise(table, x / 1.1, y / 1.1, z / 1.1) - 0.2 * bump(x, 0.0, 1.5))
    return 0.46 * tone, 0.17 * tone, 0.16 * tone, 0.18, 30.0


@numba.njit(cache=True, fastmath=True)
def tooth(table, x, y, upper):
    """A row of teeth in its own coordinates, millimetres: x along the arch from the middle, y from the biting edge to the gum (0..10)."""
    side = abs(x)
    start = 0.0
    width = 8.6 if upper else 5.6
    for k in range(6):
        width = ((8.6, 6.8, 7.8, 7.0, 7.0, 9.5) if upper else (5.6, 6.0, 6.9, 7.0, 7.0, 9.5))[k]
        if side < start + width:
            break
        start += width
    place = (side - start) / width
    gap = smoothstep(0.0, 0.13, place) * smoothstep(1.0, 0.87, place)
    edge = smoothstep(0.0, 0.5 + 0.9 * (2 * place - 1) ** 2, y)
    gum = smoothstep(7.6, 8.4, y + 1.6 * (2 * place - 1) ** 2)
    tone = (0.62 + 0.38 * gap) * (0.5 + 0.5 * edge) * (1 - 0.65 * smoothstep(12, 28, side)) * (1 + 0.05 * value_noise(table, x / 2, y / 2, 3.0))
    r, g, b = mix((0.74 * tone, 0.68 * tone, 0.55 * tone), (0.45, 0.15, 0.14), gum)
    return r, g, b, 0.35, 90.0
