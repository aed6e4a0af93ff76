"""An image of a model: its regions, its landmarks, its joints; for people who want to know what they imported."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.geometry.rotations import rotvec_to_matrix
from pipeline.mesh.raster import MeshBuffers, zbuffer
from pipeline.mesh.topology import vertex_normals

HEIGHT, MARGIN, FAR = 900, 40, 100.0  # pixels; metres, from where perspective hardly shows
BACKGROUND, SKIN = np.array([0.97] * 3, np.float32), np.array([0.80, 0.74, 0.70], np.float32)
WHOLE = ("skin", "outer_skin", "all")  # regions that are nearly everything
BLACK, RED, BLUE = (20, 20, 20), (210, 40, 40), (30, 80, 200)
YAW = 0.6  # radians, of the second view


def model_image(model: ParametricModel) -> np.ndarray:
    """RGB uint8 [H, 3 W, 3]: the mean shape from the front with its regions, from the side with its landmarks, and its joints with their names."""
    front, side = _View(model, 0.0), _View(model, YAW)
    return np.concatenate([_regions(model, front), _landmarks(model, side), _joints(model, front)], axis=1)


def describe(model: ParametricModel) -> list[str]:
    """What a model has, in lines."""
    stable = {name: int(table.valid.sum()) for name, table in model.landmarks.items()}
    return [
        f"{model.name}: {model.traits.kind}, {model.facts.get('source', 'unknown source')}",
        f"  vertices {model.vertex_count}, faces {len(model.faces)}, identity {len(model.identity_basis)}, "
        f"expression {len(model.expression_basis)} ({'0 to 1' if model.traits.bounded else 'unit variance'}), pose correctives {len(model.pose_basis)}",
        f"  joints: {', '.join(model.joint_names)}",
        f"  free in the fit: {', '.join(model.traits.free.get(model.traits.kind, {})) or 'all'}",
        f"  landmarks: {', '.join(f'{name} {count}' for name, count in stable.items()) or 'none'}",
        f"  regions: {', '.join(f'{name} {int(mask.sum())}' for name, mask in model.regions.items())}",
    ]


class _View:
    """The mean shape seen from far, from the front or turned by `yaw`: rows, columns and depth of any point."""

    def __init__(self, model: ParametricModel, yaw: float):
        left, up, front = model.traits.axes
        turn = rotvec_to_matrix(yaw * up)
        self.axes = np.array([left, -up, -front]) @ turn
        template = model.template.numpy().astype(np.float64)
        flat = template @ self.axes.T
        low, high = flat.min(0), flat.max(0)
        self.scale = (HEIGHT - 2 * MARGIN) / (high[1] - low[1])
        self.corner, self.width = low[:2], int(self.scale * (high[0] - low[0])) + 2 * MARGIN
        pixels, depth = self(template)
        self.buffers: MeshBuffers = zbuffer(pixels, depth, model.faces.numpy(), self.width, HEIGHT)
        normals = vertex_normals(model.template[None], model.faces)[0].numpy() @ self.axes.T
        light = np.abs(self.buffers.interpolate(normals, model.faces.numpy())[..., 2:])
        self.shade = (0.35 + 0.65 * light).astype(np.float32)

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [N, 2] and depth [N]."""
        flat = points @ self.axes.T
        return (flat[:, :2] - self.corner) * self.scale + MARGIN, flat[:, 2] + FAR

    def image(self, colour: np.ndarray) -> np.ndarray:
        """RGB uint8 of an albedo [H, W, 3]."""
        shown = np.where(self.buffers.face_id[..., None] >= 0, colour * self.shade, BACKGROUND)
        return np.ascontiguousarray((255 * shown.clip(0, 1)).astype(np.uint8))

    def sees(self, points: np.ndarray) -> np.ndarray:
        """[N] bool: points on the skin that are not hidden."""
        pixels, depth = self(points)
        column, row = np.clip(pixels.astype(int), 0, [self.width - 1, HEIGHT - 1]).T
        return depth < self.buffers.depth[row, column] + 0.004


def _regions(model: ParametricModel, view: _View) -> np.ndarray:
    faces = model.faces.numpy()
    names = [name for name in model.regions if name not in WHOLE]
    names.sort(key=lambda name: -int(model.regions[name].sum()))
    colours = np.tile(SKIN, (len(faces) + 1, 1))
    tints = {name: np.array(colorsys.hsv_to_rgb(number * 0.618 % 1, 0.55, 0.95), np.float32) for number, name in enumerate(names)}
    for name in names:  # the smaller ones over the larger ones
        colours[:-1][model.regions[name][faces].all(1)] = tints[name]
    image = view.image(colours[view.buffers.face_id])
    for number, name in enumerate(names):
        tint = tuple(int(255 * value) for value in tints[name])
        cv2.rectangle(image, (8, 8 + 16 * number), (20, 20 + 16 * number), tint, -1)
        _write(image, name, (26, 19 + 16 * number))
    return image


def _landmarks(model: ParametricModel, view: _View) -> np.ndarray:
    image = view.image(np.broadcast_to(SKIN, (*view.buffers.face_id.shape, 3)))
    for number, (name, table) in enumerate(model.landmarks.items()):
        points = table.points(model.template).numpy().astype(np.float64)
        shown = table.valid.numpy() & (view.sees(points) if name.endswith("face") else True)
        radius, colour = (2, RED) if name.endswith("face") else (5, BLUE)
        for pixel in view(points)[0][shown]:
            cv2.circle(image, (int(pixel[0]), int(pixel[1])), radius, colour, -1, cv2.LINE_AA)
        _write(image, f"{name}: {int(table.valid.sum())} of {len(table.valid)}", (8, 20 + 16 * number), colour)
    return image


def _joints(model: ParametricModel, view: _View) -> np.ndarray:
    image = view.image(0.5 + 0.5 * np.broadcast_to(SKIN, (*view.buffers.face_id.shape, 3)))
    pixels = view(model.rest_joints.numpy().astype(np.float64))[0].astype(int).tolist()
    for joint, parent in enumerate(model.parents):
        if parent >= 0:
            cv2.line(image, pixels[parent], pixels[joint], BLUE, 1, cv2.LINE_AA)
    free = {model.joint_names[0], *model.traits.free.get(model.traits.kind, {})}
    named = len(model.parents) <= 40
    for joint, name in enumerate(model.joint_names):
        cv2.circle(image, pixels[joint], 4, RED if name in free else BLUE, -1, cv2.LINE_AA)
        if named or name in free:
            _write(image, name, (pixels[joint][0] + 6, pixels[joint][1] + 4))
    _write(image, "red: free in the fit", (8, 20), RED)
    return image


def _write(image: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int] = BLACK) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
