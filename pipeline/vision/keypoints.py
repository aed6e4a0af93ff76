"""Face and body points in all cameras: each looks for itself, then where the others found something, and contradictions go."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from pipeline.geometry.blocks import in_blocks
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.parallel import map_processes
from pipeline.vision.cross_view import drop_contradictions, face_crops, pose_crops
from pipeline.vision.detect_per_camera import detect_camera, detect_in_crops
from pipeline.vision.mediapipe_points import FACE_POINTS, POSE_POINTS
from pipeline.vision.settings import KeypointsSettings

HEAD = slice(0, 11)  # nose, eyes, ears and mouth in MediaPipe's pose


@dataclass(frozen=True)
class Keypoints:
    """face [F, C, 478, 3] and pose [F, C, 33, 3] float32: x, y in pixels, score; nan where nothing was found. guided, dropped: finds per camera [C] that
    other cameras led to, and that other cameras contradicted (faces and poses together)."""

    face: np.ndarray
    pose: np.ndarray
    guided: np.ndarray
    dropped: np.ndarray


def look(images: ImageSet, mattes: ImageSet, score: float, pose_stride: int, folder: Path, threads: int, part: slice | None = None) -> list[Path]:
    """Let cameras look for face and body, each for itself; a camera whose file stands in `folder` has done so before.

    Args:
        images, mattes: pictures and mattes of the same cameras; the frames are those of `mattes`.
        pose_stride: 1 looks for the body in every frame. score: confidence from which something counts as found.
        part: only these cameras.

    Returns:
        A file per camera, in their order: face [F, 478, 3] and pose [F, 33, 3] (see `detect_camera`).
    """
    names, cameras = [frame.id for frame in mattes.frames], [camera.name for camera in images.cameras[part or slice(None)]]
    files = [folder / f"{name}.npz" for name in cameras]
    left = [index for index, file in enumerate(files) if not file.is_file()]
    chunks = _chunks(len(names), round(threads / max(len(left), 1)), pose_stride)
    opened = [(images.open(cameras[index]).path, mattes.open(cameras[index]).path) for index in left]
    jobs = [(*paths, names[chunk], pose_stride, score) for paths in opened for chunk in chunks]
    finds: dict[int, dict[int, tuple[np.ndarray, np.ndarray]]] = defaultdict(dict)

    def keep(job: int, found: tuple[np.ndarray, np.ndarray]) -> None:
        index, chunk = left[job // len(chunks)], job % len(chunks)
        finds[index][chunk] = found
        if len(finds[index]) == len(chunks):
            face, pose = (np.concatenate([finds[index][k][which] for k in range(len(chunks))]) for which in (0, 1))
            save_npz(files[index], {"face": face, "pose": pose}, compress=False)
            del finds[index]

    if jobs:
        map_processes(detect_camera, jobs, threads, "keypoints", keep)
    return files


def find_keypoints(images: ImageSet, mattes: ImageSet, settings: KeypointsSettings, looked: Sequence[Path], threads: int) -> Keypoints:
    """Points of every matted frame in every camera. looked: what each camera found by itself, as `look` left it. Raises InputError where that is damaged."""
    names = [frame.id for frame in mattes.frames]
    expected, remedy = {"face": (len(names), FACE_POINTS, 3), "pose": (len(names), POSE_POINTS, 3)}, "remove it, then run again"
    finds = [load_npz(file, expected, remedy=remedy) for file in looked]
    face, pose = (np.stack([found.pop(which) for found in finds], axis=1) for which in ("face", "pose"))
    gates = settings.face_gate * _size(face), settings.pose_gate * max(max(c.width, c.height) for c in images.cameras)
    face, pose, face3d, pose3d, dropped = _agree(face, pose, images.cameras, gates, threads)
    guided = _look_again(images, mattes, names, face, pose, face3d, pose3d, settings, threads)
    if guided.any():
        face, pose, _, _, again = _agree(face, pose, images.cameras, gates, threads)
        guided -= again
    return Keypoints(face, pose, np.maximum(guided, 0), dropped)


def _chunks(frames: int, wanted: int, pose_stride: int) -> list[slice]:
    """About so many chunks of a camera's frames, for as many processes. Each begins at a multiple of the stride, which counts from there: the pictures that
    are searched for a body are the same however many chunks there are."""
    step = pose_stride * max(1, math.ceil(frames / max(wanted, 1) / pose_stride))
    return [slice(start, start + step) for start in range(0, frames, step)]


def _agree(face: np.ndarray, pose: np.ndarray, cameras: Sequence[Camera], gates_px: tuple[float, float], threads: int) -> tuple[np.ndarray, ...]:
    """Without contradictions: face, pose, their points in space (see `drop_contradictions`), and how many finds of each camera [C] that cost."""
    jobs = [(points, cameras, gate) for points, gate in zip((face, pose), gates_px)]
    faces, poses = in_blocks(drop_contradictions, jobs, len(cameras), threads, "keypoints, compared")
    dropped = sum((_found(before) & ~_found(after)).sum(0) for before, after in ((face, faces[0]), (pose, poses[0])))
    return faces[0], poses[0], faces[1], poses[1], dropped


def _size(faces: np.ndarray) -> float:
    """Median longer side in pixels of the boxes around all finds [F, C, 478, 3]; 0 where there is none."""
    found = faces[_found(faces)][..., :2]
    return float(np.median(np.ptp(found, axis=1).max(-1))) if len(found) else 0.0


def _found(points: np.ndarray) -> np.ndarray:
    """[F, C] bool."""
    return np.isfinite(points[..., 0]).any(-1)


def _look_again(
    images: ImageSet,
    mattes: ImageSet,
    names: list[str],
    face: np.ndarray,
    pose: np.ndarray,
    face3d: np.ndarray,
    pose3d: np.ndarray,
    settings: KeypointsSettings,
    threads: int,
) -> np.ndarray:
    """Fill in, in place, what cameras find where others point them to; how many finds that makes per camera [C]."""
    jobs, looking = [], []
    for index, camera in enumerate(images.cameras):
        wanted_faces = {n: c for n, c, there in zip(names, face_crops(face3d, pose3d[:, HEAD], camera), _found(face)[:, index]) if c and not there}
        wanted_poses = {n: c for n, c, there in zip(names, pose_crops(pose3d, camera), _found(pose)[:, index]) if c and not there}
        if wanted_faces or wanted_poses:
            looking.append(index)
            jobs.append((images.path(camera.name), mattes.path(camera.name), wanted_faces, wanted_poses, settings.minimum_score))
    guided = np.zeros(len(images.cameras), int)
    place = {name: row for row, name in enumerate(names)}
    for index, found in zip(looking, map_processes(detect_in_crops, jobs, threads, "keypoints, guided") if jobs else ()):
        for target, finds in zip((face, pose), found):
            for name, points in finds.items():
                target[place[name], index] = points
            guided[index] += len(finds)
    return guided
