"""The initial splats of a rigged avatar: spread over the fitted mesh, coloured by the training images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.settings import InitSettings
from pipeline.avatars.rigged.surface_colors import surface_colors
from pipeline.avatars.rigged.surface_sampling import local_coordinates, scatter
from pipeline.avatars.splats.extent import scene_extent
from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from pipeline.geometry.spread import spread
from pipeline.splat.harmonics import SH_C0

_Y_UP = 1  # second axis of a triangle's frame: its normal


def initial_splats(body: PosedBody, images: ImageSet, cameras: Sequence[str], frames: Sequence[str], settings: InitSettings) -> dict[str, np.ndarray]:
    """Arrays of init.npz: `binding` [N], `means`, `quats`, `log_scales`, `opacities`, `sh_dc`, `sh_rest` (none yet) in the frames of the triangles.

    `seen` [N] says which got their colour from an image, `extent` how large the scene is.

    Args:
        images: RGBA images of the cameras and frames to take colours from (of the frames an even choice, see settings).
    """
    faces, vertices = body.faces.cpu().numpy(), posed(body, 0)
    face, barycentric, spacing = scatter(vertices, faces, 1 if settings.placement == "one" else settings.splats, settings.seed)
    means, size = local_coordinates(vertices, faces, face, barycentric)
    log_scales = np.zeros((len(face), 3))
    if settings.placement == "even":
        log_scales[:] = np.log(settings.size * spacing / size)[:, None]
        log_scales[:, _Y_UP] += math.log(settings.thickness)
    colors, seen = np.full((len(face), 3), 0.5), np.zeros(len(face), bool)
    if settings.color_frames:
        some = [frames[i] for i in spread(len(frames), settings.color_frames)]
        colors, seen = surface_colors(_views(body, images, cameras, some), faces, face, barycentric)
    return {
        "binding": face.astype(np.int64),
        "means": means.astype(np.float32),
        "quats": np.tile(np.array([1, 0, 0, 0], np.float32), (len(face), 1)),
        "log_scales": log_scales.astype(np.float32),
        "opacities": np.full(len(face), math.log(settings.opacity / (1 - settings.opacity)), np.float32),
        "sh_dc": ((colors - 0.5) / SH_C0).astype(np.float32)[:, None],
        "sh_rest": np.zeros((len(face), 0, 3), np.float32),
        "seen": seen,
        "extent": np.array(scene_extent(np.stack([images.by_name[name].centre for name in cameras])) if cameras else 1.0),
    }


def posed(body: PosedBody, frame: int) -> np.ndarray:
    """World vertices [V, 3] float64, metres, of a frame."""
    with torch.no_grad():
        return body.vertices(body.pose_at(frame)).cpu().numpy().astype(np.float64)


def _views(body: PosedBody, images: ImageSet, cameras: Sequence[str], frames: Sequence[str]) -> Iterator[tuple[np.ndarray, Camera, np.ndarray]]:
    vertices = {name: posed(body, body.frames.index(name)) for name in frames}
    for camera in cameras:
        archive = images.open(camera)
        for name in frames:
            yield vertices[name], images.by_name[camera], archive.read(name)
