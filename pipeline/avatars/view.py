"""How a posed avatar is shown: what of it, and what lies over it. Rendering, viewers and driving share it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.avatars.mesh_layer import binding_of, face_mask, mesh_layer, splats_per_face
from pipeline.avatars.render import as_bytes, as_taken_by
from pipeline.avatars.view_options import PLAIN, ViewOptions
from pipeline.body.body_pose import BodyPose
from pipeline.capture.camera import Camera
from pipeline.io.color_map import color_map
from pipeline.io.errors import InputError
from pipeline.splat.splats import Views
from pipeline.training.contract import Avatar, Rendering

HIDDEN = -30.0  # logit of an opacity that no rasteriser draws


def view_image(
    avatar: Avatar, frame: int | BodyPose, camera: Camera, options: ViewOptions = PLAIN, subject: int = 0, device: torch.device | str = "cpu"
) -> np.ndarray:
    """An avatar at a tracked frame (its index within the subject) or in any pose, seen by a camera.

    Args:
        camera: pinhole. device: where the avatar is.

    Returns:
        uint8 [H, W, 4]: RGB over the background, and alpha of what is shown.

    Raises:
        InputError: the avatar has no such region, or nothing of the kind that the options ask for (a body, splats, depth).
    """
    return PosedView(avatar, frame, options, subject, device).image(camera)


class PosedView:
    """An avatar posed once, to be seen by any cameras; see `view_image`.

    Attributes:
        state: what `avatar.draw` takes, changed as the options ask.
    """

    @torch.no_grad()
    def __init__(self, avatar: Avatar, frame: int | BodyPose, options: ViewOptions = PLAIN, subject: int = 0, device: torch.device | str = "cpu"):
        self.avatar, self.options, self.device = avatar, options, device
        self._frame, self._body, self._kept = frame, avatar.body_of(subject), None
        if self._body is None and (options.regions or options.mesh_opacity > 0):
            raise InputError("this avatar has no body, so neither mesh nor regions", remedy="leave out mesh and regions")
        if self._body and options.regions:
            self._kept = face_mask(self._body, options.regions)
        kept = None if self._kept is None else torch.as_tensor(self._kept, device=device)
        self.state = changed_state(avatar.pose(frame, subject), options.scale, kept)

    @torch.no_grad()
    def image(self, camera: Camera, color: np.ndarray | None = None) -> np.ndarray:
        """uint8 [H, W, 4]: RGB over the background, and alpha of what is shown. color: [3, 4] as of `camera_colors`; None = the avatar's own colours."""
        rgb, alpha = self._splats(camera, color)
        if self.options.mesh_opacity > 0:
            layer = torch.from_numpy(self._mesh(camera)).to(rgb) * (self.options.mesh_opacity / 255)
            rest = 1 - layer[..., 3]
            rgb, alpha = rgb * rest[..., None] + layer[..., :3], alpha * rest + layer[..., 3]
        background = (0, 0, 0) if self.options.splats == "alpha" else self.options.background
        return as_bytes(rgb, alpha, torch.tensor(background, device=rgb.device) / 255)

    @torch.no_grad()
    def depth(self, camera: Camera) -> np.ndarray:
        """float32 [H, W] metres along the camera's axis, 0 where nothing is."""
        return _depth(self.draw(camera)).cpu().numpy()

    def draw(self, camera: Camera) -> Rendering:
        """The splats in one view, over black."""
        return self.avatar.draw(self.state, Views.from_cameras([camera], self.device))

    def _splats(self, camera: Camera, color: np.ndarray | None) -> tuple[Tensor, Tensor]:
        """What is shown of the splats: colours [H, W, 3] times alpha, and alpha [H, W]."""
        show = self.options.splats
        if show == "none":
            nothing = torch.zeros(camera.height, camera.width, 4, device=self.device)
            return nothing[..., :3], nothing[..., 3]
        drawn = self.draw(camera)
        alpha = drawn.alpha[0]
        image = as_taken_by(drawn.image[0], alpha, color)
        if show == "depth":
            depth = _depth(drawn).cpu().numpy()
            colors = color_map(depth, *(self.options.depth_range or depth_range(depth)))
            image = torch.from_numpy(colors).to(alpha) / 255 * alpha[..., None]
        return alpha[..., None].expand_as(image) if show == "alpha" else image, alpha

    def _mesh(self, camera: Camera) -> np.ndarray:
        """The mesh as uint8 [H, W, 4]: colour times coverage, and coverage."""
        assert self._body is not None
        faces = self._body.shaped.faces.cpu().numpy()
        kept = slice(None) if self._kept is None else self._kept
        counts = splats_per_face(self.state, len(faces))[kept] if self.options.mesh == "counts" else None
        return mesh_layer(camera, self._vertices, faces[kept], self.options.mesh, counts, self.options.mesh_samples)

    @cached_property
    def _vertices(self) -> np.ndarray:
        """[V, 3] float64 metres, world."""
        assert self._body is not None
        pose = self._frame if isinstance(self._frame, BodyPose) else self._body.pose_at(self._frame)
        return self._body.vertices(pose).double().cpu().numpy()


def changed_state(state: Any, scale: float, kept: Tensor | None) -> Any:
    """A posed avatar whose splats have other sizes, and of which those of hidden triangles are not drawn.

    They stay in place, without opacity: so the shapes of all tensors stay too, and a CUDA graph of drawing serves every choice.

    Args:
        kept: bool [F] triangles that are shown; None = all.

    Raises:
        InputError: the avatar is not made of splats, or they do not lie on triangles.
    """
    if kept is None and scale == 1:
        return state
    splats = getattr(state, "splats", None)
    if splats is None:
        raise InputError("this avatar has no splats", remedy="leave out scale and regions")
    if scale != 1:
        splats = replace(splats, log_scales=splats.log_scales + float(np.log(scale)))
    if kept is not None:
        splats = replace(splats, opacities=torch.where(kept[binding_of(state)], splats.opacities, HIDDEN))
    return replace(state, splats=splats)


def depth_range(depth: np.ndarray) -> tuple[float, float]:
    """Nearest and farthest point of a depth image [H, W], metres; 0 to 1 where there is none."""
    hit = depth[depth > 0]
    return (float(hit.min()), float(hit.max())) if len(hit) else (0.0, 1.0)


def _depth(drawn: Rendering) -> Tensor:
    if drawn.depth is None:
        raise InputError("this avatar is drawn without depth", remedy="leave out depth")
    return drawn.depth[0]
