"""Where the viewer's camera stands at first, and which way is up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.avatars.orbit import look_at, orbit
from pipeline.capture.camera import Camera
from pipeline.training.contract import AvatarBody
from pipeline.viewer.opened import OpenedAvatar
from pipeline.viewer.viewpoint import Viewpoint

FOV = np.radians(20.0)
MARGIN = 1.3  # of the image around what is shown


@dataclass(frozen=True, eq=False)
class Home:
    """viewpoint: the first one. target: [3] what it looks at. up: [3] unit vector. width: metres that the avatar takes beside others."""

    viewpoint: Viewpoint
    target: np.ndarray
    up: np.ndarray
    width: float


@torch.no_grad()
def home_of(opened: OpenedAvatar) -> Home:
    """In front of the avatar: among its capture's cameras, or without any where its body faces."""
    state = opened.avatar.pose(0, opened.subject)
    centre, size = opened.avatar.centre(state), _size(state)
    if opened.cameras:
        front = orbit(opened.cameras, centre, 1, 0)[0]
        return Home(Viewpoint.of(front), centre, -front.R[1], size)
    up, forward = _axes(opened.avatar.body_of(opened.subject))
    distance = MARGIN * size / 2 / np.tan(FOV / 2)
    template = Camera("home", 100, 100, np.eye(3), np.eye(3), np.zeros(3))
    place = Viewpoint.of(look_at(template, centre + distance * forward, centre, up))
    return Home(Viewpoint(place.position, place.wxyz, FOV), centre, up, size)


def _size(state: object) -> float:
    """The greatest side of the box around nearly all splats, metres; half a metre where there are none to ask."""
    splats = getattr(state, "splats", None)
    if splats is None:
        return 0.5
    points = splats.means.double().cpu().numpy()
    low, high = np.percentile(points, (0.5, 99.5), axis=0)
    return max(float((high - low).max()), 1e-3)


def _axes(body: AvatarBody | None) -> tuple[np.ndarray, np.ndarray]:
    """Up and forward of a body at its first frame: from the root to the head, and from the head to the eyes. Where it has neither: z, and towards y."""
    up, forward = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
    if body is None:
        return up, forward
    model, pose = body.shaped, body.pose_at(0)
    posed = model.pose_vertices(model.zeros(1)["identity"], pose.expression[None], pose.rotations[None], pose.translation[None], body.scale)
    joints = posed.joints[0].double().cpu().numpy()
    named = {word: [joint for name, joint in zip(model.joint_names, joints) if word in name.lower()] for word in ("head", "eye", "neck")}
    head = next((np.mean(named[word], axis=0) for word in ("head", "eye", "neck") if named[word]), joints[-1])
    if (length := np.linalg.norm(head - joints[0])) > 1e-6:
        up = (head - joints[0]) / length
    ahead = (np.mean(named["eye"], axis=0) if named["eye"] else head) - (head if named["head"] else joints[0])
    ahead = ahead - up * (ahead @ up)
    if np.linalg.norm(ahead) < 1e-6:
        ahead = np.cross(up, [1.0, 0.0, 0.0] if abs(up[0]) < 0.9 else [0.0, 1.0, 0.0])
    return up, ahead / np.linalg.norm(ahead)
