"""The part that avatars of splats share: their parameters, drawing, schedule of colours and density control."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.avatars.splats.density import DensityControl
from pipeline.avatars.splats.settings import SplatTrainSettings
from pipeline.io.arrays import Numbers, Shape, check_finite
from pipeline.io.errors import InputError
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views
from pipeline.training.contract import Rendering
from pipeline.training.images import Batch
from pipeline.training.optimiser import Optimiser
from pipeline.training.parameters import ParameterGroup, Schedule

LOCAL_ARRAYS: dict[str, Shape] = {
    "means": Numbers(("splats", 3)),
    "quats": Numbers(("splats", 4)),
    "log_scales": Numbers(("splats", 3)),
    "opacities": Numbers(("splats",)),
    "sh_dc": Numbers(("splats", 1, 3)),
    "sh_rest": Numbers(("splats", None, 3)),
}
"""What init.npz and avatar.npz hold of the splats."""
LOCAL = tuple(LOCAL_ARRAYS)
LARGEST_VALUE = 1e4  # of all of these
SPLAT_EPSILON = 1e-15  # of Adam, as in 3DGS: gradients of single splats are tiny


class DrawnState(Protocol):
    """The avatar at an instant."""

    @property
    def splats(self) -> Splats: ...


class SplatAvatar(nn.Module):
    """N splats, in the world or in frames of the method's own.

    Attributes:
        local: parameters of the splats: means [N, 3], quats [N, 4], log_scales [N, 3], opacities [N] logits, sh_dc [N, 1, 3], sh_rest [N, K - 1, 3].
            Spherical harmonics stay in world axes.
    """

    def __init__(self, settings: SplatTrainSettings | None = None):
        """Args: settings: of a training; None for an avatar that is only drawn."""
        super().__init__()
        self._settings: Any = settings
        self.local = nn.ParameterDict()
        self._density: DensityControl | None = None
        self._sh_degree: int | None = None

    @property
    def splat_count(self) -> int:
        return len(self.local["opacities"])

    def read_local(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """The arrays named in LOCAL, of init.npz or avatar.npz; in a training, colours get room for its SH degree."""
        local = {name: torch.from_numpy(np.asarray(arrays[name], np.float32)) for name in LOCAL}
        if self._settings:
            rest = local["sh_rest"]
            local["sh_rest"] = torch.zeros(len(rest), (self._settings.sh_degree + 1) ** 2 - 1, 3)
            shared = min(rest.shape[1], local["sh_rest"].shape[1])
            local["sh_rest"][:, :shared] = rest[:, :shared]
        return local

    def set_local(self, local: Mapping[str, Tensor], device: torch.device) -> None:
        """Put other parameters in the place of all present ones."""
        values = {name: local[name].detach().to(device).clone(memory_format=torch.contiguous_format) for name in LOCAL}  # strides of ones too
        self.local = nn.ParameterDict({name: nn.Parameter(value) for name, value in values.items()})

    def control_density(self) -> None:
        """In a training: begin to collect statistics of the present splats."""
        if self._settings:
            self._density = DensityControl(self._settings, self.splat_count, self.local["means"].device)

    def colours(self) -> Tensor:
        """Spherical harmonics [N, K, 3]."""
        return torch.cat([self.local["sh_dc"], self.local["sh_rest"]], dim=1)

    def draw(self, state: DrawnState, views: Views, workspace: Workspace | None = None) -> Rendering:
        """See `Avatar.draw`."""
        splats, screen = state.splats, None
        if self._density and self.training and torch.is_grad_enabled():
            columns = 4 if self._settings and self._settings.densify_absolute else 2
            screen = torch.zeros(len(views), len(splats), columns, device=splats.means.device, requires_grad=True)
        black = torch.zeros(3, device=splats.means.device)
        drawn = rasterise(splats, views, black, sh_degree=self._sh_degree if self.training else None, screen=screen, workspace=workspace)
        return Rendering(drawn.image, drawn.alpha, drawn.depth, drawn.radii, screen)

    @torch.no_grad()
    def centre(self, state: DrawnState) -> np.ndarray:
        """Mean position of the splats, weighted by opacity."""
        weight = state.splats.opacities.sigmoid()
        return ((state.splats.means * weight[:, None]).sum(0) / weight.sum()).cpu().numpy().astype(np.float64)

    def splat_groups(self, schedules: Mapping[str, Schedule], scales: Mapping[str, float] | None = None) -> list[ParameterGroup]:
        """The splats' parameters. schedules: by name. scales: factors of the learning rates, by name."""
        settings, scales = self._training_settings(), scales or {}
        rates = {name: getattr(settings, f"lr_{name}") * scales.get(name, 1.0) for name in self.local}
        return [ParameterGroup(name, (p,), rates[name], schedules[name], "splats", epsilon=SPLAT_EPSILON) for name, p in self.local.items()]

    def begin_step(self, step: int) -> Hashable:
        """The SH degree and how often the splats changed decide what a step launches."""
        settings = self._training_settings()
        self._sh_degree = settings.sh_degree if settings.sh_every <= 0 else min(settings.sh_degree, step // settings.sh_every)
        return self._sh_degree, self._density.changes if self._density else 0

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

    def kept(self, step: int) -> Tensor:
        """Which splats stay after a density step: bool [N]."""
        raise NotImplementedError

    def large(self) -> Tensor:
        """Which splats are split rather than cloned: bool [N]."""
        raise NotImplementedError

    def continue_as(self, parents: Tensor, local: Mapping[str, Tensor]) -> None:
        """Put other splats in the place of all present ones. parents: int64 [M] which of those each comes from."""
        raise NotImplementedError

    def buffers_to_restore(self) -> Sequence[Tensor]:
        return ()

    def local_state(self) -> dict[str, Any]:
        """What training changes of the splats."""
        return {"local": {name: value.detach() for name, value in self.local.items()}, "density": self._density.state() if self._density else {}}

    def load_density(self, state: Mapping[str, Any]) -> None:
        """The density control's part of `local_state`."""
        if self._density:
            self._density.load(state["density"])

    def export_local(self) -> dict[str, np.ndarray]:
        """The arrays of LOCAL."""
        return {name: value.detach().cpu().numpy() for name, value in self.local.items()}

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Move everything to a device."""
        super().to(*args, **kwargs)
        if self._density:
            self._density.to(self.local["means"].device)
        return self

    def _training_settings(self) -> Any:
        if self._settings is None:
            raise ValueError("this avatar was opened for drawing; give it settings to train it")
        return self._settings


def check_local(arrays: Mapping[str, np.ndarray], path: Path, remedy: str = "") -> None:
    """Raise InputError where arrays in the shapes of LOCAL_ARRAYS are no splats."""
    check_finite({name: arrays[name] for name in LOCAL}, LARGEST_VALUE, path, remedy)
    count, coefficients = len(arrays["opacities"]), 1 + arrays["sh_rest"].shape[1]
    if count == 0 or coefficients not in (1, 4, 9, 16):
        found = f"{count} splats with {coefficients} colour coefficients"
        raise InputError("holds no splats", file=path, found=found, expected="splats with 1, 4, 9 or 16 colour coefficients", remedy=remedy)
