"""MediaPipe's face mesh and body pose on single pictures."""

from __future__ import annotations

import numpy as np

from pipeline.vision.crops import Crop
from pipeline.vision.mediapipe_quiet import quiet_mediapipe

FACE_POINTS, POSE_POINTS = 478, 33
FACE_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"


class MediaPipePoints:
    """Both networks, in the mode for unrelated pictures: in video mode every call would depend on the ones before."""

    def __init__(self, minimum_score: float):
        with quiet_mediapipe() as mediapipe:
            self._pose = mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1, min_detection_confidence=minimum_score)
            self._face = _face_mesh_with_scores(minimum_score)
            blank = np.zeros((64, 64, 3), np.uint8)
            self._pose.process(blank)  # the first call loads the networks, with remarks
            self._face.process(input_data={"image": blank})
            self._triangles = _triangles(mediapipe.solutions.face_mesh_connections.FACEMESH_TESSELATION)

    def face(self, image: np.ndarray, crop: Crop | None = None, pixels: int = 0) -> np.ndarray | None:
        """Face points [478, 3]: x, y in pixels of the picture, score; None where no face is found.

        MediaPipe scores no point. The score here is that of the face detection times how far the point's surface turns to the camera: points on the
        averted side of a head are the network's guess.

        Args:
            image: [H, W, 3] uint8. crop: look only there, resampled to `pixels` x `pixels`.
        """
        view = image if crop is None else crop.cut(image, pixels)
        result = self._face.process(input_data={"image": np.ascontiguousarray(view)})
        if not result.multi_face_landmarks:
            return None
        points = _pixels(result.multi_face_landmarks[0].landmark, view.shape)
        detection = max((d.score[0] for d in result.face_detections or ()), default=0.5)
        score = detection * np.clip(facing(points, self._triangles) + 0.25, 0.05, 1.0)
        return np.column_stack([_back(points[:, :2], crop, pixels), score]).astype(np.float32)

    def pose(self, image: np.ndarray, crop: Crop | None = None, pixels: int = 0) -> np.ndarray | None:
        """Body points [33, 3]: x, y in pixels of the picture (also outside of it), visibility; None where nobody is found."""
        view = image if crop is None else crop.cut(image, pixels)
        result = self._pose.process(np.ascontiguousarray(view))
        if not result.pose_landmarks:
            return None
        marks = result.pose_landmarks.landmark
        points = _pixels(marks, view.shape)
        return np.column_stack([_back(points[:, :2], crop, pixels), [mark.visibility for mark in marks]]).astype(np.float32)


def facing(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How far each point [N, 3] (x right, y down, z away) of the face mesh turns to the camera: cosine, 1 head-on, negative averted.

    Irises, which belong to no triangle, take the eyes' place: the mean of all points within their own radius.
    """
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across, up = points[263] - points[33], points[10] - points[152]  # outer eye corners; forehead over chin
    ahead = np.cross(across, up)
    middle = points[:468].mean(0) - 0.6 * np.linalg.norm(up) * ahead / max(float(np.linalg.norm(ahead)), 1e-9)  # of the head
    outward = np.einsum("tc,tc->t", normals, corners.mean(1) - middle)
    normals *= np.sign(outward)[:, None]
    at_points = np.zeros_like(points)
    np.add.at(at_points, triangles.ravel(), np.repeat(normals, 3, axis=0))
    cosine = -at_points[:, 2] / np.maximum(np.linalg.norm(at_points, axis=1), 1e-9)
    for eye, iris in ((_EYES[0], slice(468, 473)), (_EYES[1], slice(473, 478))):
        cosine[iris] = cosine[list(eye)].mean()
    return cosine


_EYES = ((33, 133, 159, 145), (263, 362, 386, 374))  # corners and lids of the eyes that irises 468-472 and 473-477 lie in


def _triangles(edges: frozenset[tuple[int, int]]) -> np.ndarray:
    """[T, 3] triangles of the face mesh, which MediaPipe gives as a set of edges: three points with all edges between them."""
    near: dict[int, set[int]] = {}
    for a, b in edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    return np.array(sorted({tuple(sorted((a, b, c))) for a in near for b in near[a] for c in near[a] & near[b]}))


def _face_mesh_with_scores(minimum_score: float):  # noqa: ANN202  (a MediaPipe solution, imported only here)
    """The graph of mediapipe.solutions.face_mesh, static and with irises, that also hands out the score of its detection."""
    from mediapipe.python.solution_base import SolutionBase
    from mediapipe.python.solutions import face_mesh  # noqa: F401  (registers the calculators of the graph)

    detector = "facedetectionshortrangecpu__facedetectionshortrange__facedetection__TensorsToDetectionsCalculator.min_score_thresh"
    return SolutionBase(
        binary_graph_path=FACE_GRAPH,
        side_inputs={"num_faces": 1, "with_attention": True, "use_prev_landmarks": False},
        calculator_params={detector: minimum_score, "facelandmarkcpu__ThresholdingCalculator.threshold": minimum_score},
        outputs=["multi_face_landmarks", "face_detections"],
    )


def _pixels(marks, shape: tuple[int, ...]) -> np.ndarray:  # noqa: ANN001  (protobuf)
    """[N, 3] in pixels; z, relative depth, has MediaPipe's scale of x."""
    return np.array([(mark.x, mark.y, mark.z) for mark in marks]) * [shape[1], shape[0], shape[1]]


def _back(points: np.ndarray, crop: Crop | None, pixels: int) -> np.ndarray:
    return points if crop is None else crop.to_picture(points, pixels)
