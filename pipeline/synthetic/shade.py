"""From a z-buffer to a picture: paint and light every sample, then average the samples of each pixel (numba)."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from pipeline.synthetic import dress, paint
from pipeline.synthetic.noise import smoothstep, value_noise
from pipeline.synthetic.parts import EYE_LEFT, EYE_RIGHT, INSIDE, OUTSIDE, TEETH_UPPER, TONGUE

Vector = tuple[float, float, float]


class Light(NamedTuple):
    """Light of the room, fixed in the world: up, unit directions towards three lamps and their colours, light from above and below. Numbers only."""

    up: Vector
    lamps: tuple[Vector, Vector, Vector]
    colours: tuple[Vector, Vector, Vector]
    sky: Vector
    ground: Vector


class Scene(NamedTuple):
    """One posed person, teeth included, ready to be seen from anywhere.

    faces [F,3] int32, part [F] int8 (parts.py), vertices [V,13] float32: place on the canvas (mm), normal, position in the world (m), fields of the
    canvas; eyes: the two centres on the canvas.
    """

    faces: np.ndarray
    part: np.ndarray
    vertices: np.ndarray
    eyes: tuple[Vector, Vector]

    @property
    def positions(self) -> np.ndarray:
        """[V,3] in the world, metres."""
        return self.vertices[:, 6:9]


@numba.njit(cache=True, fastmath=True)
def _material(look, table, part, p, eyes, f, grain):
    """(red, green, blue, shine, sharpness, softness) of a place p with fields f; softness = how far light creeps into the shadow."""
    x, y, z = p
    if part == OUTSIDE:
        if dress.is_clothed(look, x, y, z):
            r, g, b, shine, sharp = dress.clothes(look, table, x, y, z, grain)
            return r, g, b, shine, sharp, 0.0
        edge = f[1] - look.hairline + 3.5 * value_noise(table, x / 2.2, y / 9 + look.shift[0], z / 2.2)
        if edge > 6 and y > -80:
            r, g, b, shine, sharp = dress.hair(look, table, x, y, z, grain)
            return r, g, b, shine, sharp, 0.0
        r, g, b, shine, sharp = paint.skin(look, table, x, y, z, grain, f[2], f[3])
        if edge > -4 and y > -80:
            h = dress.hair(look, table, x, y, z, grain)
            r, g, b = paint.mix((r, g, b), (h[0], h[1], h[2]), smoothstep(-4, 6, edge))
        if z > 0 and y > 5:
            share = paint.brow_share(look, table, x, y, grain)
            r, g, b = paint.mix((r, g, b), look.brow, share)
            shine *= 1 - share
        elif z > 8 and y < -60:
            share = paint.lip_share(x, y)
            if share > 0:
                c = paint.lips(look, table, x, y, z, grain)
                r, g, b = paint.mix((r, g, b), (c[0], c[1], c[2]), share)
                shine, sharp = shine + (c[3] - shine) * share, sharp + (c[4] - sharp) * share
        return r, g, b, shine, sharp, 1.0
    if part == EYE_LEFT or part == EYE_RIGHT:
        e = eyes[part - EYE_LEFT]
        r, g, b, shine, sharp = paint.eye(look, table, x - e[0], y - e[1], z - e[2], 11.0 * part)
        return r, g, b, shine, sharp, 0.4
    if part == INSIDE:
        if y > -35:  # an eye socket, seen as the wet rim of a lid
            return 0.42, 0.20, 0.17, 0.2, 60.0, 0.5
        share = paint.lip_share(x, y) * smoothstep(16, 24, z)
        r, g, b, shine, sharp = paint.mouth(table, x, y, z)
        c = paint.lips(look, table, x, y, z, grain)
        r, g, b = paint.mix((r, g, b), (c[0], c[1], c[2]), 0.8 * share)
        return r, g, b, shine, sharp, 0.5
    if part == TONGUE:
        r, g, b, shine, sharp = paint.tongue(table, x, y, z)
        return r, g, b, shine, sharp, 0.5
    r, g, b, shine, sharp = paint.tooth(table, x, y, part == TEETH_UPPER)
    return r, g, b, shine, sharp, 0.3


@numba.njit(cache=True, fastmath=True)
def _lit(light, part, material, n, v, open_sky):
    """Light that leaves towards v: wrapped Lambert (Green, GPU Gems 16) in red more than in blue, Blinn-Phong highlights (Blinn 1977), sky and ground."""
    r, g, b, shine, sharp, soft = material
    facing = n[0] * v[0] + n[1] * v[1] + n[2] * v[2]
    up = 0.5 + 0.5 * (n[0] * light.up[0] + n[1] * light.up[1] + n[2] * light.up[2])
    inside = min(1.0, 0.25 + open_sky)
    if part == EYE_LEFT or part == EYE_RIGHT:
        open_sky, inside = 0.75, 1 - 0.6 * smoothstep(0.58, 0.78, up)  # the upper lid's shadow
    ambient = open_sky * open_sky * 0.4 + open_sky * 0.6
    red = ambient * (light.ground[0] + (light.sky[0] - light.ground[0]) * up)
    green = ambient * (light.ground[1] + (light.sky[1] - light.ground[1]) * up)
    blue = ambient * (light.ground[2] + (light.sky[2] - light.ground[2]) * up)
    rim = shine * 0.6 * (1 - min(max(facing, 0.0), 1.0)) ** 4 * open_sky
    high_r, high_g, high_b = rim * light.sky[0], rim * light.sky[1], rim * light.sky[2]
    for k in range(3):
        l = light.lamps[k]
        cosine = n[0] * l[0] + n[1] * l[1] + n[2] * l[2]
        if cosine < -0.35:
            continue
        c = light.colours[k]
        for_red, for_blue = 0.30 * soft + 0.02, 0.10 * soft + 0.02
        wrapped_red = max(cosine + for_red, 0.0) / (1 + for_red)
        wrapped = max(cosine + for_blue, 0.0) / (1 + for_blue)
        red += inside * c[0] * wrapped_red
        green += inside * c[1] * wrapped
        blue += inside * c[2] * wrapped
        if cosine > 0 and shine > 0:
            hx, hy, hz = l[0] + v[0], l[1] + v[1], l[2] + v[2]
            half = (n[0] * hx + n[1] * hy + n[2] * hz) / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
            if sharp * (1 - half) < 6:  # half**sharp to a thousandth, and cheaper
                high = inside * shine * np.exp(sharp * (half - 1)) * (0.3 + 0.03 * sharp)
                high_r += high * c[0]
                high_g += high * c[1]
                high_b += high * c[2]
    return r * red + high_r, g * green + high_g, b * blue + high_b


@numba.njit(cache=True, fastmath=True, inline="always")
def _unit(x, y, z):
    scale = 1 / np.sqrt(x * x + y * y + z * z + 1e-20)
    return x * scale, y * scale, z * scale


@numba.njit(cache=True, fastmath=True, inline="always")
def _gather(faces, vertices, barycentric, i, j, face, values, slot):
    """Row `slot` of values becomes what the corners of a face hold, at the barycentric weights of sample (i, j)."""
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    u, v, w = barycentric[i, j, 0], barycentric[i, j, 1], barycentric[i, j, 2]
    for column in range(13):
        values[slot, column] = u * vertices[a, column] + v * vertices[b, column] + w * vertices[c, column]


@numba.njit(cache=True, fastmath=True, inline="always")
def _colour(light, eyes, look, table, part, values, slot, eye_point, grain):
    """Light towards the camera from the place in row `slot` of values."""
    n = _unit(values[slot, 3], values[slot, 4], values[slot, 5])
    v = _unit(eye_point[0] - values[slot, 6], eye_point[1] - values[slot, 7], eye_point[2] - values[slot, 8])
    fields = (values[slot, 9], values[slot, 10], values[slot, 11], values[slot, 12])
    material = _material(look, table, part, (values[slot, 0], values[slot, 1], values[slot, 2]), eyes, fields, grain)
    return _lit(light, part, material, n, v, values[slot, 9])


@numba.njit(cache=True, fastmath=True)
def _is_plain(part, values, slot, reach):
    """True where one sample speaks for its pixel: outside of eyes, brows and mouth, with the pixel's samples close together on the surface."""
    x, y, z = values[slot, 0], values[slot, 1], values[slot, 2]
    if part != OUTSIDE or abs(x - values[0, 0]) + abs(y - values[0, 1]) + abs(z - values[0, 2]) > reach:
        return False
    return z < -4 or abs(x) > 62 or y > 31 or y < -92 or (y < -12 and (y > -58 or abs(x) > 32))


