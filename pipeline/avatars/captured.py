"""How an avatar is shown, as `view.py` does it, drawn on a GPU by replaying CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch

from pipeline.avatars.replay import Replay
from pipeline.avatars.view import PosedView, changed_state
from pipeline.avatars.view_options import PLAIN, ViewOptions
from pipeline.body.body_pose import BodyPose
from pipeline.capture.camera import Camera
from pipeline.training.contract import Avatar, Rendering

KEPT = 6  # graphs of an avatar: image sizes and options that come back


class CapturedAvatar:
    """The graphs of one avatar, each for an image size, the options that change what is launched, and a kind of pose (tracked frame, or any)."""

    def __init__(self, avatar: Avatar, subject: int, device: torch.device):
        self.avatar, self.subject, self.device = avatar, subject, device
        self._replays: dict[Hashable, Replay] = {}

    def view(self, frame: int | BodyPose, options: ViewOptions = PLAIN) -> PosedView:
        """The avatar at a tracked frame or in any pose; on a GPU drawn by replaying a graph. Its state and drawings hold until the next one is drawn."""
        if self.device.type != "cuda":
            return PosedView(self.avatar, frame, options, self.subject, self.device)
        return _CapturedView(self, frame, options)

    def replay(self, key: Hashable, make: Callable[[], Replay]) -> Replay:
        """The graph of a key; the one that was used longest ago makes room for a new one."""
        found = self._replays.pop(key, None) or make()
        while len(self._replays) >= KEPT:
            self._replays.pop(next(iter(self._replays)))
        self._replays[key] = found
        return found


class _CapturedView(PosedView):
    """A view that poses the avatar when it is drawn, in the same graph."""

    def __init__(self, captured: CapturedAvatar, frame: int | BodyPose, options: ViewOptions):
        self._captured = captured
        super().__init__(captured.avatar, frame, options, captured.subject, captured.device)

    def _posed(self) -> Any:
        return super()._posed() if self.options.splats == "none" else None

    def image(self, camera: Camera, color: np.ndarray | None = None) -> np.ndarray:
        """See `PosedView.image`; an image of the splats alone comes from the graph as bytes."""
        options = self.options
        if options.splats != "color" or options.mesh_opacity > 0 or color is not None:
            return super().image(camera, color)
        replay = self._replay(camera)
        red, green, blue = (value / 255 for value in options.background)
        image = replay.image(self._frame, camera, (red, green, blue))
        self.state = replay.state
        return image

    def draw(self, camera: Camera) -> Rendering:
        """The splats in one view, over black."""
        replay = self._replay(camera)
        drawn = replay.checked(self._frame, [camera])
        self.state = replay.state
        return drawn

    def _replay(self, camera: Camera) -> Replay:
        captured, options = self._captured, self.options
        key = (isinstance(self._frame, BodyPose), camera.width, camera.height, options.scale, options.regions)
        return captured.replay(key, lambda: self._new_replay(camera))

    def _new_replay(self, camera: Camera) -> Replay:
        captured, scale = self._captured, self.options.scale
        kept = None if self._kept is None else torch.as_tensor(self._kept, device=captured.device)
        size = camera.width, camera.height
        return Replay(
            captured.avatar, self._frame, size, 1, captured.device, captured.subject, lambda state: changed_state(state, scale, kept), with_bytes=True
        )
