"""The `rigged` method: splats bound to the triangles of the fitted mesh (GaussianAvatars, arXiv 2312.02069)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.avatars.rigged.binding import bind
from pipeline.avatars.rigged.posed_body import Rig
from pipeline.geometry.triangle_frames import triangle_frames
from pipeline.machine.backend import backend_of
from pipeline.splat.splats import Splats

LOCAL = ("means", "quats", "log_scales", "opacities", "sh_dc", "sh_rest")


class RiggedAvatar(nn.Module):
    """N splats in the frames of the triangles of a rig.

    Attributes:
        binding: int64 [N] triangle of each splat.
        local: parameters of the splats: means [N, 3] and log_scales [N, 3] in units of the triangle's size, quats [N, 4], opacities [N] logits,
            sh_dc [N, 1, 3], sh_rest [N, K - 1, 3]. Spherical harmonics stay in world axes.
    """

    def __init__(self, rig: Rig):
        super().__init__()
        self.rig = rig
        self.frames = rig.frames
        self.register_buffer("binding", torch.zeros(0, dtype=torch.int64))
        self.local = nn.ParameterDict()

    @property
    def splat_count(self) -> int:
        return len(self.binding)

    def initialise(self, arrays: Mapping[str, np.ndarray], sh_degree: int | None = None) -> None:
        """Take over `binding` and the arrays named in LOCAL, of init.npz or avatar.npz; colours get room for `sh_degree` (None: as the arrays have them)."""
        local = {name: torch.from_numpy(np.asarray(arrays[name], np.float32)) for name in LOCAL}
        if sh_degree is not None:
            given = local["sh_rest"]
            local["sh_rest"] = torch.zeros(len(given), (sh_degree + 1) ** 2 - 1, 3)
            shared = min(given.shape[1], local["sh_rest"].shape[1])
            local["sh_rest"][:, :shared] = given[:, :shared]
        self.set_splats(torch.from_numpy(arrays["binding"]), local)

    def set_splats(self, binding: Tensor, local: Mapping[str, Tensor]) -> None:
        """Put other splats in the place of all present ones."""
        device = self.rig.offsets.device
        self.binding = binding.to(device)
        self.local = nn.ParameterDict({name: nn.Parameter(local[name].detach().to(device).contiguous()) for name in LOCAL})

    def splats(self, frame: int | Tensor) -> Splats:
        """World-space splats at an instant; see `Avatar.splats`."""
        local = self.local
        world = bind(self.rig.vertices(frame), self.rig.faces, self.binding, local["means"], local["quats"], local["log_scales"])
        return Splats(*world, local["opacities"], torch.cat([local["sh_dc"], local["sh_rest"]], dim=1))

    def to(self, device: torch.device | str) -> RiggedAvatar:  # type: ignore[override]
        """Move everything to a device."""
        self.rig.to(device)
        return super().to(device)

    def triangle_sizes(self) -> Tensor:
        """Size of every triangle [F], metres, at the first frame."""
        with torch.no_grad():
            return triangle_frames(self.rig.vertices(0), self.rig.faces)[2]

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        return {**dict(self.local.items()), "offsets": self.rig.offsets}

    def tables_by_name(self) -> dict[str, Tensor]:
        return self.rig.tables()

    def row_gradients(self) -> dict[str, Tensor]:
        return self.rig.row_gradients()

    def regularise(self, weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor) -> dict[str, Tensor]:
        """Terms position and scale (arXiv 2312.02069, eqs. 8 and 9), opacity, anisotropy, laplacian, pose; see `Avatar.regularise`."""
        on_gpu = backend_of(self.local["means"], "splat_terms") == "gpu"
        terms = (self.splat_terms_on_gpu if on_gpu else self.splat_terms)(weights, thresholds, visible)
        for name, term in (("laplacian", self.rig.roughness), ("pose", self.rig.deviation)):
            if weights.get(name, 0) > 0 and not self.rig.frozen:
                terms[name] = weights[name] * term()
        return terms

    def splat_terms(self, weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor) -> dict[str, Tensor]:
        """The terms that concern splats alone."""
        local = self.local
        terms = {
            "position": lambda: _mean_over((local["means"].norm(dim=1) - thresholds["position"]).relu(), visible),
            "scale": lambda: _mean_over((local["log_scales"].exp() - thresholds["scale"]).relu().square().sum(1).add(1e-12).sqrt(), visible),
            "opacity": lambda: _undecided(local["opacities"]),
            "anisotropy": lambda: _mean_over(_elongation(local["log_scales"], thresholds["anisotropy"]), visible),
        }
        return {name: weights[name] * terms[name]() for name in terms if weights.get(name, 0) > 0}

    def splat_terms_on_gpu(self, weights: Mapping[str, float], thresholds: Mapping[str, float], visible: Tensor) -> dict[str, Tensor]:
        """The same, summed, in one pass."""
        from pipeline.avatars.rigged.regularise_gpu import splat_terms

        return {"splats": splat_terms(self.local, weights, thresholds, visible).sum()}

    def state(self) -> dict[str, Any]:
        return {"binding": self.binding, "local": {name: value.detach() for name, value in self.local.items()}, "rig": self.rig.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.set_splats(state["binding"], state["local"])
        self.rig.load(state["rig"])

    def changes(self) -> dict[str, Any]:
        """What training changed in the rig; see `Rig.changes`."""
        return self.rig.changes()

    def export(self) -> dict[str, np.ndarray]:
        """The arrays of the splats (`binding` and LOCAL) and of the rig (as in fit.npz)."""
        splats = {name: value.detach().cpu().numpy() for name, value in self.local.items()}
        return {"binding": self.binding.cpu().numpy(), **splats, **self.rig.export()}


def _mean_over(values: Tensor, visible: Tensor) -> Tensor:
    return (values * visible).sum() / visible.sum().clamp_min(1)


def _undecided(opacities: Tensor) -> Tensor:
    opacity = torch.sigmoid(opacities)
    return (opacity * (1 - opacity)).mean()


def _elongation(log_scales: Tensor, free: float) -> Tensor:
    ordered = log_scales.sort(dim=1).values
    return ((ordered[:, 2] - ordered[:, 1]).exp() - free).relu()
