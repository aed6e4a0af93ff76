"""From a z-buffer to a picture: paint and light every sample, then average the samples of each pixel (numba)."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from pipeline.synthetic import dress, paint
from pipeline.synthetic.parts import EYE_LEFT, EYE_RIGHT, INSIDE, OUTSIDE, TEETH_UPPER, TONGUE
from pipeline.synthetic.noise import smoothstep, value_noise


class Scene(NamedTuple):
    """One posed person, ready to be seen from anywhere.

    positions, normals [V,3] world metres; points [V,3], fields [V,4], part [F], eyes [2,3] of the canvas (teeth appended); up [3] world direction;
    lights [L,3] unit directions towards the lights; light_colours [L,3]; sky, ground [3]: light from above and below.
    """

    faces: np.ndarray
    part: np.ndarray
    positions: np.ndarray
    normals: np.ndarray
    points: np.ndarray
    fields: np.ndarray
    eyes: np.ndarray
    up: np.ndarray
    lights: np.ndarray
    light_colours: np.ndarray
    sky: np.ndarray
    ground: np.ndarray


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
            c = look.colours[2]
            r, g, b = paint.mix((r, g, b), (c[0], c[1], c[2]), share)
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
def _lit(scene, part, material, n, v, open_sky):
    """Light that leaves towards v: wrapped Lambert (Green, GPU Gems 16) in red more than in blue, Blinn-Phong highlights (Blinn 1977), sky and ground."""
    r, g, b, shine, sharp, soft = material
    facing = n[0] * v[0] + n[1] * v[1] + n[2] * v[2]
    up = 0.5 + 0.5 * (n[0] * scene.up[0] + n[1] * scene.up[1] + n[2] * scene.up[2])
    inside = min(1.0, 0.25 + open_sky)
    if part == EYE_LEFT or part == EYE_RIGHT:
        open_sky, inside = 0.75, 1 - 0.6 * smoothstep(0.58, 0.78, up)  # the upper lid's shadow
    ambient = open_sky * open_sky * 0.4 + open_sky * 0.6
    red = ambient * (scene.ground[0] + (scene.sky[0] - scene.ground[0]) * up)
    green = ambient * (scene.ground[1] + (scene.sky[1] - scene.ground[1]) * up)
    blue = ambient * (scene.ground[2] + (scene.sky[2] - scene.ground[2]) * up)
    rim = shine * 0.6 * (1 - min(max(facing, 0.0), 1.0)) ** 4 * open_sky
    high_r, high_g, high_b = rim * scene.sky[0], rim * scene.sky[1], rim * scene.sky[2]
    for k in range(scene.lights.shape[0]):
        l = scene.lights[k]
        cosine = n[0] * l[0] + n[1] * l[1] + n[2] * l[2]
        if cosine < -0.35:
            continue
        c = scene.light_colours[k]
        for_red, for_blue = 0.30 * soft + 0.02, 0.10 * soft + 0.02
        wrapped_red = max(cosine + for_red, 0.0) / (1 + for_red)
        wrapped = max(cosine + for_blue, 0.0) / (1 + for_blue)
        red += inside * c[0] * wrapped_red
        green += inside * c[1] * wrapped
        blue += inside * c[2] * wrapped
        if cosine > 0 and shine > 0:
            hx, hy, hz = l[0] + v[0], l[1] + v[1], l[2] + v[2]
            half = (n[0] * hx + n[1] * hy + n[2] * hz) / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
            if half > 0.5:
                high = inside * shine * half**sharp * (0.3 + 0.03 * sharp)
                high_r += high * c[0]
                high_g += high * c[1]
                high_b += high * c[2]
    return r * red + high_r, g * green + high_g, b * blue + high_b


@numba.njit(cache=True, fastmath=True)
def _blend(values, a, b, c, weight):
    """Three columns of per-vertex values at barycentric weights."""
    return (
        values[a, 0] * weight[0] + values[b, 0] * weight[1] + values[c, 0] * weight[2],
        values[a, 1] * weight[0] + values[b, 1] * weight[1] + values[c, 1] * weight[2],
        values[a, 2] * weight[0] + values[b, 2] * weight[1] + values[c, 2] * weight[2],
    )


@numba.njit(cache=True, fastmath=True, inline="always")
def _unit(x, y, z):
    scale = 1 / np.sqrt(x * x + y * y + z * z + 1e-20)
    return x * scale, y * scale, z * scale


@numba.njit(cache=True, fastmath=True)
def shade(face_id, barycentric, depth, samples, scene, look, table, eye_point, focal):
    """Linear colour [H,W,3] (mean over the covered samples of a pixel) and coverage [H,W] in 0..1.

    face_id, barycentric, depth: a z-buffer `samples` times as large as the picture on each side; eye_point [3] the camera in the world, metres;
    focal: focal length in samples.
    """
    height, width = face_id.shape[0] // samples, face_id.shape[1] // samples
    colour = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.float32)
    for row in range(height):
        for column in range(width):
            red = green = blue = 0.0
            count = 0
            for index in range(samples * samples):
                i, j = row * samples + index // samples, column * samples + index % samples
                face = face_id[i, j]
                if face < 0:
                    continue
                a, b, c = scene.faces[face, 0], scene.faces[face, 1], scene.faces[face, 2]
                weight = barycentric[i, j]
                n = _blend(scene.normals, a, b, c, weight)
                n = _unit(n[0], n[1], n[2])
                q = _blend(scene.positions, a, b, c, weight)
                v = _unit(eye_point[0] - q[0], eye_point[1] - q[1], eye_point[2] - q[2])
                f0, f1, f2 = _blend(scene.fields, a, b, c, weight)
                f3 = scene.fields[a, 3] * weight[0] + scene.fields[b, 3] * weight[1] + scene.fields[c, 3] * weight[2]
                part = scene.part[face]
                grain = 1000.0 * depth[i, j] / focal
                material = _material(look, table, part, _blend(scene.points, a, b, c, weight), scene.eyes, (f0, f1, f2, f3), grain)
                lit = _lit(scene, part, material, n, v, f0)
                red += lit[0]
                green += lit[1]
                blue += lit[2]
                count += 1
            if count:
                colour[row, column, 0] = red / count
                colour[row, column, 1] = green / count
                colour[row, column, 2] = blue / count
                cover[row, column] = count / (samples * samples)
    return colour, cover
