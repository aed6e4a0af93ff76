"""What is shown: one avatar, or several beside one another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from pipeline.avatars.view_options import ViewOptions
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
        return max(len(self.motion[0] if self.motion else self.opened.frames), 1)

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
    """Avatars beside one another. splat_count: of the last image."""

    avatars: list[ShownAvatar]
    splat_count: int = 0

    @property
    def frame_count(self) -> int:
        return max(avatar.frame_count for avatar in self.avatars)

    def image(self, frame: int, camera: Camera, options: ViewOptions) -> np.ndarray:
        """uint8 [H, W, 3] of all visible avatars at a time; those nearer to the camera cover those behind them.

        Raises InputError where an avatar cannot be shown with the options.
        """
        with DRAWING, torch.no_grad():
            layers = [self._layer(avatar, frame, camera, options) for avatar in self.avatars if avatar.visible]
        self.splat_count = sum(layer.splats for layer in layers)
        if len(layers) == 1:
            return cv2.cvtColor(layers[0].image, cv2.COLOR_RGBA2RGB)
        background = np.array((0, 0, 0) if options.splats == "alpha" else options.background, np.float32)
        image = np.broadcast_to(background, (camera.height, camera.width, 3))
        for layer in sorted(layers, key=lambda layer: -layer.distance):
            rest = 1 - layer.image[..., 3:].astype(np.float32) / 255
            image = layer.image[..., :3] + rest * (image - background)
        return np.clip(np.rint(image), 0, 255).astype(np.uint8)

    def _layer(self, avatar: ShownAvatar, frame: int, camera: Camera, options: ViewOptions) -> _Layer:
        opened = avatar.opened
        moved = replace(camera, t=camera.t + camera.R @ avatar.offset)
        view = opened.captured.view(avatar.pose(frame), options)
        image = view.image(moved)
        splats = getattr(view.state, "splats", None)
        several = len(self.avatars) > 1 and view.state is not None
        distance = float(np.linalg.norm(moved.centre - opened.avatar.centre(view.state))) if several else 0.0
        return _Layer(image, distance, 0 if splats is None else len(splats))


@dataclass(frozen=True, eq=False)
class _Layer:
    """One avatar: uint8 [H, W, 4] over the background, metres from the camera, number of splats."""

    image: np.ndarray
    distance: float
    splats: int
