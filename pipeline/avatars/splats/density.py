"""Density control: splats where the images ask for them, none where they do nothing (Kerbl et al. 2023, section 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline.avatars.splats.settings import SplatTrainSettings
from pipeline.geometry.rotations import quat_rotate
from pipeline.machine.backend import backend_of
from pipeline.training.optimiser import Optimiser

SPLIT_SHRINK = 1.6  # a split splat's children are this much smaller (Kerbl et al. 2023)


class DensifiedAvatar(Protocol):
    """Splats with `local` parameters [N, ...] by name; see `SplatAvatar`."""

    local: nn.ParameterDict

    def kept(self, step: int) -> Tensor: ...

    def large(self) -> Tensor: ...

    def continue_as(self, parents: Tensor, local: Mapping[str, Tensor]) -> None: ...


class DensityControl:
    """Accumulates the gradients of the splats' places on the screen and, at the scheduled steps, adds and removes splats.

    Attributes:
        changes: how often the splats, and so all their tensors, were replaced.
    """

    _grad_accum: Tensor
    _visible_count: Tensor

    def __init__(self, settings: SplatTrainSettings, count: int, device: torch.device):
        self._settings, self._start = settings, count
        self._generator = torch.Generator().manual_seed(settings.seed)
        self.changes = 0
        self._reset(count, device)

    def accumulate(self, screen_gradient: Tensor, radii: Tensor, size: tuple[int, int], skip: Tensor) -> None:
        """Add the statistics of V views.

        Args:
            screen_gradient: per pixel [V, N, 2], or [V, N, 4] with absolute gradients behind, which are then what counts. radii: [V, N] pixels.
            size: width and height of the images. skip: [], not 0 = add nothing.
        """
        if backend_of(screen_gradient, "density") == "gpu":
            from pipeline.avatars.splats.density_gpu import accumulate

            accumulate(screen_gradient, radii, size, skip, self._grad_accum, self._visible_count)
            return
        half = 0.5 * screen_gradient.new_tensor(size)
        keep = (skip == 0).float()
        self._grad_accum += keep * (screen_gradient[..., -2:] * half).norm(dim=-1).sum(0)
        self._visible_count += keep * (radii > 0).sum(0)

    def is_due(self, step: int) -> bool:
        """Whether splats change after `step` steps."""
        return self._refines(step) or self._resets(step)

    def after_step(self, step: int, avatar: DensifiedAvatar, optimiser: Optimiser) -> None:
        """Add, remove or fade splats where the schedule says so."""
        if self._refines(step):
            parents, local, sources = self._refine(step, avatar)
            avatar.continue_as(parents, local)
            for name, parameter in avatar.local.items():
                optimiser.replace(name, parameter, sources)
            self._reset(len(parents), parents.device)
        if self._resets(step):
            reset = self._settings.reset_opacity
            with torch.no_grad():
                avatar.local["opacities"].clamp_(max=math.log(reset / (1 - reset)))
            optimiser.reset_state("opacities")
            self.changes += 1

    def to(self, device: torch.device) -> None:
        """Move the statistics to a device."""
        self._grad_accum, self._visible_count = self._grad_accum.to(device), self._visible_count.to(device)

    def state(self) -> dict[str, Any]:
        statistics = {"grad_accum": self._grad_accum, "visible_count": self._visible_count}
        return {**statistics, "start": self._start, "generator": self._generator.get_state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        self.changes += 1
        self._grad_accum, self._visible_count, self._start = state["grad_accum"], state["visible_count"], state["start"]
        self._generator.set_state(state["generator"].cpu())

    def _refines(self, step: int) -> bool:
        settings = self._settings
        return settings.densify_from <= step <= settings.densify_until and (step - settings.densify_from) % settings.densify_every == 0

    def _resets(self, step: int) -> bool:
        settings, every = self._settings, self._settings.opacity_reset_every
        return step > 0 and (step == settings.opacity_reset_at or bool(every and step % every == 0 and step <= settings.densify_until))

    def _allowance(self, step: int) -> int:
        """How many splats there may be after a density step: grows evenly from the first number to `max_splats`."""
        settings = self._settings
        events = (settings.densify_until - settings.densify_from) // settings.densify_every + 1
        done = (step - settings.densify_from) // settings.densify_every + 1
        return max(self._start, round(self._start + (settings.max_splats - self._start) * min(done / events, 1.0)))

    def _refine(self, step: int, avatar: DensifiedAvatar) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Which splat each new one comes from, the new values, and the old row that each continues, -1 for new ones."""
        settings = self._settings
        local = {name: value.detach() for name, value in avatar.local.items()}
        keep = avatar.kept(step)
        gradient = torch.where(keep & (self._visible_count > 0), self._grad_accum / self._visible_count.clamp_min(1), 0)
        budget = self._allowance(step) - int(keep.sum())
        grow = top_k(gradient, settings.densify_gradient, max(budget, 0))
        large = avatar.large()
        split, clone = grow & large, grow & ~large
        kept, clones, halves = (torch.nonzero(mask).squeeze(1) for mask in (keep & ~split, clone, split))
        parents = torch.cat([kept, clones, halves, halves])
        children = split_children({name: value[halves] for name, value in local.items()}, self._generator)
        values = {name: torch.cat([value[kept], value[clones], children[name]]) for name, value in local.items()}
        is_new = torch.arange(len(parents), device=parents.device) >= len(kept)
        return parents, values, torch.where(is_new, -1, parents)

    def _reset(self, count: int, device: torch.device) -> None:
        self.changes += 1
        self._grad_accum, self._visible_count = (torch.zeros(count, device=device) for _ in range(2))


def top_k(gradient: Tensor, threshold: float, count: int) -> Tensor:
    """The at most `count` splats with the largest gradient above `threshold`: bool [N]."""
    mask = torch.zeros_like(gradient, dtype=torch.bool)
    best = torch.topk(gradient, min(count, len(gradient)))
    mask[best.indices[best.values > threshold]] = True
    return mask


def split_children(local: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Two smaller splats in the place of each of M: first ones, then second ones, [2M, ...].

    Their places are drawn from the parent itself. Everything here is in the units and axes of the parameters (where splats lie on triangles: those of the triangle), so the draw
    needs no conversion; drawn in metres it would have to be divided by the size and turned back (published code adds metres to local units, and its children
    coincide).
    """
    twice = {name: torch.cat([value, value]) for name, value in local.items()}
    noise = torch.randn(twice["means"].shape, generator=generator).to(twice["means"])
    offset = quat_rotate(torch.nn.functional.normalize(twice["quats"], dim=1), noise * twice["log_scales"].exp())
    return {**twice, "means": twice["means"] + offset, "log_scales": twice["log_scales"] - math.log(SPLIT_SHRINK)}
