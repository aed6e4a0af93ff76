"""Shading of a z-buffer: texture and light every sample, then average the samples of each pixel (numba)."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from pipeline.synthetic.rendering import clothing_texture, face_texture
from pipeline.synthetic.rendering.lighting import Vector
from pipeline.synthetic.rendering.noise import smoothstep, value_noise
from pipeline.synthetic.rendering.parts import EYE_LEFT, EYE_RIGHT, INSIDE, OUTSIDE, TEETH_UPPER, TONGUE


class Scene(NamedTuple):
    """One posed subject with teeth.

    Attributes:
        faces: [F, 3] int32. part: [F] int8, see parts.py.
        vertices: [V, 13] float32: point in texture space (mm), normal, world position (m), texture fields.
        eyes: centres of the left and right eyeball in texture space.
    """

    faces: np.ndarray
    part: np.ndarray
    vertices: np.ndarray
    eyes: tuple[Vector, Vector]

    @property
    def positions(self) -> np.ndarray:
        """[V, 3] world, metres."""
        return self.vertices[:, 6:9]


@numba.njit(cache=True, fastmath=True)
def _material(appearance, table, part, p, eyes, f, grain):
    """(red, green, blue, shine, sharpness, softness) at point p with fields f. softness: subsurface scattering, 0..1."""
    x, y, z = p
    if part == OUTSIDE:
        if clothing_texture.is_clothed(appearance, x, y, z):
            r, g, b, shine, sharp = clothing_texture.clothes(appearance, table, x, y, z, grain)
            return r, g, b, shine, sharp, 0.0
        edge = f[1] - appearance.hairline + 3.5 * value_noise(table, x / 2.2, y / 9 + appearance.shift[0], z / 2.2)
        if edge > 6 and y > -80:
            r, g, b, shine, sharp = clothing_texture.hair(appearance, table, x, y, z, grain)
            return r, g, b, shine, sharp, 0.0
        r, g, b, shine, sharp = face_texture.skin(appearance, table, x, y, z, grain, f[2], f[3])
        if edge > -4 and y > -80:
            h = clothing_texture.hair(appearance, table, x, y, z, grain)
            r, g, b = face_texture.mix((r, g, b), (h[0], h[1], h[2]), smoothstep(-4, 6, edge))
        if z > 0 and y > 5:
            share = face_texture.brow_share(appearance, table, x, y, grain)
            r, g, b = face_texture.mix((r, g, b), appearance.brow, share)
            shine *= 1 - share
        elif z > 8 and y < -60:
            share = face_texture.lip_share(x, y)
            if share > 0:
                c = face_texture.lips(appearance, table, x, y, z, grain)
                r, g, b = face_texture.mix((r, g, b), (c[0], c[1], c[2]), share)
                shine, sharp = shine + (c[3] - shine) * share, sharp + (c[4] - sharp) * share
        return r, g, b, shine, sharp, 1.0
    if part == EYE_LEFT or part == EYE_RIGHT:
        e = eyes[part - EYE_LEFT]
        r, g, b, shine, sharp = face_texture.eye(appearance, table, x - e[0], y - e[1], z - e[2], 11.0 * part)
        return r, g, b, shine, sharp, 0.4
    if part == INSIDE:
        if y > -35:  # an eye socket, visible as the wet edge of a lid
            return 0.42, 0.20, 0.17, 0.2, 60.0, 0.5
        share = face_texture.lip_share(x, y) * smoothstep(16, 24, z)
        r, g, b, shine, sharp = face_texture.mouth(table, x, y, z)
        c = face_texture.lips(appearance, table, x, y, z, grain)
        r, g, b = face_texture.mix((r, g, b), (c[0], c[1], c[2]), 0.8 * share)
        return r, g, b, shine, sharp, 0.5
    if part == TONGUE:
        r, g, b, shine, sharp = face_texture.tongue(table, x, y, z)
        return r, g, b, shine, sharp, 0.5
    r, g, b, shine, sharp = face_texture.tooth(table, x, y, part == TEETH_UPPER)
    return r, g, b, shine, sharp, 0.3


@numba.njit(cache=True, fastmath=True)
def _reflected(light, part, material, n, v, ambient_visible):
    """Light reflected towards v: wrapped Lambert (Green, GPU Gems 16), wider in red than in blue; Blinn-Phong highlights (Blinn
    1977); ambient light from sky and ground.
    """
    r, g, b, shine, sharp, soft = material
    facing = n[0] * v[0] + n[1] * v[1] + n[2] * v[2]
    up = 0.5 + 0.5 * (n[0] * light.up[0] + n[1] * light.up[1] + n[2] * light.up[2])
    inside = min(1.0, 0.25 + ambient_visible)
    if part == EYE_LEFT or part == EYE_RIGHT:
        ambient_visible, inside = 0.75, 1 - 0.6 * smoothstep(0.58, 0.78, up)  # the upper lid's shadow
    ambient = ambient_visible * ambient_visible * 0.4 + ambient_visible * 0.6
    red = ambient * (light.ground[0] + (light.sky[0] - light.ground[0]) * up)
    green = ambient * (light.ground[1] + (light.sky[1] - light.ground[1]) * up)
    blue = ambient * (light.ground[2] + (light.sky[2] - light.ground[2]) * up)
    rim = shine * 0.6 * (1 - min(max(facing, 0.0), 1.0)) ** 4 * ambient_visible
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
            if sharp * (1 - half) < 6:  # half**sharp to a thousandth, at lower cost
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
def _interpolate(faces, vertices, barycentric, i, j, face, values, slot):
    """Set row `slot` of values to the vertex values of a face interpolated at sample (i, j)."""
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    u, v, w = barycentric[i, j, 0], barycentric[i, j, 1], barycentric[i, j, 2]
    for column in range(13):
        values[slot, column] = u * vertices[a, column] + v * vertices[b, column] + w * vertices[c, column]


@numba.njit(cache=True, fastmath=True, inline="always")
def _colour(light, eyes, appearance, table, part, values, slot, camera_centre, grain):
    """Light towards the camera from the point in row `slot` of values."""
    n = _unit(values[slot, 3], values[slot, 4], values[slot, 5])
    v = _unit(camera_centre[0] - values[slot, 6], camera_centre[1] - values[slot, 7], camera_centre[2] - values[slot, 8])
    fields = (values[slot, 9], values[slot, 10], values[slot, 11], values[slot, 12])
    material = _material(appearance, table, part, (values[slot, 0], values[slot, 1], values[slot, 2]), eyes, fields, grain)
    return _reflected(light, part, material, n, v, values[slot, 9])


@numba.njit(cache=True, fastmath=True)
def _is_uniform(part, values, slot, reach):
    """True where one sample represents the pixel: outside eyes, brows and mouth, its samples close together on the surface."""
    x, y, z = values[slot, 0], values[slot, 1], values[slot, 2]
    if part != OUTSIDE or abs(x - values[0, 0]) + abs(y - values[0, 1]) + abs(z - values[0, 2]) > reach:
        return False
    return z < -4 or abs(x) > 62 or y > 31 or y < -92 or (y < -12 and (y > -58 or abs(x) > 32))


@numba.njit(cache=True, fastmath=True)
def shade(face_id, barycentric, samples, scene, light, appearance, table, camera_centre, grain):
    """Linear colour [H, W, 3] (mean over the covered samples of a pixel) and coverage [H, W] in 0..1.

    Args:
        face_id, barycentric: z-buffer, `samples` times as large as the image on each side.
        camera_centre: three numbers, world, metres.
        grain: size of a sample on the subject, millimetres.
    """
    height, width = face_id.shape[0] // samples, face_id.shape[1] // samples
    colour = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.float32)
    values = np.zeros((samples * samples, 13), np.float32)
    parts = np.zeros(samples * samples, np.int8)
    faces, part, vertices, eyes = scene.faces, scene.part, scene.vertices, scene.eyes
    for row in range(height):
        for column in range(width):
            count, uniform = 0, True
            for index in range(samples * samples):
                i, j = row * samples + index // samples, column * samples + index % samples
                face = face_id[i, j]
                if face >= 0:
                    _interpolate(faces, vertices, barycentric, i, j, face, values, count)
                    parts[count] = part[face]
                    uniform = uniform and _is_uniform(parts[count], values, count, 9 * grain * samples)
                    count += 1
            if count == 0:
                continue
            cover[row, column] = count / (samples * samples)
            shaded = count
            if uniform:
                shaded = 1
                for value in range(13):
                    for slot in range(1, count):
                        values[0, value] += values[slot, value]
                    values[0, value] /= count
            size = grain * samples if uniform else grain
            for slot in range(shaded):
                r, g, b = _colour(light, eyes, appearance, table, parts[slot], values, slot, camera_centre, size)
                colour[row, column, 0] += r / shaded
                colour[row, column, 1] += g / shaded
                colour[row, column, 2] += b / shaded
    return colour, cover
