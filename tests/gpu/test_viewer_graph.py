"""On a GPU the viewer draws by replaying graphs: the same images as without, for every pose, camera, size and option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.captured import KEPT, CapturedAvatar
from pipeline.avatars.view import view_image
from pipeline.avatars.view_options import ViewOptions
from pipeline.capture.camera import Camera
from tests.unit import rigged_toy as toy

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
DEVICE = torch.device("cuda")


def closer(camera: Camera, times: int) -> Camera:
    """The camera with an image so many times as large, so that splats cover many more tiles."""
    return camera.resized(times * camera.width, times * camera.height)


@torch.no_grad()
def test_replayed_images_are_those_that_are_drawn_anew():
    avatar = toy.avatar(device="cuda").eval()
    captured, body = CapturedAvatar(avatar, 0, DEVICE), avatar.body_of(0)
    cameras = [*toy.cameras(3), *(closer(camera, 8) for camera in toy.cameras(2))]
    pose = body.pose_at(1)
    opened = replace(pose, expression=pose.expression + 1, rotations=pose.rotations - 0.3)
    options = [
        ViewOptions(),
        ViewOptions(scale=0.4, background=(9, 90, 9)),
        ViewOptions(splats="depth"),
        ViewOptions(mesh_opacity=0.5, mesh="counts"),
        ViewOptions("none", "counts", 1),
    ]
    seen = []
    for _ in range(3):
        for view in options:
            for frame in (0, 2, pose, opened):
                for camera in cameras:
                    image = captured.view(frame, view).image(camera)
                    assert np.array_equal(image, view_image(avatar, frame, camera, view, 0, DEVICE))
                    seen.append(image.mean())
    assert len(set(seen)) > 40 and len(captured._replays) <= KEPT
