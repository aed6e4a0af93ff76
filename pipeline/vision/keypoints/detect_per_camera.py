"""Face and body detection in the images of one camera: the whole image first, then crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.io.packed import PackedImages
from pipeline.vision.crops import Crop, box_crop, head_crop, upright_face_crop
from pipeline.vision.keypoints.mediapipe_detector import MediaPipeDetector
from pipeline.vision.mediapipe_indices import FACE_POINTS, POSE_POINTS

FACE_PIXELS, BODY_PIXELS = 256, 512  # sizes of resampled crops; the networks' inputs are 192 and 256 pixels
INSIDE_MATTE = 0.5  # fraction of a detection's points that must lie on the subject
# Faces smaller than this fraction of the image's longer side are re-detected in an upright crop: the detector sees the
# image at 128 pixels, and the mesh of a face of 30 of them is inaccurate. The crop's side is the face's times GROW.
SMALL_FACE, GROW = 0.25, 1.35


@lru_cache(maxsize=1)
def _detector(minimum_score: float) -> MediaPipeDetector:
    """One detector per process: loading the networks takes a second."""
    cv2.setNumThreads(1)
    return MediaPipeDetector(minimum_score)


def detect_camera(
    frames: Path,
    mattes: Path,
    names: Sequence[str],
    pose_stride: int,
    minimum_score: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Detect face and body in every image of one camera.

    Args:
        frames, mattes: packed zips of the images and of their RGBA mattes.
        names: [F] frame ids.
        pose_stride: the body is detected in every n-th image and where the whole image shows no face.

    Returns:
        face [F, 478, 3] and pose [F, 33, 3] float32: x, y in pixels, score; nan without a detection.
    """
    detector, images, alphas = _detector(minimum_score), PackedImages(frames), PackedImages(mattes)
    faces = np.full((len(names), FACE_POINTS, 3), np.nan, np.float32)
    poses = np.full((len(names), POSE_POINTS, 3), np.nan, np.float32)
    for index, name in enumerate(names):
        image, alpha = images.read(name), alphas.read(name)[..., 3]
        face = on_subject(detector.face(image), alpha)
        pose = _detect_pose(detector, image, alpha) if face is None or index % pose_stride == 0 else None
        if face is None and pose is not None:
            head = head_crop(pose)
            face = None if head is None else on_subject(detector.face(image, head, FACE_PIXELS), alpha)
        if face is not None:
            faces[index] = redetect_small_face(detector, image, alpha, face)
        if pose is not None:
            poses[index] = pose
    return faces, poses


def detect_in_crops(
    frames: Path,
    mattes: Path,
    face_crops: Mapping[str, Crop],
    pose_crops: Mapping[str, Crop],
    minimum_score: float,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Detect faces and poses of one camera in crops.

    Args:
        frames, mattes: packed zips of the images and of their RGBA mattes.
        face_crops, pose_crops: frame id -> crop.

    Returns:
        faces {frame id: [478, 3]} and poses {frame id: [33, 3]}; frames without a detection are absent.
    """
    detector, images, alphas = _detector(minimum_score), PackedImages(frames), PackedImages(mattes)
    faces, poses = {}, {}
    for name, crop in face_crops.items():
        image, alpha = images.read(name), alphas.read(name)[..., 3]
        face = on_subject(detector.face(image, crop, FACE_PIXELS), alpha)
        if face is not None:
            faces[name] = redetect_small_face(detector, image, alpha, face)
    for name, crop in pose_crops.items():
        pose = on_subject(detector.pose(images.read(name), crop, BODY_PIXELS), alphas.read(name)[..., 3])
        if pose is not None:
            poses[name] = pose
    return faces, poses


def redetect_small_face(
    detector: MediaPipeDetector,
    image: np.ndarray,
    alpha: np.ndarray,
    face: np.ndarray,
) -> np.ndarray:
    """Face points [478, 3] re-detected in an upright crop.

    `face` itself where it is large, or where the crop shows no or another face.
    """
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    size = (high - low).max()
    if size >= SMALL_FACE * max(alpha.shape):
        return face
    refined = on_subject(detector.face(image, upright_face_crop(face, GROW), FACE_PIXELS), alpha)
    if refined is None or np.linalg.norm(np.median(refined[:, :2] - face[:, :2], axis=0)) > size / 4:
        return face
    return refined


def on_subject(points: np.ndarray | None, alpha: np.ndarray) -> np.ndarray | None:
    """The points [N, 3] of a detection; None where they lie outside the subject's matte [H, W]: a bystander, a poster."""
    if points is None:
        return None
    height, width = alpha.shape
    x, y = np.floor(points[:, :2]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    certain = inside & (points[:, 2] > 0.3 * points[:, 2].max())
    if certain.sum() < 3:
        return None
    # the joints of a pose may lie slightly outside a thin limb
    margin = max(width, height) // 100
    near = cv2.dilate(alpha, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    return points if (near[y[certain], x[certain]] > 127).mean() >= INSIDE_MATTE else None


def _detect_pose(detector: MediaPipeDetector, image: np.ndarray, alpha: np.ndarray) -> np.ndarray | None:
    """Pose [33, 3] in the whole image, else in a crop of the subject before grey, without bystanders."""
    pose = on_subject(detector.pose(image), alpha)
    if pose is not None or not (alpha > 127).any():
        return pose
    rows, columns = np.nonzero(alpha > 127)
    crop = box_crop(np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]], float), 1.25)
    near = cv2.dilate(alpha, np.ones((15, 15), np.uint8)) > 0
    subject = np.where(near[..., None], image, 128).astype(np.uint8)
    return on_subject(detector.pose(subject, crop, BODY_PIXELS), alpha)