@numba.njit(cache=True, fastmath=True)
def shade(face_id, barycentric, samples, scene, light, look, table, eye_point, grain):
    """Linear colour [H,W,3] (mean over the covered samples of a pixel) and coverage [H,W] in 0..1.

    face_id, barycentric: a z-buffer `samples` times as large as the picture on each side; eye_point: three numbers, the camera in the world, metres;
    grain: size of a sample on the person, millimetres.
    """
    height, width = face_id.shape[0] // samples, face_id.shape[1] // samples
    colour = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.float32)
    values = np.zeros((samples * samples, 13), np.float32)
    parts = np.zeros(samples * samples, np.int8)
    faces, part, vertices, eyes = scene.faces, scene.part, scene.vertices, scene.eyes
    for row in range(height):
        for column in range(width):
            count, plain = 0, True
            for index in range(samples * samples):
                i, j = row * samples + index // samples, column * samples + index % samples
                face = face_id[i, j]
                if face >= 0:
                    _gather(faces, vertices, barycentric, i, j, face, values, count)
                    parts[count] = part[face]
                    plain = plain and _is_plain(parts[count], values, count, 9 * grain * samples)
                    count += 1
            if count == 0:
                continue
            cover[row, column] = count / (samples * samples)
            shaded = count
            if plain:
                shaded = 1
                for value in range(13):
                    for slot in range(1, count):
                        values[0, value] += values[slot, value]
                    values[0, value] /= count
            for slot in range(shaded):
                r, g, b = _colour(light, eyes, look, table, parts[slot], values, slot, eye_point, grain * samples if plain else grain)
                colour[row, column, 0] += r / shaded
                colour[row, column, 1] += g / shaded
                colour[row, column, 2] += b / shaded
    return colour, cover
