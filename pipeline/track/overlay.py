"""Videos of the fit: the mesh half-transparent over the frames, and lines from its landmarks to their detections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.mesh_view import face_normals, headlight, paint_faces
from pipeline.capture.processed import Frame, ImageSet
from pipeline.io.files import publish_folder
from pipeline.io.packed import PackedImages
from pipeline.io.parallel import map_processes
from pipeline.io.video import write_video
from pipeline.track.fit import FitResult
from pipeline.track.observations import Observations
from pipeline.track.visibility import visible

OPACITY = 0.45
MESH_COLOUR = np.array([150.0, 190.0, 255.0])
GREEN, RED = (90, 255, 90), (255, 60, 60)
LONG_PX = 4.0  # residuals longer than this are red
SUBPIXEL_BITS = 3  # fractional bits of the coordinates of cv2.line


def write_overlays(
    folder: Path,
    scratch: Path,
    images: ImageSet,
    observations: Observations,
    fit: FitResult,
    threads: int,
) -> None:
    """Write a video per camera of the capture into `folder`, via `scratch`. Held-out cameras have no detections."""
    body, state, landmarks = fit.body, fit.state, fit.landmarks
    counted = visible(body, landmarks, observations, state)
    vertices = np.stack([body.vertices(state, f) for f in range(state.frames)]).astype(np.float32)
    points = np.stack([body.pose_points(body.pose_joints(state, f), state, f, landmarks.points) for f in range(state.frames)])
    detected = {
        camera.name: np.where(counted[:, number, :, None], observations.pixels[:, number, landmarks.rows], np.nan)
        for number, camera in enumerate(observations.cameras)
    }
    write_mesh_overlays(folder, scratch, images, observations.frames, vertices, body.faces, threads, points, detected)


def write_mesh_overlays(
    folder: Path,
    scratch: Path,
    images: ImageSet,
    frames: Sequence[Frame],
    vertices: np.ndarray,
    faces: np.ndarray,
    threads: int,
    points: np.ndarray | None = None,
    detected: Mapping[str, np.ndarray] | None = None,
) -> None:
    """The same of any mesh over F frames.

    Args:
        vertices: [F, V, 3] world. faces: [T, 3]. points: [F, L, 3] world. detected: {camera: [F, L, 2] pixels}, nan where not counted.
    """
    points = np.zeros((len(frames), 0, 3)) if points is None else points
    nothing, names, fps = np.full((*points.shape[:2], 2), np.nan), [frame.id for frame in frames], _frame_rate(frames)
    jobs = [
        (scratch / f"{camera.name}.mp4", images.path(camera.name), names, camera, vertices, faces, points, (detected or {}).get(camera.name, nothing), fps)
        for camera in images.cameras
    ]
    map_processes(write_overlay, jobs, threads, "overlays")
    publish_folder([job[0] for job in jobs], folder)


def write_overlay(
    path: Path,
    archive: Path,
    names: list[str],
    camera: Camera,
    vertices: np.ndarray,
    faces: np.ndarray,
    landmarks: np.ndarray,
    detected: np.ndarray,
    fps: float,
) -> str:
    """Write one camera's video; returns the camera's name.

    Args:
        archive: packed frames.
        names: F frame ids.
        vertices: [F, V, 3] world. faces: [T, 3].
        landmarks: [F, L, 3] world.
        detected: [F, L, 2] pixels; nan where not counted.
    """

    def overlays() -> Iterator[np.ndarray]:
        images = PackedImages(archive)
        for number, name in enumerate(names):
            image = draw_mesh(images.read(name)[..., :3], camera, vertices[number].astype(np.float64), faces)
            yield draw_residuals(image, camera.project(landmarks[number]), detected[number])

    write_video(path, overlays(), fps, crf=20)
    return camera.name


def draw_mesh(image: np.ndarray, camera: Camera, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Blend the mesh, lit from the camera, over an RGB uint8 image [H, W, 3]."""
    colors = headlight(face_normals(camera, vertices, faces))[:, None] * MESH_COLOUR
    mesh = paint_faces(camera, vertices, faces, colors)
    blended = image * (1 - OPACITY) + mesh[..., :3] * OPACITY
    return np.where(mesh[..., 3:] > 0, blended, image).astype(np.uint8)


def draw_residuals(image: np.ndarray, points: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """Lines from the model's landmarks [L, 2] to the detections [L, 2]: green, red where longer than LONG_PX."""
    image = np.ascontiguousarray(image)
    for start, end in zip(points, detected):
        if np.isfinite(end).all() and np.isfinite(start).all():
            colour = GREEN if np.linalg.norm(end - start) <= LONG_PX else RED
            cv2.line(image, _fixed_point(start), _fixed_point(end), colour, 1, cv2.LINE_AA, SUBPIXEL_BITS)
    return image


def _fixed_point(pixel: np.ndarray) -> tuple[int, int]:
    """A pixel [2] in the units of cv2.line, which places pixel centres at integers."""
    unit = 2**SUBPIXEL_BITS
    x, y = (int(round(float(value) * unit - unit / 2)) for value in pixel)
    return x, y


def _frame_rate(frames: Sequence[Frame]) -> float:
    """Frames per second of the overlay: that of the sampled frames, between 5 and 60."""
    steps = [b.time - a.time for a, b in zip(frames, frames[1:]) if a.sequence == b.sequence and b.time > a.time]
    return float(np.clip(np.round(1 / np.median(steps)), 5, 60)) if steps else 10.0
