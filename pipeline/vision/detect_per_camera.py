"""Face and body points in the pictures of one camera: the whole picture first, then closer looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.io.packed import PackedImages
from pipeline.vision.crops import Crop, box_crop, head_crop, upright_crop
from pipeline.vision.mediapipe_points import FACE_POINTS, POSE_POINTS, MediaPipePoints

FACE_PIXELS, BODY_PIXELS = 256, 512  # sizes of enlarged crops; the networks see 192 and 256 pixels of them
INSIDE_MATTE = 0.5  # share of a find's points that must lie on the subject
SMALL_FACE, CLOSER = 0.25, 1.35
"""A face that takes less than this share of the picture's longer side is looked at again, alone: the detector sees 128 pixels of the picture, and what it
makes of a face of 30 decides where the mesh is put. The crop is the face's box, upright, times the second number."""


@lru_cache(maxsize=1)
def _networks(minimum_score: float) -> MediaPipePoints:
    """One set per process: making them costs a second."""
    cv2.setNumThreads(1)
    return MediaPipePoints(minimum_score)


def detect_camera(frames: Path, mattes: Path, names: Sequence[str], pose_stride: int, minimum_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Look for face and body in every picture of one camera.

    Args:
        frames, mattes: packed zips of the pictures and of their RGBA mattes.
        pose_stride: the body is looked for in every n-th picture and where the whole picture shows no face.

    Returns:
        face [F, 478, 3] and pose [F, 33, 3] float32: x, y in pixels, score; nan where nothing was found.
    """
    networks, images, alphas = _networks(minimum_score), PackedImages(frames), PackedImages(mattes)
    faces, poses = _nothing(len(names))
    for index, name in enumerate(names):
        image, alpha = images.read(name), alphas.read(name)[..., 3]
        face = on_subject(networks.face(image), alpha)
        pose = _find_pose(networks, image, alpha) if face is None or index % pose_stride == 0 else None
        if face is None and pose is not None:
            head = head_crop(pose)
            face = None if head is None else on_subject(networks.face(image, head, FACE_PIXELS), alpha)
        if face is not None:
            faces[index] = look_closer(networks, image, alpha, face)
        if pose is not None:
            poses[index] = pose
    return faces, poses


def detect_in_crops(frames: Path, mattes: Path, face_crops: Mapping[str, Crop], pose_crops: Mapping[str, Crop], minimum_score: float) -> tuple[dict, dict]:
    """Look where other cameras say that something is: {name: points} of faces and of poses found in the crops of one camera."""
    networks, images, alphas = _networks(minimum_score), PackedImages(frames), PackedImages(mattes)
    faces, poses = {}, {}
    for name, crop in face_crops.items():
        image, alpha = images.read(name), alphas.read(name)[..., 3]
        face = on_subject(networks.face(image, crop, FACE_PIXELS), alpha)
        faces[name] = None if face is None else look_closer(networks, image, alpha, face)
    for name, crop in pose_crops.items():
        poses[name] = on_subject(networks.pose(images.read(name), crop, BODY_PIXELS), alphas.read(name)[..., 3])
    return {k: v for k, v in faces.items() if v is not None}, {k: v for k, v in poses.items() if v is not None}


def look_closer(networks: MediaPipePoints, image: np.ndarray, alpha: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The points [478, 3] of a small face as an upright crop around it shows them; of a large face, or where the crop shows none, those given."""
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    if (high - low).max() >= SMALL_FACE * max(alpha.shape):
        return face
    again = on_subject(networks.face(image, upright_crop(face, CLOSER), FACE_PIXELS), alpha)
    if again is None or np.linalg.norm(np.median(again[:, :2] - face[:, :2], axis=0)) > (high - low).max() / 4:  # another face in the crop
        return face
    return again


def on_subject(points: np.ndarray | None, alpha: np.ndarray) -> np.ndarray | None:
    """The points [N, 3], or None where they lie beside the subject's matte [H, W]: a bystander, a picture on the wall."""
    if points is None:
        return None
    height, width = alpha.shape
    x, y = np.floor(points[:, :2]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    sure = inside & (points[:, 2] > 0.3 * points[:, 2].max())
    if sure.sum() < 3:
        return None
    # a pose's joints may sit a little outside of a thin limb
    margin = max(width, height) // 100
    near = cv2.dilate(alpha, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    return points if (near[y[sure], x[sure]] > 127).mean() >= INSIDE_MATTE else None


def _find_pose(networks: MediaPipePoints, image: np.ndarray, alpha: np.ndarray) -> np.ndarray | None:
    pose = on_subject(networks.pose(image), alpha)
    if pose is not None or not (alpha > 127).any():
        return pose
    rows, columns = np.nonzero(alpha > 127)
    crop = box_crop(np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]], float), 1.25)
    near = cv2.dilate(alpha, np.ones((15, 15), np.uint8)) > 0
    alone = np.where(near[..., None], image, 128).astype(np.uint8)  # without the surroundings nobody else can be found
    return on_subject(networks.pose(alone, crop, BODY_PIXELS), alpha)


def _nothing(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((count, FACE_POINTS, 3), np.nan, np.float32), np.full((count, POSE_POINTS, 3), np.nan, np.float32)
