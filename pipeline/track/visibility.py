"""Visibility of landmarks in the cameras, and the reprojection error of visible ones."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.mesh.topology import vertex_normals
from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.landmarks import Landmarks
from pipeline.track.observations import Observations, median_or_nan
from pipeline.track.residuals import project_with_jacobian
from pipeline.track.state import State

# Set by hand.
FRONTAL_POWER = 2  # a face's weight falls with this power of the cosine between its direction and the camera's
COSINE_RANGE = (-0.05, 0.30)  # of a landmark: weight 0 at the first, 1 at the second, linear between
VISIBLE_COSINE = 0.3  # from which a landmark counts as visible


def facing(
    body: GaussNewtonBody,
    landmarks: Landmarks,
    observations: Observations,
    state: State,
) -> tuple[np.ndarray, np.ndarray]:
    """How landmarks face the cameras; `state` and `observations` have the same F frames.

    Returns:
        cosine [F, C, L] between the normal at each landmark and the direction to the camera, and weight [F, C, L] of a
        detection, 0 to 1: lower at grazing angles and for faces in profile, where detectors slide along the skin. Both are
        1 for body points.
    """
    cosine = np.ones((state.frames, len(observations.cameras), landmarks.count))
    weight = cosine.copy()
    face = landmarks.on_face
    if not face.any():
        return cosine, weight
    centres, faces = np.stack([camera.centre for camera in observations.cameras]), torch.from_numpy(body.faces)
    low, high = COSINE_RANGE
    for frame in range(state.frames):
        vertices = torch.from_numpy(body.vertices(state, frame))
        normals = landmarks.mean_direction(vertex_normals(vertices, faces).numpy())[face]
        points = body.pose_points(body.pose_joints(state, frame), state, frame, landmarks.points)[face]
        view = centres[:, None] - points
        view /= np.linalg.norm(view, axis=-1, keepdims=True)
        forward = normals.mean(0)
        point_cosine = (view * normals).sum(-1)
        frontal = np.clip(view.mean(1) @ forward / np.linalg.norm(forward), 0, 1) ** FRONTAL_POWER
        cosine[frame][:, face] = point_cosine
        weight[frame][:, face] = np.clip((point_cosine - low) / (high - low), 0, 1) * frontal[:, None]
    return cosine, weight


def visible(body: GaussNewtonBody, landmarks: Landmarks, observations: Observations, state: State) -> np.ndarray:
    """[F, C, L] bool: inlier detections of landmarks that face the camera."""
    cosine, _ = facing(body, landmarks, observations, state)
    return (cosine > VISIBLE_COSINE) & (observations.weight[:, :, landmarks.rows] > 0)


def facing_share(body: GaussNewtonBody, landmarks: Landmarks, observations: Observations, state: State) -> np.ndarray:
    """[C] share of the frames in which most landmarks face the camera and lie in its image."""
    cosine, _ = facing(body, landmarks, observations, state)
    size = np.array([[camera.width, camera.height] for camera in observations.cameras])[:, None]
    shares = np.empty(cosine.shape[:2])
    for frame in range(state.frames):
        world = body.pose_points(body.pose_joints(state, frame), state, frame, landmarks.points)
        pixel, _ = project_with_jacobian(observations.projections[:, None], world[None])
        shares[frame] = ((cosine[frame] > VISIBLE_COSINE) & (pixel > 0).all(-1) & (pixel < size).all(-1)).mean(-1)
    return (shares > 0.5).mean(0)


def reprojection_error(
    body: GaussNewtonBody,
    landmarks: Landmarks,
    observations: Observations,
    state: State,
) -> tuple[np.ndarray, float]:
    """Distance in pixels of visible landmarks (without landmark offsets) from their detections.

    Only stable face landmarks count where there are any, else those of the body.

    Returns:
        median per camera [C] (nan where nothing is visible) and over all cameras.
    """
    counted = visible(body, landmarks, observations, state)
    stable = counted & landmarks.stable
    counted = stable if stable.any() else counted
    error = np.empty(counted.shape)
    for frame in range(state.frames):
        world = body.pose_points(body.pose_joints(state, frame), state, frame, landmarks.points)
        pixel, _ = project_with_jacobian(observations.projections[:, None], world[None])
        error[frame] = np.linalg.norm(observations.pixels[frame][:, landmarks.rows] - pixel, axis=-1)
    per_camera = [median_or_nan(error[:, c][counted[:, c]]) for c in range(counted.shape[1])]
    return np.array(per_camera), median_or_nan(error[counted])
