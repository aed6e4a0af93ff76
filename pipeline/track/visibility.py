"""How well the cameras see each landmark, and how far the fit is from what they saw."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.mesh.topology import vertex_normals
from pipeline.track.gauss_newton_body import Rig, State
from pipeline.track.landmarks import Landmarks
from pipeline.track.observe import Observations
from pipeline.track.residuals import project_with_jacobian

TURNED_POWER = 2
SLANT = (-0.05, 0.30)
VISIBLE_COSINE = 0.3


def facing(rig: Rig, landmarks: Landmarks, seen: Observations, state: State) -> tuple[np.ndarray, np.ndarray]:
    """How the face looks to the cameras; `state` and `seen` hold the same F frames.

    Returns:
        cosine [F, C, L] between the skin at each landmark and the way to the camera, and trust [F, C, L] in a detection, 0 to 1: less for skin seen at
        a slant and in faces seen from the side, where a detector slides along the skin. Body points count fully from everywhere.
    """
    cosine = np.ones((state.frames, len(seen.cameras), landmarks.count))
    trust = cosine.copy()
    face = landmarks.on_face
    if not face.any():
        return cosine, trust
    centres, faces = np.stack([camera.centre for camera in seen.cameras]), torch.from_numpy(rig.faces)
    for frame in range(state.frames):
        normals = landmarks.carry(vertex_normals(torch.from_numpy(rig.vertices(state, frame)), faces).numpy())[face]
        view = centres[:, None] - rig.place(rig.posed(state, frame), state, frame, landmarks.points)[face]
        view /= np.linalg.norm(view, axis=-1, keepdims=True)
        forward = normals.mean(0)
        slant = (view * normals).sum(-1)
        frontal = np.clip(view.mean(1) @ forward / np.linalg.norm(forward), 0, 1) ** TURNED_POWER
        cosine[frame][:, face] = slant
        trust[frame][:, face] = np.clip((slant - SLANT[0]) / (SLANT[1] - SLANT[0]), 0, 1) * frontal[:, None]
    return cosine, trust


def visible(rig: Rig, landmarks: Landmarks, seen: Observations, state: State) -> np.ndarray:
    """[F, C, L] bool: detections that were kept, of landmarks that face the camera."""
    return (facing(rig, landmarks, seen, state)[0] > VISIBLE_COSINE) & (seen.weight[:, :, landmarks.rows] > 0)


def residuals(rig: Rig, landmarks: Landmarks, seen: Observations, state: State) -> tuple[np.ndarray, float]:
    """Distance in pixels of the landmarks on the skin (without the learned shifts) from the detections that see them.

    Returns:
        median per camera [C] (nan where nothing is seen) and over all cameras. Only stable face landmarks count where there are any, else the body's.
    """
    counted = visible(rig, landmarks, seen, state)
    stable = counted & landmarks.stable
    counted = stable if stable.any() else counted
    error = np.empty(counted.shape)
    for frame in range(state.frames):
        world = rig.place(rig.posed(state, frame), state, frame, landmarks.points)
        pixel, _ = project_with_jacobian(seen.projections[:, None], world[None])
        error[frame] = np.linalg.norm(seen.pixels[frame][:, landmarks.rows] - pixel, axis=-1)
    per_camera = [float(np.median(error[:, c][counted[:, c]])) if counted[:, c].any() else np.nan for c in range(counted.shape[1])]
    return np.array(per_camera), float(np.median(error[counted])) if counted.any() else np.nan
