"""The `static` avatar: splats in the world (Kerbl et al. 2023, 3D Gaussian Splatting)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.avatars.splats.avatar import SplatAvatar
from pipeline.avatars.static.settings import StaticTrainSettings
from pipeline.body.body_pose import BodyPose
from pipeline.splat.formats.ply import write_ply
from pipeline.splat.splats import Splats
from pipeline.training.contract import Rendering, Terms
from pipeline.training.images import Batch
from pipeline.training.parameters import ParameterGroup, constant, exponential
from pipeline.training.rows import Rows


@dataclass(frozen=True, eq=False)
class Scene:
    """The splats, the same at every instant."""

    splats: Splats
    rows: Sequence[Rows] = ()


class StaticAvatar(SplatAvatar):
    """N splats in world coordinates.

    Attributes:
        extent: size of the scene, world units (`splats/extent.py`). target: [3] what the cameras look at.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], subject: str = "", settings: StaticTrainSettings | None = None):
        """Args: arrays: of init.npz or avatar.npz. settings: of a training; None for an avatar that is only drawn."""
        super().__init__(settings)
        self.subjects = {subject: tuple(map(str, arrays["frames"]))}
        self.extent, self.target = float(arrays["extent"]), np.asarray(arrays["target"], np.float64)
        self.set_local(self.read_local(arrays), torch.device("cpu"))
        self.control_density()

    def pose(self, frame: int | Tensor | BodyPose, subject: int | Tensor = 0) -> Scene:
        """The scene; see `Avatar.pose`."""
        local = self.local
        return Scene(Splats(local["means"], local["quats"], local["log_scales"], local["opacities"], self.colours()))

    def body_of(self, subject: int = 0) -> None:
        return None

    def centre(self, state: Any) -> np.ndarray:
        """What the cameras look at."""
        return self.target

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        settings = self._training_settings()
        falling = exponential(settings.lr_end, settings.iterations)
        return self.splat_groups({name: falling if name == "means" else constant for name in self.local}, {"means": self.extent})

    def losses(self, state: Scene, rendering: Rendering, batch: Batch) -> Terms:
        return {}

    def kept(self, step: int) -> Tensor:
        """Splats that are not faint, nor, after the first lowering of opacities, larger than a part of the scene."""
        settings = self._training_settings()
        keep = torch.sigmoid(self.local["opacities"].detach()) >= settings.prune_opacity
        if 0 < settings.opacity_reset_every < step:
            keep &= self.local["log_scales"].detach().amax(1) <= math.log(settings.prune_scale * self.extent)
        return keep if keep.any() else torch.ones_like(keep)

    def large(self) -> Tensor:
        return self.local["log_scales"].detach().amax(1) > math.log(self._training_settings().densify_scale * self.extent)

    def continue_as(self, parents: Tensor, local: Mapping[str, Tensor]) -> None:
        self.set_local(local, parents.device)

    def state(self) -> dict[str, Any]:
        return self.local_state()

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        self.set_local(state["local"], self.local["means"].device)
        self.load_density(state)

    def facts(self) -> dict[str, Any]:
        return {}

    def export(self) -> dict[str, np.ndarray]:
        """LOCAL_ARRAYS, and frames, extent and target."""
        frames = next(iter(self.subjects.values()))
        return {**self.export_local(), "frames": np.array(frames), "extent": np.array(self.extent), "target": self.target}

    @torch.no_grad()
    def export_files(self, outputs: Mapping[str, Path]) -> None:
        """avatar_ply: a standard 3DGS file."""
        write_ply(outputs["avatar_ply"], self.pose(0).splats)
