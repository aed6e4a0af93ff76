"""The `rigged` avatar: splats bound to the triangles of the fitted mesh (GaussianAvatars, arXiv 2312.02069)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.avatars.rigged.binding import bind, kept_after_pruning
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.regularise import metric_terms, splat_terms
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.avatars.splats.avatar import LOCAL_ARRAYS, SPLAT_EPSILON, SplatAvatar
from pipeline.body.body_pose import BodyPose
from pipeline.geometry.triangle_frames import triangle_frames
from pipeline.io.arrays import Integers, Shape
from pipeline.splat.formats.ply import write_ply
from pipeline.splat.splats import Splats
from pipeline.training.contract import Rendering, Terms
from pipeline.training.images import Batch
from pipeline.training.parameters import ParameterGroup, constant, exponential
from pipeline.training.rows import Rows

SPLAT_ARRAYS: dict[str, Shape] = {"binding": Integers(("splats",)), **LOCAL_ARRAYS}
"""What init.npz and avatar.npz hold of the splats."""


@dataclass(frozen=True, eq=False)
class PosedSplats:
    """The avatar at an instant: splats in the world, the triangle of each, and the table rows that it was posed with."""

    splats: Splats
    binding: Tensor
    rows: Sequence[Rows] = ()


class RiggedAvatar(SplatAvatar):
    """N splats in the frames of the triangles of a body; lengths of their parameters count in units of the triangle's size.

    Attributes:
        binding: int64 [N] triangle of each splat.
    """

    binding: Tensor

    def __init__(self, body: PosedBody, subject: str = "", settings: RiggedTrainSettings | None = None):
        """Args: settings: of a training; None for an avatar that is only drawn."""
        super().__init__(settings)
        self.body = body
        self.subjects = {subject: body.frames}
        self.register_buffer("binding", torch.zeros(0, dtype=torch.int64))
        if settings:
            body.set_weights(settings.lambda_laplacian, settings.lambda_pose)

    @property
    def face_count(self) -> int:
        return len(self.body.faces)

    def initialise(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over `binding` and the splats' parameters, of init.npz or avatar.npz; of init.npz also the scene's `extent`."""
        self.extent = float(arrays.get("extent", 1.0))
        self.set_splats(torch.from_numpy(np.asarray(arrays["binding"], np.int64)), self.read_local(arrays))
        self.control_density()

    def set_splats(self, binding: Tensor, local: Mapping[str, Tensor]) -> None:
        """Put other splats in the place of all present ones."""
        device = self.body.offsets.device
        self.binding = binding.to(device)
        self.set_local(local, device)

    def pose(self, frame: int | Tensor | BodyPose, subject: int | Tensor = 0) -> PosedSplats:
        """World-space splats at a tracked frame or in any pose; see `Avatar.pose`."""
        rows: tuple[Rows, ...] = ()
        if isinstance(frame, BodyPose):
            vertices = self.body.vertices(frame)
        elif self.body.cached:
            vertices = self.body.cached_vertices(frame)
        else:
            pose, tracked = self.body.tracked_pose(frame)
            vertices, rows = self.body.vertices(pose), (tracked,)
        local = self.local
        world = bind(vertices, self.body.faces, self.binding, local["means"], local["quats"], local["log_scales"])
        return PosedSplats(Splats(*world, local["opacities"], self.colours()), self.binding, rows)

    def body_of(self, subject: int = 0) -> PosedBody:
        return self.body

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Splats, the body's offsets, and its per-frame tables."""
        settings = self._training_settings()
        falling = exponential(settings.lr_end, settings.iterations)
        rest = falling if settings.lr_decay == "all" else constant
        scales = {"means": self.extent} if settings.scene_units else {}
        groups = self.splat_groups({name: falling if name == "means" else rest for name in self.local}, scales)
        groups.append(ParameterGroup("offsets", (self.body.offsets,), settings.lr_offsets, rest, "splats", epsilon=SPLAT_EPSILON))
        tables = self.body.tables.items()
        return groups + [ParameterGroup(name, (t,), getattr(settings, f"lr_{name}"), rest, "rows", epsilon=SPLAT_EPSILON) for name, t in tables]

    def losses(self, state: PosedSplats, rendering: Rendering, batch: Batch) -> Terms:
        """Terms position and scale (arXiv 2312.02069, eqs. 8 and 9), opacity, anisotropy, laplacian, pose."""
        settings = self._training_settings()
        weights = settings.weights()
        assert rendering.radii is not None
        visible = (rendering.radii > 0).any(0) if len(rendering.radii) > 1 else rendering.radii[0] > 0
        local, metric = dict(self.local.items()), settings.metric_terms()
        terms: dict[str | tuple[str, ...], Tensor] = dict(splat_terms(local, {**weights, **dict.fromkeys(metric, 0.0)}, settings.thresholds(), visible))
        if metric:
            sizes = (state.splats.log_scales[:, 0] - local["log_scales"][:, 0]).exp()  # of the triangles, metres
            terms |= metric_terms(local, sizes, {name: weights[name] for name in metric}, settings.thresholds(), visible)
        if weights["laplacian"] > 0 and not self.body.cached:
            terms["laplacian"] = self.body.laplacian_energy()
        if weights["pose"] > 0 and state.rows:
            terms["pose"] = self.body.pose_prior(state.rows[0])
        return terms

    def kept(self, step: int) -> Tensor:
        settings, opacity = self._training_settings(), torch.sigmoid(self.local["opacities"].detach())
        keep = opacity >= settings.prune_opacity
        if settings.scene_units and settings.prune_scale and 0 < settings.opacity_reset_every < step:
            keep &= self._log_sizes() <= math.log(settings.prune_scale)
        return kept_after_pruning(opacity, self.binding, self.face_count, keep)

    def large(self) -> Tensor:
        """Children are bound to the triangle of their parent; sizes count in its units, or in the scene's extent."""
        return self._log_sizes() > math.log(self._training_settings().densify_scale)

    @torch.no_grad()
    def _log_sizes(self) -> Tensor:
        """Logarithm of the longest axis of each splat [N]: in units of its triangle, or (scene_units) of the scene's extent, with triangles as in the first frame."""
        longest = self.local["log_scales"].detach().amax(1)
        if not self._training_settings().scene_units:
            return longest
        vertices = self.body.cached_vertices(0) if self.body.cached else self.body.vertices(self.body.pose_at(0))
        return longest + triangle_frames(vertices, self.body.faces)[2][self.binding].log() - math.log(self.extent)

    def continue_as(self, parents: Tensor, local: Mapping[str, Tensor]) -> None:
        self.set_splats(self.binding[parents], local)

    def state(self) -> dict[str, Any]:
        return {"binding": self.binding, "body": self.body.state(), **self.local_state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        self.set_splats(state["binding"], state["local"])
        self.body.load(state["body"])
        self.load_density(state)

    def facts(self) -> dict[str, Any]:
        """What training changed in the body, see `PosedBody.facts`; and a warning where `max_splats` is less than one for each triangle."""
        facts = self.body.facts()
        # a body has more triangles than the default has splats: only a limit that somebody set is worth a warning
        if self._settings and self.splat_count > self._settings.max_splats < RiggedTrainSettings().max_splats:
            facts["warnings"] = [
                f"train.max_splats is {self._settings.max_splats}, and the avatar has {self.splat_count} splats: each of the {self.face_count} triangles keeps "
                f"one. Expected: train.max_splats of {self.face_count} or more"
            ]
        return facts

    def export(self) -> dict[str, np.ndarray]:
        """The arrays of the splats (`binding` and LOCAL_ARRAYS) and of the body (as in fit.npz)."""
        return {"binding": self.binding.cpu().numpy(), **self.export_local(), **self.body.export()}

    @torch.no_grad()
    def export_files(self, outputs: Mapping[str, Path]) -> None:
        """avatar_ply: a standard 3DGS file, posed at the first frame."""
        write_ply(outputs["avatar_ply"], self.pose(0).splats)

    def to(self, *args: Any, **kwargs: Any) -> RiggedAvatar:
        """Move everything to a device."""
        self.body.to(*args, **kwargs)
        super().to(*args, **kwargs)
        return self
