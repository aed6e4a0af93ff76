"""Posing and drawing as CUDA graphs: on a GPU the host then only says what changes from image to image."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from pipeline.avatars.view import PosedView, changed_state
from pipeline.avatars.view_options import ViewOptions
from pipeline.body.body_pose import BodyPose
from pipeline.capture.camera import Camera
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.splats import Views
from pipeline.training.contract import Avatar, Rendering
from pipeline.training.cuda_graph import CudaGraphStep

KEPT = 6  # graphs of an avatar: image sizes and options that come back


class CapturedAvatar:
    """The graphs of one avatar, each for an image size, the options that change what is launched, and a kind of pose (tracked frame, or any)."""

    def __init__(self, avatar: Avatar, subject: int, device: torch.device):
        self.avatar, self.subject, self.device = avatar, subject, device
        self._graphs: dict[Hashable, _Graph] = {}

    def view(self, frame: int | BodyPose, options: ViewOptions) -> PosedView:
        """The avatar at a tracked frame or in any pose; on a GPU drawn by replaying a graph. Its state and images hold until the next one is drawn."""
        if self.device.type != "cuda":
            return PosedView(self.avatar, frame, options, self.subject, self.device)
        return _CapturedView(self, frame, options)

    def graph(self, key: Hashable, make: Callable[[], _Graph]) -> _Graph:
        """The graph of a key; the one that was used longest ago makes room for a new one."""
        graph = self._graphs.pop(key, None) or make()
        while len(self._graphs) >= KEPT:
            self._graphs.pop(next(iter(self._graphs)))
        self._graphs[key] = graph
        return graph


class _Graph:
    """One graph with its inputs: the pose and one camera."""

    def __init__(self, pose: Callable[[dict[str, Tensor]], Any], inputs: dict[str, Tensor], avatar: Avatar, width: int, height: int, device: torch.device):
        self._pose, self._avatar = pose, avatar
        self._inputs = {name: torch.empty_like(value, device=device) for name, value in inputs.items()}
        self._camera = torch.zeros(1, 21, device=device)
        K, R, t = self._camera[:, :9], self._camera[:, 9:18], self._camera[:, 18:]
        self._views = Views(K.view(1, 3, 3), R.view(1, 3, 3), t, width, height)
        self._workspace, self._run = Workspace(device), CudaGraphStep(self._draw, device)
        self._done: tuple[Any, Rendering] | None = None

    def __call__(self, inputs: dict[str, Tensor], camera: Camera) -> tuple[Any, Rendering]:
        """State and drawing."""
        for name, value in inputs.items():
            self._inputs[name].copy_(value)
        numbers = [torch.as_tensor(getattr(camera, name), dtype=torch.float32).flatten() for name in ("K", "R", "t")]
        self._camera.copy_(torch.cat(numbers)[None])
        self._run(self._workspace.capacity)
        while int(self._workspace.overflowed):  # waits for the GPU, as reading the image does
            self._workspace.grow()
            self._run(self._workspace.capacity)
        assert self._done is not None
        return self._done

    def _draw(self) -> None:
        state = self._pose(self._inputs)
        self._done = state, self._avatar.draw(state, self._views, self._workspace)


class _CapturedView(PosedView):
    """A view that poses the avatar when it is drawn, in the same graph."""

    def __init__(self, captured: CapturedAvatar, frame: int | BodyPose, options: ViewOptions):
        self._captured = captured
        super().__init__(captured.avatar, frame, options, captured.subject, captured.device)

    def _posed(self) -> Any:
        return super()._posed() if self.options.splats == "none" else None

    @torch.no_grad()
    def draw(self, camera: Camera) -> Rendering:
        """The splats in one view, over black."""
        inputs = _inputs(self._frame)
        options = self.options
        key = (tuple(inputs), camera.width, camera.height, options.scale, options.regions)
        self.state, drawn = self._captured.graph(key, lambda: self._graph(inputs, camera))(inputs, camera)
        return drawn

    def _graph(self, inputs: dict[str, Tensor], camera: Camera) -> _Graph:
        captured, scale = self._captured, self.options.scale
        kept = None if self._kept is None else torch.as_tensor(self._kept, device=captured.device)

        def pose(values: dict[str, Tensor]) -> Any:
            return changed_state(captured.avatar.pose(_pose(values), captured.subject), scale, kept)

        return _Graph(pose, inputs, captured.avatar, camera.width, camera.height, captured.device)


def _inputs(frame: int | BodyPose) -> dict[str, Tensor]:
    if not isinstance(frame, BodyPose):
        return {"frame": torch.tensor(frame)}
    latents = {f"latents.{name}": value for name, value in frame.latents.items()}
    return {"expression": frame.expression, "rotations": frame.rotations, "translation": frame.translation, **latents}


def _pose(values: dict[str, Tensor]) -> Tensor | BodyPose:
    """Inverse of `_inputs`."""
    if "frame" in values:
        return values["frame"]
    latents = {name.removeprefix("latents."): value for name, value in values.items() if name.startswith("latents.")}
    return BodyPose(values["expression"], values["rotations"], values["translation"], latents)
