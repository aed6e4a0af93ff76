"""What is shown: one avatar, or several beside one another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pipeline.avatars.view import PosedView, ViewOptions
from pipeline.body.body_pose import BodyPose
from pipeline.capture.camera import Camera
from pipeline.training.contract import AvatarBody
from pipeline.viewer.body_control import BodyControl
from pipeline.viewer.opened import OpenedAvatar

DRAWING = threading.Lock()  # kernels are not called from two threads at once; avatars are replaced under it, too


@dataclass(eq=False)
class ShownAvatar:
    """One avatar of a scene.

    Attributes:
        offset: [3] metres by which it is moved. visible: whether it is drawn. motion: poses that take the place of the tracked frames, with their rate in fps.
    """

    opened: OpenedAvatar
    offset: np.ndarray
    visible: bool = True
    motion: tuple[Sequence[BodyPose], float] | None = None

    def __post_init__(self) -> None:
        self.control = BodyControl(self.body) if self.body else None

    @property
    def body(self) -> AvatarBody | None:
        """What moves it; None where nothing of it can be animated."""
        return self.opened.avatar.body_of(self.opened.subject)

    @property
    def frame_count(self) -> int:
        return len(self.motion[0]) if self.motion else len(self.opened.frames)

    @property
    def fps(self) -> float:
        return self.motion[1] if self.motion else self.opened.fps

    def source(self, frame: int) -> int | BodyPose:
        """The tracked frame, or the motion's pose, at a time; a shorter one begins again."""
        frame %= self.frame_count
        return self.motion[0][frame] if self.motion else frame

    def follow(self, frame: int) -> None:
        """Bring the sliders' values to a time, unless they are under control."""
        if self.control and self.body and not self.control.enabled:
            source = self.source(frame)
            self.control.follow(source if isinstance(source, BodyPose) else self.body.pose_at(source))

    def pose(self, frame: int) -> int | BodyPose:
        """What it is posed with at a time."""
        source = self.source(frame)
        return self.control.pose(source) if self.control else source

    def move(self, offset: Sequence[float]) -> None:
        """Draw it elsewhere. offset: [3] metres."""
        self.offset = np.array(offset, np.float64)

    def replace(self, opened: OpenedAvatar) -> None:
        """Show a newer state of the same avatar; values under control stay."""
        self.opened, before = opened, self.control
        self.__post_init__()
        if before and self.control and before.enabled and before.expression_names == self.control.expression_names:
            self.control.enabled, self.control.expression, self.control.rotations = True, before.expression, before.rotations


@dataclass(eq=False)
class Scene:
    """Avatars and where they are drawn. splat_count: of the last image."""

    avatars: list[ShownAvatar]
    device: torch.device
    splat_count: int = 0

    @property
    def frame_count(self) -> int:
        return max(avatar.frame_count for avatar in self.avatars)

    def image(self, frame: int, camera: Camera, options: ViewOptions) -> np.ndarray:
        """uint8 [H, W, 3] of all visible avatars at a time; those nearer to the camera cover those behind them.

        Raises InputError where an avatar cannot be shown with the options.
        """
        shown = [avatar for avatar in self.avatars if avatar.visible]
        background = np.array((0, 0, 0) if options.splats == "alpha" else options.background, np.float32)
        image = np.broadcast_to(background, (camera.height, camera.width, 3))
        with DRAWING, torch.no_grad():
            views = [self._view(avatar, frame, camera, options) for avatar in shown]
            self.splat_count = sum(len(view.state.splats) for view, _, _ in views if hasattr(view.state, "splats"))
            for view, moved, _ in sorted(views, key=lambda entry: -entry[2]):
                layer = view.image(moved)
                rest = 1 - layer[..., 3:].astype(np.float32) / 255
                image = layer[..., :3] + rest * (image - background)
        return np.clip(np.rint(image), 0, 255).astype(np.uint8)

    def _view(self, avatar: ShownAvatar, frame: int, camera: Camera, options: ViewOptions) -> tuple[PosedView, Camera, float]:
        """An avatar at a time, the camera in its own world, and its distance from the camera."""
        opened = avatar.opened
        moved = replace(camera, t=camera.t + camera.R @ avatar.offset)
        view = PosedView(opened.avatar, avatar.pose(frame), options, opened.subject, self.device)
        distance = np.linalg.norm(moved.centre - opened.avatar.centre(view.state)) if len(self.avatars) > 1 else 0.0
        return view, moved, float(distance)
