"""What paint is painted on: every vertex's place on the average person, and which part of the person it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import torch
from scipy.spatial import cKDTree

from pipeline.body.model import ParametricModel
from pipeline.mesh.raster import zbuffer
from pipeline.mesh.topology import vertex_normals
from pipeline.synthetic.parts import EYE_LEFT, EYE_RIGHT, INSIDE, OUTSIDE, TONGUE

EYE_SIDE, MOUTH_DOWN = 30.58, 71.0
"""Where paint expects the left eye (x) and the middle of the mouth (y = -MOUTH_DOWN), millimetres from the middle between the eyes."""

# Hairline: angle about the skull from the face (0) to the nape (180 degrees) -> height above the eyes where hair begins, millimetres.
_HAIRLINE = np.array(
    [
        (0, 72),
        (20, 71),
        (38, 62),
        (52, 38),
        (62, 12),
        (70, -12),
        (78, -26),
        (83, -24),
        (86, 6),
        (96, 12),
        (106, 4),
        (112, -22),
        (125, -50),
        (150, -66),
        (180, -70),
    ],
    float,
)
_SKULL_AXIS = -78.0  # z of the upright axis the hairline's angle is measured about, millimetres


@dataclass(frozen=True, eq=False)
class Canvas:
    """Attributes:
    faces [F,3] int32, part [F] int8, points [V,3] float32: millimetres right-handed, x to the person's left, y up, z forward, origin between the eyes.
    fields [V,4] float32: open sky (0..1), height above the hairline (mm), distance to the lid's margin (mm), beard (0..1).
    eyes [2,3]: centres of the left and right eyeball in `points`' coordinates. scale [3]: model metres to `points` units.
    """

    faces: np.ndarray
    part: np.ndarray
    points: np.ndarray
    fields: np.ndarray
    eyes: np.ndarray
    origin: np.ndarray
    scale: np.ndarray

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """Rest-pose points of the model [..., 3] (metres, z up, looking along -y) in canvas coordinates (millimetres)."""
        return ((vertices - self.origin)[..., [0, 2, 1]] * self.scale).astype(np.float32)

    def model_points(self, points: np.ndarray) -> np.ndarray:
        """Inverse of `place`."""
        return (np.asarray(points, np.float64) / self.scale)[..., [0, 2, 1]] + self.origin


def make_canvas(model: ParametricModel) -> Canvas:
    """The canvas of a model whose regions name `skin`, `lips_inner`, `eye_left`, `eye_right`, `eye_socket`, `inner_mouth` and `tongue`."""
    template, regions = model.template.numpy().astype(np.float64), model.regions
    faces = model.faces.numpy().astype(np.int32)
    joints = dict(zip(model.joint_names, model.rest_joints.numpy().astype(np.float64)))
    origin = (joints["eye.L"] + joints["eye.R"]) / 2
    mouth = template[regions["lips_inner"]]
    mouth_down = origin[2] - mouth[np.abs(mouth[:, 0] - origin[0]) < 0.003][:, 2].mean()
    across, up = EYE_SIDE / (joints["eye.L"][0] - origin[0]), MOUTH_DOWN / mouth_down
    scale = np.array([across, up, -(across + up) / 2])
    bare = Canvas(faces, _parts(faces, regions), np.zeros(0), np.zeros(0), np.zeros(0), origin, scale)
    points = bare.place(template)
    eyes = bare.place(np.stack([joints["eye.L"], joints["eye.R"]]))
    fields = np.stack([open_sky(points, faces), _above_hairline(points), _lid_distance(points, faces, regions), _beard(points)], axis=1)
    fields[regions["ears"], 1] = -12.0  # no hair on ears
    return Canvas(faces, bare.part, points, fields.astype(np.float32), eyes, origin, scale)


def open_sky(points: np.ndarray, faces: np.ndarray, views: int = 32, size: int = 192) -> np.ndarray:
    """Share of the light from all around that reaches each vertex, [V] in 0..1: ambient occlusion by `views` parallel depth pictures.

    Landis, "Production-ready global illumination", SIGGRAPH 2002 course 16, with depth maps in place of rays; weighted by the cosine to the normal.
    """
    normals = vertex_normals(torch.from_numpy(points.astype(np.float64)), torch.from_numpy(faces.astype(np.int64))).numpy()
    radius = np.abs(points - points.mean(axis=0)).max() * 1.8
    seen, possible = np.zeros(len(points)), np.full(len(points), 1e-6)
    for direction in _sphere(views):
        side = np.cross(direction, [0.31, 0.2, 0.93] if abs(direction[2]) < 0.8 else [0.0, 1.0, 0.0])
        side /= np.linalg.norm(side)
        flat = np.stack([points @ side, points @ np.cross(direction, side)], axis=1)
        flat = (flat - flat.mean(axis=0)) * (size / (2 * radius)) + size / 2
        depth = radius * 4 - points @ direction
        nearest = scipy.ndimage.maximum_filter(zbuffer(flat, depth, faces, size, size).depth, 3)
        column, row = np.clip(flat.astype(int), 0, size - 1).T
        cosine = np.maximum(normals @ direction, 0)
        possible += cosine
        seen += cosine * (depth < nearest[row, column] + 2.0)
    return np.clip(seen / possible, 0, 1)


def _sphere(count: int) -> np.ndarray:
    """Evenly spread directions [count, 3] (Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    height, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], axis=1)


def _parts(faces: np.ndarray, regions: dict[str, np.ndarray]) -> np.ndarray:
    part = np.full(len(faces), OUTSIDE, np.int8)
    for name, value in (("eye_socket", INSIDE), ("inner_mouth", INSIDE), ("tongue", TONGUE), ("eye_left", EYE_LEFT), ("eye_right", EYE_RIGHT)):
        part[regions[name][faces].all(axis=1)] = value
    return part


def _above_hairline(points: np.ndarray) -> np.ndarray:
    angle = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - _SKULL_AXIS))
    return np.maximum(points[:, 1] - np.interp(angle, _HAIRLINE[:, 0], _HAIRLINE[:, 1]), -60)


def _lid_distance(points: np.ndarray, faces: np.ndarray, regions: dict[str, np.ndarray]) -> np.ndarray:
    """Distance to the nearest lid margin, millimetres: the ring of vertices where lashes grow, the third of the skin from inside the socket."""
    reached = regions["eye_socket"].copy()
    ring = reached
    for _ in range(3):
        ring = np.zeros(len(points), bool)
        ring[faces[reached[faces].any(axis=1)]] = True
        ring &= ~reached
        reached = reached | ring
    return cKDTree(points[ring]).query(points)[0]


def _beard(points: np.ndarray) -> np.ndarray:
    """1 where a beard grows: chin, cheeks below the line from the ear to the mouth, upper lip."""
    side, x, y, z = np.abs(points[:, 0]), points[:, 0], points[:, 1], points[:, 2]
    cheek_line = np.interp(side, [0, 24, 45, 70, 80], [-52, -58, -62, -38, -20])
    below = np.clip((cheek_line - y) / 9, 0, 1) * np.clip((y + 138) / 14, 0, 1) * np.clip((z + 82) / 14, 0, 1)
    lips = np.clip(np.hypot(x / 27, (y + 72.5) / 13.0), 0, 1.15)
    return below * np.clip((lips - 0.95) / 0.15, 0, 1)
