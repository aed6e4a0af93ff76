"""A mesh rasterised in the image of a camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.mesh.raster import MeshBuffers, zbuffer


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
