"""What changes with the step number alone."""

from __future__ import annotations

from pipeline.training.settings import TrainSettings


def learning_rate_factor(step: int, settings: TrainSettings) -> float:
    """Part of its first value that every learning rate has at `step` (0-based): log-linear from 1 to `lr_end`."""
    return settings.lr_end ** (step / max(settings.iterations - 1, 1))


def sh_degree(step: int, settings: TrainSettings) -> int:
    """Highest degree of spherical harmonics in use at `step`."""
    return settings.sh_degree if settings.sh_every <= 0 else min(settings.sh_degree, step // settings.sh_every)


def is_density_step(step: int, settings: TrainSettings) -> bool:
    """Whether splats are added and removed after `step`."""
    return settings.densify_from <= step <= settings.densify_until and (step - settings.densify_from) % settings.densify_every == 0


def splat_allowance(step: int, start: int, settings: TrainSettings) -> int:
    """How many splats there may be after the density step `step`: grows evenly from `start` to `max_splats`."""
    events = (settings.densify_until - settings.densify_from) // settings.densify_every + 1
    done = (step - settings.densify_from) // settings.densify_every + 1
    return max(start, round(start + (settings.max_splats - start) * min(done / events, 1.0)))
