"""The scene of the benchmarks: splats on an ellipsoid of the size of a head that fills most of the image."""

from __future__ import annotations

import math

import torch

from pipeline.splat.harmonics import SH_C0
from pipeline.splat.splats import Splats, Views


def head(count: int, width: int, height: int, degree: int) -> tuple[Splats, Views]:
    """Half axes 8, 12, 10 cm, 1 m from the one camera, 30 cm in the image's height."""
    g = torch.Generator().manual_seed(0)
    coefficients = (degree + 1) ** 2
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=1)
    means = directions * torch.tensor([0.08, 0.12, 0.10]) * (1 + 0.02 * torch.randn(count, 1, generator=g))
    log_scales = math.log(0.12 / math.sqrt(count)) + 0.5 * torch.randn(count, 3, generator=g)
    sh = torch.cat([(torch.rand(count, 1, 3, generator=g) - 0.5) / SH_C0, 0.05 * torch.randn(count, coefficients - 1, 3, generator=g)], dim=1)
    splats = Splats(means, torch.randn(count, 4, generator=g), log_scales, 2 * torch.randn(count, generator=g) + 0.5, sh)
    focal = height / 0.30
    K = torch.tensor([[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]])
    return splats, Views(K, torch.eye(3)[None], torch.tensor([[0.0, 0.0, 1.0]]), width, height)


def orbit(views: Views, count: int) -> Views:
    """The one view, and `count` - 1 more on a circle about the head's vertical axis."""
    angles = torch.arange(count) * (2 * math.pi / count)
    zero, one = torch.zeros(count), torch.ones(count)
    turn = torch.stack([angles.cos(), zero, angles.sin(), zero, one, zero, -angles.sin(), zero, angles.cos()], dim=-1).view(count, 3, 3)
    return Views(views.K.repeat(count, 1, 1), views.R @ turn, views.t.repeat(count, 1), views.width, views.height)
