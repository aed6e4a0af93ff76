"""MediaPipe's face mesh and body pose on single images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pipeline.vision.crops import Crop
from pipeline.vision.mediapipe_indices import (
    CHIN,
    FOREHEAD,
    LEFT_EYE,
    LEFT_IRIS,
    LEFT_OUTER_CORNER,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIGHT_OUTER_CORNER,
)
from pipeline.vision.mediapipe_quiet import quiet_mediapipe

FACE_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"


class MediaPipeDetector:
    """Both networks in static mode: in video mode results depend on earlier images."""

    def __init__(self, minimum_score: float):
        with quiet_mediapipe() as mediapipe:
            self._pose = mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1, min_detection_confidence=minimum_score)
            self._face = _face_mesh_with_scores(minimum_score)
            blank = np.zeros((64, 64, 3), np.uint8)
            self._pose.process(blank)  # the first call loads the networks and logs
            self._face.process(input_data={"image": blank})
            self._triangles = _triangles(mediapipe.solutions.face_mesh_connections.FACEMESH_TESSELATION)

    def face(self, image: np.ndarray, crop: Crop | None = None, pixels: int = 0) -> np.ndarray | None:
        """Face points [478, 3]: x, y in pixels of the image, score; None without a detection.

        MediaPipe has no score per point. The score here is that of the face detection times how far the surface at the
        point faces the camera: the network guesses back-facing points.

        Args:
            image: [H, W, 3] uint8.
            crop: detect only there, resampled to `pixels` x `pixels`.
        """
        view = image if crop is None else crop.cut(image, pixels)
        result = self._face.process(input_data={"image": np.ascontiguousarray(view)})
        if not result.multi_face_landmarks:
            return None
        points = _in_pixels(result.multi_face_landmarks[0].landmark, view.shape)
        detection = max((d.score[0] for d in result.face_detections or ()), default=0.5)
        score = detection * np.clip(facing_cosine(points, self._triangles) + 0.25, 0.05, 1.0)
        return np.column_stack([_to_image(points[:, :2], crop, pixels), score]).astype(np.float32)

    def pose(self, image: np.ndarray, crop: Crop | None = None, pixels: int = 0) -> np.ndarray | None:
        """Body points [33, 3]: x, y in pixels of the image (may lie outside it), visibility; None without a detection.

        Arguments as in `face`.
        """
        view = image if crop is None else crop.cut(image, pixels)
        result = self._pose.process(np.ascontiguousarray(view))
        if not result.pose_landmarks:
            return None
        landmarks = result.pose_landmarks.landmark
        points = _in_pixels(landmarks, view.shape)
        visibility = [landmark.visibility for landmark in landmarks]
        return np.column_stack([_to_image(points[:, :2], crop, pixels), visibility]).astype(np.float32)


def facing_cosine(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Cosine [N] between the face mesh's normal at each point and the direction to the camera; negative: back-facing.

    Irises belong to no triangle and take the mean of the eye around them.

    Args:
        points: [478, 3], x right, y down, z away from the camera.
        triangles: [T, 3].
    """
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across, up = points[LEFT_OUTER_CORNER] - points[RIGHT_OUTER_CORNER], points[FOREHEAD] - points[CHIN]
    ahead = np.cross(across, up)
    behind_face = 0.6 * np.linalg.norm(up) * ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    head_centre = points[:468].mean(0) - behind_face
    outward = np.einsum("tc,tc->t", normals, corners.mean(1) - head_centre)
    normals *= np.sign(outward)[:, None]
    point_normals = np.zeros_like(points)
    np.add.at(point_normals, triangles.ravel(), np.repeat(normals, 3, axis=0))
    cosine = -point_normals[:, 2] / np.maximum(np.linalg.norm(point_normals, axis=1), 1e-9)
    cosine[RIGHT_IRIS] = cosine[RIGHT_EYE].mean()
    cosine[LEFT_IRIS] = cosine[LEFT_EYE].mean()
    return cosine


def _triangles(edges: frozenset[tuple[int, int]]) -> np.ndarray:
    """[T, 3] triangles of the face mesh, which MediaPipe gives as a set of edges: three points with all edges between them."""
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    triangles = {tuple(sorted((a, b, c))) for a in neighbours for b in neighbours[a] for c in neighbours[a] & neighbours[b]}
    return np.array(sorted(triangles))


def _face_mesh_with_scores(minimum_score: float) -> Any:
    """The graph of mediapipe.solutions.face_mesh, static and with irises, that also outputs the score of its detection."""
    from mediapipe.python.solution_base import SolutionBase
    from mediapipe.python.solutions import face_mesh  # noqa: F401  (registers the calculators of the graph)

    detector = "facedetectionshortrangecpu__facedetectionshortrange__facedetection__TensorsToDetectionsCalculator"
    return SolutionBase(
        binary_graph_path=FACE_GRAPH,
        side_inputs={"num_faces": 1, "with_attention": True, "use_prev_landmarks": False},
        calculator_params={
            f"{detector}.min_score_thresh": minimum_score,
            "facelandmarkcpu__ThresholdingCalculator.threshold": minimum_score,
        },
        outputs=["multi_face_landmarks", "face_detections"],
    )


def _in_pixels(landmarks: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray:
    """[N, 3] in pixels of MediaPipe's normalised landmarks; z, relative depth, has the scale of x."""
    return np.array([(landmark.x, landmark.y, landmark.z) for landmark in landmarks]) * [shape[1], shape[0], shape[1]]


def _to_image(points: np.ndarray, crop: Crop | None, pixels: int) -> np.ndarray:
    return points if crop is None else crop.to_image(points, pixels)
