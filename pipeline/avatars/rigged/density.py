"""Density control: splats where the pictures ask for them, none where they do nothing (Kerbl et al. 2023, section 5; binding inheritance of arXiv 2312.02069).

Children are bound to the triangle of their parent. No triangle that has splats loses its last one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.geometry.rotations import quat_rotate
from pipeline.training.optimiser import Optimiser
from pipeline.training.schedules import is_density_step, splat_allowance
from pipeline.training.settings import TrainSettings

SPLIT_SHRINK = 1.6  # a split splat's children are this much smaller (Kerbl et al. 2023)


@dataclass(frozen=True)
class Change:
    """What became of the splats: `sources` int64 [N] old row of each new one; `fresh` bool [N] made just now; `local` and `binding` their values."""

    binding: Tensor
    local: dict[str, Tensor]
    sources: Tensor
    fresh: Tensor


class DensityControl:
    """Watches how strongly the pictures pull at each splat and, at the scheduled steps, adds and removes splats."""

    def __init__(self, avatar: RiggedAvatar, settings: TrainSettings):
        self._settings = settings
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._start = len(avatar.binding)
        self.changes = 0  # how often the splats, and so all their tensors, became others
        self._reset(avatar)

    def watch(self, screen_gradient: Tensor, radii: Tensor, size: tuple[int, int], skip: Tensor) -> None:
        """Add one view's statistics.

        Args:
            screen_gradient: per pixel [N, 2], or [N, 4] with absolute gradients behind, which are then what counts. radii: [N] pixels.
            size: width and height of the whole picture. skip: [], not 0 = add nothing.
        """
        if screen_gradient.is_cuda:
            from pipeline.avatars.rigged import density_gpu  # Triton is there where CUDA is

            density_gpu.watch(screen_gradient, radii, size, skip, self._pull, self._seen)
            return
        if skip == 0:
            half = 0.5 * screen_gradient.new_tensor(size)
            self._pull += (screen_gradient[:, -2:] * half).norm(dim=1)
            self._seen += radii > 0

    def after_step(self, step: int, avatar: RiggedAvatar, optimiser: Optimiser) -> None:
        """Add, remove or fade splats where the schedule says so."""
        settings = self._settings
        if is_density_step(step, settings):
            change = self._refine(step, avatar)
            avatar.set_splats(change.binding, change.local)
            sources = torch.where(change.fresh, -1, change.sources)
            for name, parameter in avatar.local.items():
                optimiser.replace(name, parameter, sources)
            self._reset(avatar)
        if settings.opacity_reset_every and step and step % settings.opacity_reset_every == 0 and step <= settings.densify_until:
            with torch.no_grad():
                avatar.local["opacities"].clamp_(max=math.log(settings.reset_opacity / (1 - settings.reset_opacity)))
            optimiser.forget("opacities")
            self.changes += 1

    def state(self) -> dict[str, Any]:
        return {"pull": self._pull, "seen": self._seen, "start": self._start, "generator": self._generator.get_state()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.changes += 1
        self._pull, self._seen, self._start = state["pull"], state["seen"], state["start"]
        self._generator.set_state(state["generator"].cpu())

    def _refine(self, step: int, avatar: RiggedAvatar) -> Change:
        settings = self._settings
        local = {name: value.detach() for name, value in avatar.local.items()}
        faces = len(avatar.rig.faces)
        keep = kept_after_pruning(torch.sigmoid(local["opacities"]), avatar.binding, faces, settings.prune_opacity)
        pull = torch.where(keep & (self._seen > 0), self._pull / self._seen.clamp_min(1), 0)
        room = splat_allowance(step, self._start, settings) - int(keep.sum())
        wanted = strongest(pull, settings.densify_gradient, max(room, 0))
        large = local["log_scales"].amax(1) > math.log(settings.densify_scale)
        split, clone = (wanted & chosen for chosen in (large, ~large))
        kept = torch.nonzero(keep & ~split).squeeze(1)
        clones, halves = (torch.nonzero(chosen).squeeze(1) for chosen in (clone, split))
        sources = torch.cat([kept, clones, halves, halves])
        children = split_children({name: value[halves] for name, value in local.items()}, self._generator)
        values = {name: torch.cat([value[kept], value[clones], children[name]]) for name, value in local.items()}
        fresh = torch.arange(len(sources), device=sources.device) >= len(kept)
        return Change(avatar.binding[sources], values, sources, fresh)

    def _reset(self, avatar: RiggedAvatar) -> None:
        self.changes += 1
        self._pull = torch.zeros(len(avatar.binding), device=avatar.binding.device)
        self._seen = torch.zeros_like(self._pull)


def strongest(pull: Tensor, threshold: float, room: int) -> Tensor:
    """The at most `room` splats with the strongest pull above `threshold`: bool [N]."""
    chosen = torch.zeros_like(pull, dtype=torch.bool)
    best = torch.topk(pull, min(room, len(pull)))
    chosen[best.indices[best.values > threshold]] = True
    return chosen


def kept_after_pruning(opacity: Tensor, binding: Tensor, faces: int, threshold: float) -> Tensor:
    """Which splats stay: bool [N]. Faint ones go, except the least faint one of a triangle that would be left with none."""
    keep = opacity >= threshold
    peak = torch.full((faces,), -1.0, device=opacity.device).scatter_reduce(0, binding, torch.where(keep, 2.0, opacity), "amax")
    rows = torch.arange(len(binding), device=opacity.device)
    least_faint = torch.where(opacity == peak[binding], rows, len(rows))  # a triangle that keeps a splat has peak 2, which no opacity reaches
    first = torch.full((faces,), len(rows), device=opacity.device).scatter_reduce(0, binding, least_faint, "amin")
    return keep | (rows == first[binding])


def split_children(local: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Two smaller splats in the place of each of M: first ones, then second ones, [2M, ...].

    Their places are drawn from the parent itself. Everything here is in units of the triangle's size and in its axes, so the draw needs no conversion; drawn in
    metres it would have to be divided by the size and turned back (the published code adds metres to local units, and its children coincide).
    """
    twice = {name: torch.cat([value, value]) for name, value in local.items()}
    noise = torch.randn(twice["means"].shape, generator=generator).to(twice["means"])
    offset = quat_rotate(torch.nn.functional.normalize(twice["quats"], dim=1), noise * twice["log_scales"].exp())
    return {**twice, "means": twice["means"] + offset, "log_scales": twice["log_scales"] - math.log(SPLIT_SHRINK)}
