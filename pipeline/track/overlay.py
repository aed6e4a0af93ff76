"""The fit, seen: the mesh half-transparent over the frames, its landmarks and where the detector put them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from pipeline.io.files import publish_folder
from pipeline.io.packed import PackedImages
from pipeline.io.parallel import map_processes
from pipeline.io.video import write_video
from pipeline.mesh.raster import zbuffer
from pipeline.track.fit import Fitted
from pipeline.track.observe import Observations
from pipeline.track.visibility import visible

OPACITY = 0.45
MESH, SHORT, LONG = np.array([150.0, 190.0, 255.0]), (90, 255, 90), (255, 60, 60)
LONG_PX = 4.0


def write_overlay(
    path: Path, archive: Path, names: list[str], camera: Camera, vertices: np.ndarray, faces: np.ndarray, landmarks: np.ndarray, seen: np.ndarray, fps: float
) -> str:
    """Write one camera's video; returns the camera's name.

    Args:
        archive: packed frames. names: F frame ids. vertices: [F, V, 3] world. landmarks: [F, L, 3] world. seen: [F, L, 2] detections, nan where none counts.
    """

    def pictures() -> Iterator[np.ndarray]:
        images = PackedImages(archive)
        for number, name in enumerate(names):
            picture = shade(images.read(name)[..., :3], camera, vertices[number].astype(np.float64), faces)
            yield draw_residuals(picture, camera.project(landmarks[number]), seen[number])

    write_video(path, pictures(), fps, crf=20)
    return camera.name


def shade(image: np.ndarray, camera: Camera, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The mesh, lit from the camera, over an RGB uint8 image [H, W, 3]."""
    local = camera.to_camera(vertices)
    pixels = local[:, :2] / local[:, 2:] @ camera.K[:2, :2].T + camera.K[:2, 2]
    face_id = zbuffer(pixels, local[:, 2], faces, camera.width, camera.height).face_id
    corners = local[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    light = np.abs(normal[:, 2]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    mesh = (0.25 + 0.75 * light)[face_id][..., None] * MESH
    mixed = image * (1 - OPACITY) + mesh * OPACITY
    return np.where((face_id >= 0)[..., None], mixed, image).astype(np.uint8)


def draw_residuals(image: np.ndarray, points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Lines from the model's landmarks [L, 2] to the detections [L, 2]: green, red where longer than 4 px."""
    image = np.ascontiguousarray(image)
    for start, end in zip(points, seen):
        if np.isfinite(end).all() and np.isfinite(start).all():
            color = SHORT if np.linalg.norm(end - start) <= LONG_PX else LONG
            ends = [tuple(int(round(float(v) * 8 - 4)) for v in point) for point in (start, end)]
            cv2.line(image, *ends, color, 1, cv2.LINE_AA, 3)
    return image


def write_overlays(folder: Path, waiting: Path, images: ImageSet, seen: Observations, fitted: Fitted, threads: int) -> None:
    """A video per camera of the capture, those held out of the fit included (without detections), in `folder`; built in `waiting`."""
    rig, state, landmarks = fitted.rig, fitted.state, fitted.landmarks
    counted = visible(rig, landmarks, seen, state)
    vertices = np.stack([rig.vertices(state, f) for f in range(state.frames)]).astype(np.float32)
    points = np.stack([rig.place(rig.posed(state, f), state, f, landmarks.points) for f in range(state.frames)])
    names = [frame.id for frame in seen.frames]
    fps = _rate(seen)
    used = {camera.name: number for number, camera in enumerate(seen.cameras)}
    jobs = []
    for camera in images.cameras:
        detected = np.full((*points.shape[:2], 2), np.nan)
        if camera.name in used:
            number = used[camera.name]
            detected = np.where(counted[:, number, :, None], seen.pixels[:, number, landmarks.rows], np.nan)
        jobs.append((waiting / f"{camera.name}.mp4", images.path(camera.name), names, camera, vertices, rig.faces, points, detected, fps))
    map_processes(write_overlay, jobs, threads, "overlays")
    publish_folder([job[0] for job in jobs], folder)


def _rate(seen: Observations) -> float:
    """Frames a second of the overlay: that of the sampled frames, between 5 and 60."""
    steps = [b.time - a.time for a, b in zip(seen.frames, seen.frames[1:]) if a.sequence == b.sequence and b.time > a.time]
    return float(np.clip(np.round(1 / np.median(steps)), 5, 60)) if steps else 10.0
