"""The body's mesh as a viewer shows it, and which of its triangles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from pipeline.avatars.view_options import MeshColors
from pipeline.capture.camera import Camera
from pipeline.capture.mesh_view import face_normals, headlight, paint_faces
from pipeline.io.color_map import color_map
from pipeline.io.errors import InputError
from pipeline.training.contract import AvatarBody

SURFACE = 225.0  # grey level of the lit mesh where it faces the camera


def mesh_layer(camera: Camera, vertices: np.ndarray, faces: np.ndarray, show: MeshColors, counts: np.ndarray | None, samples: int = 1) -> np.ndarray:
    """A mesh as uint8 [H, W, 4]: colour times coverage, and coverage.

    Args:
        camera: pinhole. vertices: [V, 3] float64 metres, world. faces: [F, 3].
        show: surface: lit from the camera, flat; normals: of the side that is seen, in camera axes, red right, green up, blue to the camera; counts: log10 of
            the splats of each face as a colour map, from 1 to the most of any face.
        counts: [F], for "counts". samples: see `view_mesh`.
    """
    if show == "counts":
        assert counts is not None
        colors = color_map(np.log10(np.maximum(counts, 1))[:, None], 0, np.log10(max(counts.max(initial=0), 2)), cv2.COLORMAP_PLASMA)[:, 0]
        return paint_faces(camera, vertices, faces, colors, samples)
    normals = face_normals(camera, vertices, faces)
    if show == "surface":
        return paint_faces(camera, vertices, faces, np.repeat(SURFACE * headlight(normals)[:, None], 3, axis=1), samples)
    centres = camera.to_camera(vertices)[faces].mean(1)
    seen = normals * -np.sign((normals * centres).sum(1, keepdims=True))
    return paint_faces(camera, vertices, faces, 127.5 + 127.5 * seen * (1, -1, -1), samples)


def face_mask(body: AvatarBody, regions: Sequence[str]) -> np.ndarray:
    """Which faces have all three vertices in one of the regions, bool [F]. Raises InputError for a region that the body does not have."""
    model = body.shaped
    if unknown := [name for name in regions if name not in model.regions]:
        expected = "of " + ", ".join(sorted(model.regions)) if model.regions else "no regions: this body has none"
        raise InputError(f"no such region: {', '.join(unknown)}", expected=expected, remedy="correct the regions")
    faces = model.faces.cpu().numpy()
    return np.any([np.asarray(model.regions[name])[faces].all(1) for name in regions], axis=0)


def binding_of(state: Any) -> Tensor:
    """The triangle of each splat of a posed avatar, int64 [N]. Raises InputError where its splats do not lie on triangles."""
    binding = getattr(state, "binding", None)
    if binding is None:
        raise InputError("the splats of this avatar do not lie on triangles", remedy="leave out regions and counts")
    return binding


def splats_per_face(state: Any, faces: int) -> np.ndarray:
    """How many splats of a posed avatar lie on each triangle, int64 [F]."""
    return np.bincount(binding_of(state).cpu().numpy(), minlength=faces)
