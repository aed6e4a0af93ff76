"""An avatar posed and drawn on a GPU by replaying one CUDA graph: the host only says which pose and which cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.avatars.render import bytes_of, on_host
from pipeline.body.body_pose import BodyPose
from pipeline.capture.camera import Camera
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.splats import Views
from pipeline.training.contract import Avatar, Rendering
from pipeline.training.cuda_graph import CudaGraphStep

CHECK_EVERY = 64  # calls that the host may be ahead; where views have more (splat, tile) pairs than there is room for, images since the last check lack some
Background = tuple[float, float, float]
WHITE: Background = (1.0, 1.0, 1.0)
_HEAD = 4  # numbers before the cameras: the frame and the background


class Replay:
    """Draws an avatar in poses of one kind (tracked frames, or any) from `views` cameras at a time, all of one size.

    What a call returns is overwritten by the next one.

    Attributes:
        state: the posed avatar of the last call.
    """

    def __init__(
        self,
        avatar: Avatar,
        pose: int | BodyPose,
        size: tuple[int, int],
        views: int,
        device: torch.device,
        subject: int = 0,
        change: Callable[[Any], Any] | None = None,
        with_bytes: bool = False,
    ):
        """Args: pose: one of the kind. size: width and height. change: of the posed avatar, before it is drawn. with_bytes: for `image`."""
        self._avatar, self._subject, self._change, self._with_bytes, self._calls = avatar, subject, change, with_bytes, 0
        self._rows = torch.zeros(CHECK_EVERY, _HEAD + 21 * views, pin_memory=device.type == "cuda")  # a row is read when the GPU gets there
        self._numbers = self._rows.numpy()
        self._inputs = torch.zeros(_HEAD + 21 * views, device=device)
        K, R, t = self._inputs[_HEAD:].split([9 * views, 9 * views, 3 * views])
        self._views = Views(K.view(views, 3, 3), R.view(views, 3, 3), t.view(views, 3), *size)
        self._pose = {name: torch.empty_like(value, device=device) for name, value in _values(pose).items()}
        self._workspace = Workspace(device)
        self._run = CudaGraphStep(self._draw, device)
        self.state: Any = None
        self._drawn: Rendering | None = None
        self._bytes: Tensor | None = None

    @torch.no_grad()
    def __call__(self, pose: int | BodyPose, cameras: Sequence[Camera]) -> Rendering:
        """The avatar in a pose, seen by as many cameras as it was made for; the host does not wait."""
        self._enqueue(pose, cameras, WHITE)
        if self._calls % CHECK_EVERY == 0:
            self._grow_if_short()
        assert self._drawn is not None
        return self._drawn

    @torch.no_grad()
    def checked(self, pose: int | BodyPose, cameras: Sequence[Camera], background: Background = WHITE) -> Rendering:
        """The same, after the GPU has finished with room enough for all pairs."""
        self._enqueue(pose, cameras, background)
        while self._grow_if_short():
            self._enqueue(pose, cameras, background)
        assert self._drawn is not None
        return self._drawn

    @torch.no_grad()
    def image(self, pose: int | BodyPose, camera: Camera, background: Background = WHITE) -> np.ndarray:
        """uint8 [H, W, 4] of one view on the host: RGB over the background, and alpha."""
        while True:
            self._enqueue(pose, [camera], background)
            assert self._bytes is not None
            image, short = on_host(self._bytes, self._workspace.overflowed)
            if not short.any():
                return image
            self._workspace.grow()

    def _enqueue(self, pose: int | BodyPose, cameras: Sequence[Camera], background: Background) -> None:
        row = self._numbers[self._calls % CHECK_EVERY]
        row[0], row[1:_HEAD] = 0 if isinstance(pose, BodyPose) else pose, background
        row[_HEAD:] = np.concatenate([np.stack([getattr(camera, name) for camera in cameras]).ravel() for name in ("K", "R", "t")])
        self._inputs.copy_(self._rows[self._calls % CHECK_EVERY], non_blocking=True)
        for name, value in _values(pose).items():
            self._pose[name].copy_(value)
        self._run(self._workspace.capacity)
        self._calls += 1

    def _grow_if_short(self) -> bool:
        """Whether the last calls lacked room, which then there is. Waits for the GPU."""
        short = bool(int(self._workspace.overflowed))
        if short:
            self._workspace.grow()
        return short

    def _draw(self) -> None:
        pose = _body_pose(self._pose) if self._pose else self._inputs[0].long()
        state = self._avatar.pose(pose, self._subject)
        self.state = self._change(state) if self._change else state
        self._drawn = self._avatar.draw(self.state, self._views, self._workspace)
        if self._with_bytes:
            self._bytes = bytes_of(self._drawn.image[0], self._drawn.alpha[0], self._inputs[1:_HEAD])


def _values(pose: int | BodyPose) -> dict[str, Tensor]:
    """The tensors of a pose by name; none of a tracked frame."""
    if not isinstance(pose, BodyPose):
        return {}
    latents = {f"latents.{name}": value for name, value in pose.latents.items()}
    return {"expression": pose.expression, "rotations": pose.rotations, "translation": pose.translation, **latents}


def _body_pose(values: dict[str, Tensor]) -> BodyPose:
    """Inverse of `_values`."""
    latents = {name.removeprefix("latents."): value for name, value in values.items() if name.startswith("latents.")}
    return BodyPose(values["expression"], values["rotations"], values["translation"], latents)
