"""Texture space: canonical coordinates, part labels and texture fields of every vertex, on the mean shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pipeline.body.model import ParametricModel
from pipeline.synthetic.rendering.ambient_occlusion import ambient_visibility
from pipeline.synthetic.rendering.parts import EYE_LEFT, EYE_RIGHT, INSIDE, OUTSIDE, TONGUE

EYE_SIDE, MOUTH_DOWN = 30.58, 71.0
"""Where the textures have the left eye (x) and the middle of the mouth (y = -MOUTH_DOWN), millimetres from between the eyes."""

# Angle about the skull from the face (0) to the nape (180 degrees), height of the hairline above the eyes in millimetres.
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
_SKULL_AXIS = -78.0  # z of the vertical axis of the hairline's angle, millimetres
_BELOW_HAIRLINE = -12.0  # height on the ears, which have no hair


@dataclass(frozen=True, eq=False)
class TextureSpace:
    """Texture coordinates of a model.

    Attributes:
        faces: [F, 3] int32. part: [F] int8, see parts.py.
        points: [V, 3] float32 millimetres, right-handed: x to the subject's left, y up, z forward, origin between the eyes.
        fields: [V, 4] float32: ambient visibility (0..1), height above the hairline (mm), distance to the lid's margin
            (mm), beard (0..1).
        eyes: [2, 3] centres of the left and right eyeball in the same coordinates as `points`.
        origin: [3] of the texture space in model metres. scale: [3] model metres to millimetres of texture space.
    """

    faces: np.ndarray
    part: np.ndarray
    points: np.ndarray
    fields: np.ndarray
    eyes: np.ndarray
    origin: np.ndarray
    scale: np.ndarray

    def from_model(self, vertices: np.ndarray) -> np.ndarray:
        """Rest-pose points of the model [..., 3] (metres, z up, looking along -y) in texture space (millimetres)."""
        return _from_model(vertices, self.origin, self.scale)

    def to_model(self, points: np.ndarray) -> np.ndarray:
        """Inverse of `from_model`."""
        return (np.asarray(points, np.float64) / self.scale)[..., [0, 2, 1]] + self.origin


def _from_model(vertices: np.ndarray, origin: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return ((vertices - origin)[..., [0, 2, 1]] * scale).astype(np.float32)


def make_texture_space(model: ParametricModel) -> TextureSpace:
    """The texture space of a model with regions `skin lips_inner eye_left eye_right eye_socket inner_mouth tongue ears`."""
    template, regions = model.template.numpy().astype(np.float64), model.regions
    faces = model.faces.numpy().astype(np.int32)
    joints = dict(zip(model.joint_names, model.rest_joints.numpy().astype(np.float64)))
    origin = (joints["eye.L"] + joints["eye.R"]) / 2
    lips = template[regions["lips_inner"]]
    mouth_down = origin[2] - lips[np.abs(lips[:, 0] - origin[0]) < 0.003][:, 2].mean()
    across, up = EYE_SIDE / (joints["eye.L"][0] - origin[0]), MOUTH_DOWN / mouth_down
    scale = np.array([across, up, -(across + up) / 2])
    points = _from_model(template, origin, scale)
    height = _above_hairline(points)
    height[regions["ears"]] = _BELOW_HAIRLINE
    fields = np.stack([ambient_visibility(points, faces), height, _lid_distance(points, faces, regions), _beard(points)], axis=1)
    return TextureSpace(
        faces=faces,
        part=_parts(faces, regions),
        points=points,
        fields=fields.astype(np.float32),
        eyes=_from_model(np.stack([joints["eye.L"], joints["eye.R"]]), origin, scale),
        origin=origin,
        scale=scale,
    )


def _parts(faces: np.ndarray, regions: dict[str, np.ndarray]) -> np.ndarray:
    """[F] int8 part label of each face."""
    part = np.full(len(faces), OUTSIDE, np.int8)
    labels = {"eye_socket": INSIDE, "inner_mouth": INSIDE, "tongue": TONGUE, "eye_left": EYE_LEFT, "eye_right": EYE_RIGHT}
    for name, label in labels.items():
        part[regions[name][faces].all(axis=1)] = label
    return part


def _above_hairline(points: np.ndarray) -> np.ndarray:
    """[V] millimetres above the hairline, at least -60."""
    angle = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - _SKULL_AXIS))
    return np.maximum(points[:, 1] - np.interp(angle, _HAIRLINE[:, 0], _HAIRLINE[:, 1]), -60)


def _lid_distance(points: np.ndarray, faces: np.ndarray, regions: dict[str, np.ndarray]) -> np.ndarray:
    """[V] millimetres to the nearest lid margin: the third ring of vertices outside the eye socket, where lashes grow."""
    reached = regions["eye_socket"].copy()
    ring = reached
    for _ in range(3):
        ring = np.zeros(len(points), bool)
        ring[faces[reached[faces].any(axis=1)]] = True
        ring &= ~reached
        reached = reached | ring
    return cKDTree(points[ring]).query(points)[0]


def _beard(points: np.ndarray) -> np.ndarray:
    """[V] 1 where a beard grows: chin, cheeks below the line from ear to mouth, upper lip."""
    x, y, z = points.T
    side = np.abs(x)
    cheek_line = np.interp(side, [0, 24, 45, 70, 80], [-52, -58, -62, -38, -20])
    below = np.clip((cheek_line - y) / 9, 0, 1) * np.clip((y + 138) / 14, 0, 1) * np.clip((z + 82) / 14, 0, 1)
    lips = np.clip(np.hypot(x / 27, (y + 72.5) / 13.0), 0, 1.15)
    return below * np.clip((lips - 0.95) / 0.15, 0, 1)
