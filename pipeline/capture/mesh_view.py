"""A mesh rasterised and painted in the image of a camera."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.mesh.raster import MeshBuffers, zbuffer

AMBIENT = 0.25  # part of the light that a surface seen from the side still has


class MeshView(NamedTuple):
    """Projected vertices: pixels [V, 2], depth [V] (camera z, in the unit of the input); z-buffer of the faces."""

    pixels: np.ndarray
    depth: np.ndarray
    buffers: MeshBuffers


def view_mesh(camera: Camera, vertices: np.ndarray, faces: np.ndarray, samples: int = 1) -> MeshView:
    """Rasterise a mesh with `samples` x `samples` samples per pixel.

    Pixel coordinates and buffers are in samples: with samples = 2 the image is twice as wide and high.

    Args:
        camera: without distortion. vertices: [V, 3] float64, world. faces: [F, 3].
    """
    local = camera.to_camera(vertices)
    pixels = (local[:, :2] / local[:, 2:] @ camera.K[:2, :2].T + camera.K[:2, 2]) * samples
    buffers = zbuffer(pixels, local[:, 2], faces, camera.width * samples, camera.height * samples)
    return MeshView(pixels, local[:, 2], buffers)


def face_normals(camera: Camera, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [F, 3] in camera axes (x right, y down, z forward); that of a face without area is 0."""
    corners = camera.to_camera(vertices)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def headlight(normals: np.ndarray) -> np.ndarray:
    """Brightness [F], AMBIENT to 1, of faces with these normals that are lit from the camera, both sides alike."""
    return AMBIENT + (1 - AMBIENT) * np.abs(normals[:, 2])


def paint_faces(camera: Camera, vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray, samples: int = 1) -> np.ndarray:
    """A mesh of one colour per face: uint8 [H, W, 4], colour times coverage, and coverage.

    Args:
        colors: [F, 3] in 0..255. samples: see `view_mesh`; pixels at the rim are the mean of their samples.
    """
    table = np.zeros((len(faces) + 1, 4), np.uint8)  # its last row, that of face -1, is the background
    table[:-1, :3], table[:-1, 3] = np.rint(colors), 255
    face_id = view_mesh(camera, vertices, faces, samples).buffers.face_id
    image = table.view(np.uint32)[face_id].view(np.uint8)
    return image if samples == 1 else cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
