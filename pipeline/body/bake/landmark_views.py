"""Synthetic renders of any model's head from many views, and MediaPipe's face landmarks back-projected onto the mesh."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from pipeline.body.model import ParametricModel
from pipeline.io.progress import progress
from pipeline.mesh.raster import MeshBuffers, zbuffer
from pipeline.mesh.topology import vertex_normals
from pipeline.vision.mediapipe_quiet import quiet_mediapipe

SIZE = 512  # pixels
FOCAL = 1500.0  # pixels
DISTANCE = 1.0  # metres
YAWS = (-50, -38, -26, -14, -5, 5, 14, 26, 38, 50)  # degrees
PITCHES = (-18, -4, 10)  # degrees
PEOPLE = 5
LANDMARKS = 478  # of MediaPipe's face mesh with refine_landmarks; the irises start at FIRST_IRIS
FIRST_IRIS = 468
# MediaPipe's numbering: face_mesh_connections (FACEMESH_LIPS, FACEMESH_RIGHT_EYE, FACEMESH_LEFT_EYE).
INNER_LIPS = frozenset(map(int, "78 191 80 81 82 13 312 311 310 415 308 95 88 178 87 14 317 402 318 324".split()))
RIGHT_EYE = frozenset(map(int, "33 7 163 144 145 153 154 155 133 173 157 158 159 160 161 246".split()))
LEFT_EYE = frozenset(map(int, "263 249 390 373 374 380 381 382 362 398 384 385 386 387 388 466".split()))
PAINTS = {
    "scalp": (0.20, 0.14, 0.10),
    "brows": (0.25, 0.17, 0.12),
    "lips": (0.72, 0.33, 0.33),
    "inner_mouth": (0.15, 0.04, 0.04),
    "tongue": (0.55, 0.22, 0.24),
    "teeth": (0.90, 0.88, 0.84),
    "eye_left": (0.93, 0.92, 0.90),
    "eye_right": (0.93, 0.92, 0.90),
}  # albedo of regions, in which later ones hide earlier ones
JAW_ANGLE = 0.2  # radians, of an open mouth
SNAP_PX = 4  # reach of `snap` in `_surface_point`
GRAZING = 0.45
"""Cosine between normal and view below which a detection does not determine the point on the surface."""


class SurfacePoint(NamedTuple):
    """A point on the mesh: face index and barycentrics [3]."""

    face: int
    barycentric: np.ndarray


class View(NamedTuple):
    """One render: image uint8 RGB [H, W, 3], visible faces, facing: cosine [H, W] of normal and viewing direction."""

    image: np.ndarray
    buffers: MeshBuffers
    facing: np.ndarray


def detections(model: ParametricModel) -> list[list[SurfacePoint]]:
    """For each of the 478 landmarks its detections on the mesh. In every other view the mouth is open (lips apart)."""
    allowed, opens = _allowed_faces(model), "jawOpen" in model.expression_names or "jaw" in model.traits.roles
    points: list[list[SurfacePoint]] = [[] for _ in range(LANDMARKS)]
    jobs = [(person, yaw, pitch) for person in range(PEOPLE) for yaw in YAWS for pitch in PITCHES]
    with quiet_mediapipe() as mediapipe:
        detector = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True)
        detector.process(np.zeros((SIZE, SIZE, 3), np.uint8))
    with detector:
        for number, (person, yaw, pitch) in enumerate(progress(jobs, "landmarks")):
            mouth_open = opens and number % 2 == 1
            view = render(model, person, yaw, pitch, mouth_open)
            result = detector.process(view.image)
            if not result.multi_face_landmarks:
                continue
            pixels = np.array([(point.x * SIZE, point.y * SIZE) for point in result.multi_face_landmarks[0].landmark])
            for landmark, pixel in enumerate(pixels):
                if landmark in INNER_LIPS and not mouth_open:
                    continue
                point = _surface_point(view, pixel, allowed[_kind(landmark)], snap=_kind(landmark) != "skin")
                if point is not None:
                    points[landmark].append(point)
    return points


def _kind(landmark: int) -> str:
    if landmark >= FIRST_IRIS:
        return "eyes"
    if landmark in INNER_LIPS:
        return "lips"
    return "eyelids" if landmark in RIGHT_EYE | LEFT_EYE else "skin"


def _allowed_faces(model: ParametricModel) -> dict[str, np.ndarray]:
    """Faces on which a kind of landmark may lie: {kind: bool [F + 1]}; the last entry is the background, False."""
    regions, faces = model.regions, model.faces.numpy()
    skin = regions.get("skin", np.ones(model.vertex_count, bool))
    eyes = _eyes(model)
    masks = {"skin": skin, "lips": regions.get("lips", skin), "eyelids": regions.get("eyelids", skin), "eyes": eyes if eyes.any() else skin}
    return {kind: np.append(mask[faces].all(axis=1), False) for kind, mask in masks.items()}


def _surface_point(view: View, pixel: np.ndarray, allowed: np.ndarray, snap: bool) -> SurfacePoint | None:
    """The point on an allowed, not grazing face at the pixel, or None.

    snap: search within SNAP_PX, for landmarks on edges, whose detections fall to either side.
    """
    reach = SNAP_PX if snap else 0
    column, row = (int(np.floor(value)) for value in pixel)
    if not (reach <= column < SIZE - reach and reach <= row < SIZE - reach):
        return None
    window = (slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1))
    good = allowed[view.buffers.face_id[window]] & (view.facing[window] > GRAZING)
    if not good.any():
        return None
    rows, columns = np.nonzero(good)
    nearest = np.argmin((rows + row - reach + 0.5 - pixel[1]) ** 2 + (columns + column - reach + 0.5 - pixel[0]) ** 2)
    at = (rows[nearest] + row - reach, columns[nearest] + column - reach)
    return SurfacePoint(int(view.buffers.face_id[at]), view.buffers.barycentric[at].astype(np.float64))


def render(model: ParametricModel, person: int, yaw: float, pitch: float, mouth_open: bool) -> View:
    """Render one view. person: 0 is the mean shape, others are random. yaw, pitch: degrees about the head."""
    parameters = model.zeros(1)
    if person:
        noise = torch.randn(len(parameters["identity"]), generator=torch.Generator().manual_seed(person))
        parameters["identity"] = 0.7 * noise
    if mouth_open:
        _open_mouth(model, parameters)
    vertices = model.pose_vertices(**parameters).vertices
    normals = vertex_normals(vertices, model.faces)[0].numpy()
    rotation = _camera_rotation(np.radians(yaw), np.radians(pitch)) @ (model.traits.axes[[0, 2, 1]] * [[1], [-1], [1]])
    camera = (vertices[0].numpy() - _face_centre(model)) @ rotation.T + np.array([0, 0, DISTANCE])
    faces = model.faces.numpy()
    buffers = zbuffer(camera[:, :2] / camera[:, 2:] * FOCAL + SIZE / 2, camera[:, 2], faces, SIZE, SIZE)
    covered = buffers.face_id >= 0
    normal = _unit(buffers.interpolate_covered((normals @ rotation.T).astype(np.float32), faces))
    light = np.clip(normal @ _unit(np.array([0.3, -0.5, -0.8])).astype(np.float32), 0, 1)
    image, facing = np.full((SIZE, SIZE, 3), 0.6, np.float32), np.zeros((SIZE, SIZE))
    image[covered] = _paint(model, buffers) * (0.45 + 0.55 * light[:, None])
    row, column = np.nonzero(covered)
    sight = np.stack([(column + 0.5 - SIZE / 2) / FOCAL, (row + 0.5 - SIZE / 2) / FOCAL, np.ones(len(row))], 1)
    facing[covered] = -(normal * _unit(sight)).sum(axis=-1)
    return View((image * 255).round().astype(np.uint8), buffers, facing)


def _open_mouth(model: ParametricModel, parameters: dict[str, torch.Tensor]) -> None:
    """By the expression of that name, else by the jaw: it turns about the axis to the left."""
    if "jawOpen" in model.expression_names:
        parameters["expression"][0, model.expression_names.index("jawOpen")] = 0.35
    else:
        jaw = model.joint_names.index(model.traits.roles["jaw"])
        parameters["pose"][0, jaw] = torch.from_numpy(JAW_ANGLE * model.traits.axes[0])


def _face_centre(model: ParametricModel) -> np.ndarray:
    """Where the camera looks: behind and below the eyes, or at the middle of the head of a model without them."""
    left, up, front = model.traits.axes
    eyes = [model.joint_names.index(model.traits.roles[role]) for role in ("eye_left", "eye_right") if role in model.traits.roles]
    if eyes:
        return model.rest_joints[eyes].mean(dim=0).numpy() - 0.03 * up - 0.03 * front
    upper = model.lbs_weights[:, [name in model.traits.upper for name in model.joint_names]].sum(dim=1).numpy() > 0.5
    head = model.template.numpy()[upper if upper.any() else slice(None)]
    return (head.min(axis=0) + head.max(axis=0)) / 2


def _eyes(model: ParametricModel) -> np.ndarray:
    """[V] bool; none of a model without eyes."""
    none = np.zeros(model.vertex_count, bool)
    return model.regions.get("eye_left", none) | model.regions.get("eye_right", none)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _camera_rotation(yaw: float, pitch: float) -> np.ndarray:
    """Rotation from axes to the left, back and up to a camera in front of the face, rotated by yaw and pitch (rad)."""
    front = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    about_z = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return front @ about_x @ about_z


def _paint(model: ParametricModel, buffers: MeshBuffers) -> np.ndarray:
    """Albedo [P, 3] of the covered pixels: skin, lips, brows, hair, mouth and eyes; iris and pupil by their angle from the front."""
    colour = np.tile(np.array([0.85, 0.64, 0.53], np.float32), (model.vertex_count, 1))
    for region, paint in PAINTS.items():
        colour[model.regions.get(region, slice(0))] = paint
    faces, front = model.faces.numpy(), model.traits.axes[2]
    image = buffers.interpolate_covered(colour, faces)
    corners, weights = faces[buffers.face_id[buffers.face_id >= 0]], buffers.barycentric[buffers.face_id >= 0]
    for side in ("eye_left", "eye_right"):
        if side not in model.regions or side not in model.traits.roles:
            continue
        on = np.flatnonzero(model.regions[side][corners[:, 0]])
        centre = model.rest_joints[model.joint_names.index(model.traits.roles[side])].numpy()
        place = (model.template.numpy()[corners[on]] * weights[on][..., None]).sum(axis=1) - centre
        angle = np.degrees(np.arccos(np.clip(_unit(place) @ front, -1, 1)))
        image[on[angle < 29]] = (0.30, 0.20, 0.12)  # iris
        image[on[angle < 12]] = (0.03, 0.03, 0.03)  # pupil
    return image
