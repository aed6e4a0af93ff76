"""The `rigged` avatar: splats bound to the triangles of the fitted mesh (GaussianAvatars, arXiv 2312.02069)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.avatars.rigged.binding import bind
from pipeline.avatars.rigged.density import DensityControl
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.regularise import metric_terms, splat_terms
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.body.body_pose import BodyPose
from pipeline.splat.formats.ply import write_ply
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views
from pipeline.training.contract import Rendering, Terms
from pipeline.training.images import Batch
from pipeline.training.optimiser import Optimiser
from pipeline.training.parameters import ParameterGroup, constant, exponential
from pipeline.training.rows import Rows

LOCAL = ("means", "quats", "log_scales", "opacities", "sh_dc", "sh_rest")
SPLAT_EPSILON = 1e-15  # of Adam, as in 3DGS: gradients of single splats are tiny


@dataclass(frozen=True, eq=False)
class PosedSplats:
    """The avatar at an instant: splats in the world, the triangle of each, and the table rows that it was posed with."""

    splats: Splats
    binding: Tensor
    rows: Sequence[Rows] = ()


class RiggedAvatar(nn.Module):
    """N splats in the frames of the triangles of a body.

    Attributes:
        binding: int64 [N] triangle of each splat.
        local: parameters of the splats: means [N, 3] and log_scales [N, 3] in units of the triangle's size, quats [N, 4], opacities [N] logits,
            sh_dc [N, 1, 3], sh_rest [N, K - 1, 3]. Spherical harmonics stay in world axes.
    """

    binding: Tensor

    def __init__(self, body: PosedBody, subject: str = "", settings: RiggedTrainSettings | None = None):
        """Args: settings: of a training; None for an avatar that is only drawn."""
        super().__init__()
        self.body, self._settings = body, settings
        self.subjects = {subject: body.frames}
        self.register_buffer("binding", torch.zeros(0, dtype=torch.int64))
        self.local = nn.ParameterDict()
        self._density: DensityControl | None = None
        if settings:
            body.set_weights(settings.lambda_laplacian, settings.lambda_pose)
        self._sh_degree: int | None = None

    @property
    def splat_count(self) -> int:
        return len(self.binding)

    @property
    def face_count(self) -> int:
        return len(self.body.faces)

    def initialise(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over `binding` and the arrays named in LOCAL, of init.npz or avatar.npz; in a training, colours get room for its SH degree."""
        local = {name: torch.from_numpy(np.asarray(arrays[name], np.float32)) for name in LOCAL}
        if self._settings:
            rest = local["sh_rest"]
            local["sh_rest"] = torch.zeros(len(rest), (self._settings.sh_degree + 1) ** 2 - 1, 3)
            shared = min(rest.shape[1], local["sh_rest"].shape[1])
            local["sh_rest"][:, :shared] = rest[:, :shared]
        self.set_splats(torch.from_numpy(np.asarray(arrays["binding"], np.int64)), local)
        if self._settings:
            self._density = DensityControl(self._settings, self.splat_count, self.binding.device)

    def set_splats(self, binding: Tensor, local: Mapping[str, Tensor]) -> None:
        """Put other splats in the place of all present ones."""
        device = self.body.offsets.device
        self.binding = binding.to(device)
        values = {name: local[name].detach().to(device).clone(memory_format=torch.contiguous_format) for name in LOCAL}  # strides of ones too
        self.local = nn.ParameterDict({name: nn.Parameter(value) for name, value in values.items()})

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
        return PosedSplats(Splats(*world, local["opacities"], torch.cat([local["sh_dc"], local["sh_rest"]], dim=1)), self.binding, rows)

    def body_of(self, subject: int = 0) -> PosedBody:
        return self.body

    def draw(self, state: PosedSplats, views: Views, workspace: Workspace | None = None) -> Rendering:
        """See `Avatar.draw`."""
        splats, screen = state.splats, None
        if self._density and self.training and torch.is_grad_enabled():
            columns = 4 if self._settings and self._settings.densify_absolute else 2
            screen = torch.zeros(len(views), len(splats), columns, device=splats.means.device, requires_grad=True)
        black = torch.zeros(3, device=splats.means.device)
        drawn = rasterise(splats, views, black, sh_degree=self._sh_degree if self.training else None, screen=screen, workspace=workspace)
        return Rendering(drawn.image, drawn.alpha, drawn.depth, drawn.radii, screen)

    @torch.no_grad()
    def centre(self, state: PosedSplats) -> np.ndarray:
        """Mean position of the splats, weighted by opacity."""
        weight = state.splats.opacities.sigmoid()
        return ((state.splats.means * weight[:, None]).sum(0) / weight.sum()).cpu().numpy().astype(np.float64)

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Splats, the body's offsets, and its per-frame tables."""
        settings = self._training_settings()
        falling = exponential(settings.lr_end, settings.iterations)

        def group(name: str, tensor: Tensor, kind: Literal["splats", "rows"]) -> ParameterGroup:
            schedule = falling if settings.lr_decay == "all" or name == "means" else constant
            return ParameterGroup(name, (tensor,), getattr(settings, f"lr_{name}"), schedule, kind, epsilon=SPLAT_EPSILON)

        dense = {**dict(self.local.items()), "offsets": self.body.offsets}
        groups = [group(name, parameter, "splats") for name, parameter in dense.items()]
        return groups + [group(name, table, "rows") for name, table in self.body.tables.items()]

    def begin_step(self, step: int) -> Hashable:
        """The SH degree and how often the splats changed decide what a step launches."""
        settings = self._training_settings()
        self._sh_degree = settings.sh_degree if settings.sh_every <= 0 else min(settings.sh_degree, step // settings.sh_every)
        return self._sh_degree, self._density.changes if self._density else 0

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

    def after_backward(self, rendering: Rendering, batch: Batch, skip: Tensor) -> None:
        """Density statistics."""
        if self._density and rendering.screen is not None and rendering.screen.grad is not None and rendering.radii is not None:
            self._density.accumulate(rendering.screen.grad, rendering.radii, (batch.views.width, batch.views.height), skip)

    def restructures_after(self, step: int) -> bool:
        return self._density is not None and self._density.is_due(step)

    def after_step(self, step: int, optimiser: Optimiser) -> None:
        """Density control."""
        if self._density:
            self._density.after_step(step, self, optimiser)

    def buffers_to_restore(self) -> Sequence[Tensor]:
        return ()

    def state(self) -> dict[str, Any]:
        splats = {"binding": self.binding, "local": {name: value.detach() for name, value in self.local.items()}}
        return splats | {"body": self.body.state(), "density": self._density.state() if self._density else {}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        self.set_splats(state["binding"], state["local"])
        self.body.load(state["body"])
        if self._density:
            self._density.load(state["density"])

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
        """The arrays of the splats (`binding` and LOCAL) and of the body (as in fit.npz)."""
        splats = {name: value.detach().cpu().numpy() for name, value in self.local.items()}
        return {"binding": self.binding.cpu().numpy(), **splats, **self.body.export()}

    @torch.no_grad()
    def export_files(self, outputs: Mapping[str, Path]) -> None:
        """avatar_ply: a standard 3DGS file, posed at the first frame."""
        write_ply(outputs["avatar_ply"], self.pose(0).splats)

    def to(self, *args: Any, **kwargs: Any) -> RiggedAvatar:
        """Move everything to a device."""
        self.body.to(*args, **kwargs)
        super().to(*args, **kwargs)
        if self._density:
            self._density.to(self.binding.device)
        return self

    def _training_settings(self) -> RiggedTrainSettings:
        if self._settings is None:
            raise ValueError("this avatar was opened for drawing; give it settings to train it")
        return self._settings
