"""An avatar posed and drawn on a GPU by replaying one CUDA graph: the host only says which frame and which cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.capture.camera import Camera
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.splats import Views
from pipeline.training.contract import Avatar, Rendering
from pipeline.training.cuda_graph import CudaGraphStep

CHECK_EVERY = 64  # calls that the host may be ahead; where views have more (splat, tile) pairs than there is room for, images since the last check lack some


class Replay:
    """Draws tracked frames of an avatar, `views` cameras at a time, all with the intrinsics of one camera.

    The tensors that a call returns are overwritten by the next one.
    """

    def __init__(self, avatar: Avatar, camera: Camera, views: int, device: torch.device, subject: int = 0):
        self._avatar, self._subject, self._calls = avatar, subject, 0
        self._host = torch.zeros(CHECK_EVERY, 1 + 12 * views, pin_memory=device.type == "cuda")  # a row is read when the GPU gets there
        self._numbers = self._host.numpy()
        self._inputs = torch.zeros(1 + 12 * views, device=device)
        K = torch.as_tensor(camera.K, dtype=torch.float32, device=device).expand(views, 3, 3).contiguous()
        poses = self._inputs[1:].view(views, 12)
        self._views = Views(K, poses[:, :9].view(views, 3, 3), poses[:, 9:], camera.width, camera.height)
        self._workspace = Workspace(device)
        self._run = CudaGraphStep(self._draw, device)
        self._drawn: Rendering | None = None

    @torch.no_grad()
    def __call__(self, frame: int, cameras: Sequence[Camera]) -> Rendering:
        """The avatar at a frame, seen by as many cameras as it was made for."""
        row = self._calls % CHECK_EVERY
        self._numbers[row, 0] = frame
        self._numbers[row, 1:] = np.concatenate([np.concatenate([camera.R.ravel(), camera.t]) for camera in cameras])
        self._inputs.copy_(self._host[row], non_blocking=True)
        self._run(self._workspace.capacity)
        self._calls += 1
        if self._calls % CHECK_EVERY == 0 and int(self._workspace.overflowed):  # waits for the GPU
            self._workspace.grow()
        assert self._drawn is not None
        return self._drawn

    def _draw(self) -> None:
        state = self._avatar.pose(self._inputs[0].long(), self._subject)
        self._drawn = self._avatar.draw(state, self._views, self._workspace)
