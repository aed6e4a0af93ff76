"""The splats' own loss terms: near their triangles, small, decided, round."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.avatars.rigged.settings import SPLAT_TERMS
from pipeline.machine.backend import backend_of


def splat_terms(
    local: Mapping[str, Tensor], weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor
) -> dict[str | tuple[str, ...], Tensor]:
    """Weighted terms of splats in the frames of their triangles.

    position and scale: arXiv 2312.02069, eqs. 8 and 9; opacity: o (1 - o); anisotropy: the ratio of the longest to the middle axis beyond a threshold.

    Args:
        local: means [N, 3], log_scales [N, 3], opacities [N]. weights: by term; terms of weight 0 are left out. visible: bool [N].
    """
    if not any(weights.get(name, 0) > 0 for name in SPLAT_TERMS):
        return {}
    if backend_of(local["means"], "splat_terms") == "gpu":
        from pipeline.avatars.rigged import regularise_gpu

        return {SPLAT_TERMS: regularise_gpu.splat_terms(local, weights, thresholds, visible)}
    return splat_terms_reference(local, weights, thresholds, visible)


def splat_terms_reference(
    local: Mapping[str, Tensor], weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor
) -> dict[str | tuple[str, ...], Tensor]:
    """`splat_terms` in plain torch."""
    terms = {
        "position": lambda: _mean_over((local["means"].norm(dim=1) - thresholds["position"]).relu(), visible),
        "scale": lambda: _mean_over((local["log_scales"].exp() - thresholds["scale"]).relu().square().sum(1).add(1e-12).sqrt(), visible),
        "opacity": lambda: _undecided(local["opacities"]),
        "anisotropy": lambda: _mean_over(_elongation(local["log_scales"], thresholds["anisotropy"]), visible),
    }
    return {name: weights[name] * terms[name]() for name in terms if weights.get(name, 0) > 0}


def metric_terms(
    local: Mapping[str, Tensor], sizes: Tensor, weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor
) -> dict[str | tuple[str, ...], Tensor]:
    """The terms position and scale in metres, by axis beyond the threshold, as GaussianAvatars' options metric_xyz and metric_scale.

    Args:
        sizes: [N] metres of the triangle that a splat is bound to. weights: those of the terms to compute.
    """
    lengths = {"position": local["means"].abs(), "scale": local["log_scales"].exp()}
    beyond = {name: (lengths[name] * sizes[:, None] - thresholds[name]).relu().square().sum(1).add(1e-12).sqrt() for name in weights}
    return {name: weights[name] * _mean_over(beyond[name], visible) for name in weights}


def _mean_over(values: Tensor, visible: Tensor) -> Tensor:
    return (values * visible).sum() / visible.sum().clamp_min(1)


def _undecided(opacities: Tensor) -> Tensor:
    opacity = torch.sigmoid(opacities)
    return (opacity * (1 - opacity)).mean()


def _elongation(log_scales: Tensor, margin: float) -> Tensor:
    ordered = log_scales.sort(dim=1).values
    return ((ordered[:, 2] - ordered[:, 1]).exp() - margin).relu()
