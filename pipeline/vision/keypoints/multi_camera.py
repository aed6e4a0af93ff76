"""Keypoints of all cameras: detection per camera, outlier rejection, re-detection in crops given by the other cameras."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, ImageSet
from pipeline.geometry.blocks import in_blocks
from pipeline.geometry.camera_readings import Agreement, better_reading
from pipeline.geometry.spread import spread
from pipeline.geometry.time_offset import time_offsets
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.parallel import map_processes
from pipeline.vision.crops import Crop
from pipeline.vision.keypoints.cross_view import face_crops, pose_crops, reject_outliers
from pipeline.vision.keypoints.detect_per_camera import detect_camera, detect_in_crops
from pipeline.vision.mediapipe_indices import FACE_POINTS, HEAD, POSE_POINTS
from pipeline.vision.settings import KeypointsSettings

READING_FRAMES, READING_POINTS = 20, 30  # how many say how the calibration is to be read
OFFSET_FRAMES = 150  # at most say whether a camera is ahead of the others


@dataclass(frozen=True)
class Keypoints:
    """Detections of F frames in C cameras.

    Attributes:
        face: [F, C, 478, 3] float32: x, y in pixels, score; nan without a detection.
        pose: [F, C, 33, 3] float32, the same.
        redetected: [C] number of detections, faces and poses, found in crops given by the other cameras.
        dropped: [C] number of detections rejected as outliers.
        faces_found, faces_dropped: [C] number of faces that the detector found, and of those that were rejected.
        reading: another reading of the calibration under which the cameras agree, where they do not as it is (see `better_reading`).
        ahead: [C] number of frames by which a camera's video is ahead of the others (see `time_offsets`).
    """

    face: np.ndarray
    pose: np.ndarray
    redetected: np.ndarray
    dropped: np.ndarray
    faces_found: np.ndarray
    faces_dropped: np.ndarray
    reading: tuple[str, Agreement] | None
    ahead: np.ndarray


def detect_cameras(
    images: ImageSet,
    mattes: ImageSet,
    minimum_score: float,
    pose_stride: int,
    folder: Path,
    threads: int,
    part: slice | None = None,
) -> list[Path]:
    """Detect face and body in every camera on its own. Cameras whose file exists in `folder` are skipped.

    Args:
        images, mattes: images and mattes of the same cameras; the frames are those of `mattes`.
        minimum_score: detection confidence.
        pose_stride: 1 detects the body in every frame.
        part: only these cameras.

    Returns:
        a file per camera, in their order: face [F, 478, 3] and pose [F, 33, 3], see `detect_camera`.
    """
    names = [frame.id for frame in mattes.frames]
    cameras = [camera.name for camera in images.cameras[part or slice(None)]]
    files = [folder / f"{name}.npz" for name in cameras]
    missing = [index for index, file in enumerate(files) if not file.is_file()]
    chunks = _chunks(len(names), round(threads / max(len(missing), 1)), pose_stride)
    archives = [(images.open(cameras[index]).path, mattes.open(cameras[index]).path) for index in missing]
    jobs = [(*paths, names[chunk], pose_stride, minimum_score) for paths in archives for chunk in chunks]
    detections: dict[int, dict[int, tuple[np.ndarray, np.ndarray]]] = defaultdict(dict)

    def save_complete_camera(job: int, face_and_pose: tuple[np.ndarray, np.ndarray]) -> None:
        index, chunk = missing[job // len(chunks)], job % len(chunks)
        detections[index][chunk] = face_and_pose
        if len(detections[index]) == len(chunks):
            face, pose = (np.concatenate([detections[index][k][which] for k in range(len(chunks))]) for which in (0, 1))
            save_npz(files[index], {"face": face, "pose": pose}, compress=False)
            del detections[index]

    if jobs:
        map_processes(detect_camera, jobs, threads, "cameras", save_complete_camera)
    return files


def combine_cameras(
    images: ImageSet,
    mattes: ImageSet,
    settings: KeypointsSettings,
    files: Sequence[Path],
    threads: int,
    convention: str = "",
) -> Keypoints:
    """Keypoints of every matted frame in every camera. convention: how the calibration was read.

    files: those of `detect_cameras`. Raises InputError where one is damaged.
    """
    names = [frame.id for frame in mattes.frames]
    expected = {"face": (len(names), FACE_POINTS, 3), "pose": (len(names), POSE_POINTS, 3)}
    arrays = [load_npz(file, expected, remedy="remove it, then run again") for file in files]
    face, pose = (np.stack([camera.pop(which) for camera in arrays], axis=1) for which in ("face", "pose"))
    image_size = max(max(camera.width, camera.height) for camera in images.cameras)
    gates_px = settings.face_gate * _median_face_size(face), settings.pose_gate * image_size
    found = _detected(face)
    points, gate_px = (face, gates_px[0]) if found.any() else (pose, gates_px[1])
    reading, ahead = _reading(points, gate_px, images.cameras, convention), _ahead(points, gate_px, images.cameras, mattes.frames)
    face, pose, face3d, pose3d, dropped = _reject_outliers(face, pose, images.cameras, gates_px, threads)
    faces_dropped = (found & ~_detected(face)).sum(0)
    redetected = _redetect(images, mattes, names, face, pose, face3d, pose3d, settings, threads)
    if redetected.any():
        face, pose, _, _, rejected = _reject_outliers(face, pose, images.cameras, gates_px, threads)
        redetected -= rejected
    return Keypoints(face, pose, np.maximum(redetected, 0), dropped, found.sum(0), faces_dropped, reading, ahead)


def _reading(points: np.ndarray, gate_px: float, cameras: Sequence[Camera], convention: str) -> tuple[str, Agreement] | None:
    """`better_reading` on some of the points [F, C, N, 3] of the frames that several cameras see."""
    several = np.flatnonzero(_detected(points).sum(1) > 1)
    if not len(several):
        return None
    frames = several[spread(len(several), READING_FRAMES)]
    some = points[frames][:, :, :: max(1, points.shape[2] // READING_POINTS), :2].swapaxes(0, 1).reshape(len(cameras), -1, 2)
    K, R, t = (np.stack([getattr(camera, name) for camera in cameras]) for name in ("K", "R", "t"))
    return better_reading(some.astype(np.float64), K, R, t, gate_px, convention or "opencv")


def _ahead(points: np.ndarray, gate_px: float, cameras: Sequence[Camera], frames: Sequence[Frame]) -> np.ndarray:
    """`time_offsets` of some of the points [F, C, N, 3], of the longest sequence: [C] frames of the videos."""
    longest = Counter(frame.sequence for frame in frames).most_common(1)[0][0]
    rows = np.array([row for row, frame in enumerate(frames) if frame.sequence == longest])
    numbers = np.array([frames[row].frame for row in rows])
    step = int(np.median(np.diff(numbers))) if len(numbers) > 1 else 1
    places = (numbers - numbers[0]) / step
    even = (places == places.round()) & (places < OFFSET_FRAMES)
    chosen = points[rows[even], :, :: max(1, points.shape[2] // READING_POINTS), :2].swapaxes(0, 1)
    tracks = np.full((len(cameras), int(places[even].max()) + 1, *chosen.shape[2:]), np.nan)
    tracks[:, places[even].astype(int)] = chosen
    return step * time_offsets(tracks, np.stack([camera.projection for camera in cameras]), gate_px)


def _chunks(frames: int, count: int, pose_stride: int) -> list[slice]:
    """About `count` chunks of a camera's frames, for as many processes.

    Each begins at a multiple of the stride, which counts from there: the images in which the body is detected do not
    depend on the number of chunks.
    """
    step = pose_stride * max(1, math.ceil(frames / max(count, 1) / pose_stride))
    return [slice(start, start + step) for start in range(0, frames, step)]


def _reject_outliers(
    face: np.ndarray,
    pose: np.ndarray,
    cameras: Sequence[Camera],
    gates_px: tuple[float, float],
    threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """face and pose without outliers, their triangulated points (see `reject_outliers`), number dropped per camera [C]."""
    jobs = [(points, cameras, gate) for points, gate in zip((face, pose), gates_px)]
    (kept_face, face3d), (kept_pose, pose3d) = in_blocks(reject_outliers, jobs, len(cameras), threads, "blocks of frames, compared")
    dropped = sum((_detected(before) & ~_detected(after)).sum(0) for before, after in ((face, kept_face), (pose, kept_pose)))
    return kept_face, kept_pose, face3d, pose3d, np.asarray(dropped)


def _median_face_size(faces: np.ndarray) -> float:
    """Median longer side in pixels of the bounding boxes of all detected faces [F, C, 478, 3]; 0 without any."""
    points = faces[_detected(faces)][..., :2]
    return float(np.median(np.ptp(points, axis=1).max(-1))) if len(points) else 0.0


def _detected(points: np.ndarray) -> np.ndarray:
    """[F, C] bool from points [F, C, N, 3]."""
    return np.isfinite(points[..., 0]).any(-1)


def _redetect(
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
    """Add detections in crops given by the other cameras to `face` and `pose`, in place.

    Returns:
        their number per camera [C].
    """
    jobs, indices = [], []
    for index, camera in enumerate(images.cameras):
        faces = _missing_crops(names, face_crops(face3d, pose3d[:, HEAD], camera), _detected(face)[:, index])
        poses = _missing_crops(names, pose_crops(pose3d, camera), _detected(pose)[:, index])
        if faces or poses:
            indices.append(index)
            jobs.append((images.path(camera.name), mattes.path(camera.name), faces, poses, settings.minimum_score))
    redetected = np.zeros(len(images.cameras), int)
    row = {name: f for f, name in enumerate(names)}
    results = map_processes(detect_in_crops, jobs, threads, "cameras, second detection") if jobs else []
    for index, detections in zip(indices, results):
        for target, by_name in zip((face, pose), detections):
            for name, points in by_name.items():
                target[row[name], index] = points
            redetected[index] += len(by_name)
    return redetected


def _missing_crops(names: list[str], crops: list[Crop | None], detected: np.ndarray) -> dict[str, Crop]:
    """Frame id -> crop where a camera has a crop and no detection."""
    return {name: crop for name, crop, done in zip(names, crops, detected) if crop and not done}
