"""The toy avatar."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.body.body_pose import BodyPose
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views
from pipeline.training.contract import Rendering, Terms
from pipeline.training.images import Batch
from pipeline.training.optimiser import Optimiser
from pipeline.training.parameters import ParameterGroup, exponential
from pipeline.training.rows import Rows, row, select_rows
from tests.toy.settings import ToyTrainSettings

CHANNELS, LATENT = 8, 4
SPLATS = ("means", "quats", "log_scales", "opacities", "features")


@dataclass(frozen=True, eq=False)
class PosedToy:
    """Splats of one subject at one frame, and the latent code they were coloured with."""

    splats: Splats
    rows: Sequence[Rows] = ()


class ToyAvatar(nn.Module):
    """N splats [S, N, ...] of each of S subjects, which move with the tracked translation of their body."""

    translations: Tensor
    latents: Tensor
    first_row: Tensor

    def __init__(self, arrays: Mapping[str, np.ndarray], subjects: Mapping[str, tuple[str, ...]], settings: ToyTrainSettings | None = None):
        """Args: arrays: of init.npz or avatar.npz: the splats, `translations` [F, 3] of all frames of all subjects in order. settings: of a training."""
        super().__init__()
        self.subjects, self._settings = dict(subjects), settings
        starts = np.cumsum([0, *(len(frames) for frames in subjects.values())])
        self.register_buffer("first_row", torch.from_numpy(starts[:-1].astype(np.int64)))
        self.register_buffer("translations", _tensor(arrays["translations"]))
        self.register_buffer("latents", torch.zeros(int(starts[-1]), LATENT))
        self.splats = nn.ParameterDict({name: nn.Parameter(_tensor(arrays[name])) for name in SPLATS})
        self.network = nn.Sequential(nn.Linear(CHANNELS + LATENT, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, CHANNELS), nn.Sigmoid())
        self.refiner = nn.Sequential(nn.Conv2d(CHANNELS, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1), nn.Sigmoid())
        self._refine = True
        trained = {name: _tensor(arrays[name]) for name in self.state_dict() if name in arrays}
        self.load_state_dict(trained, strict=False)

    @property
    def splat_count(self) -> int:
        return self.splats["opacities"].numel()

    def pose(self, frame: int | Tensor | BodyPose, subject: int | Tensor = 0) -> PosedToy:
        """The splats at a tracked frame, or at the translation and the latent code of a pose."""
        rows: tuple[Rows, ...] = ()
        if isinstance(frame, BodyPose):
            translation, latent = frame.translation, frame.latents["latents"]
        else:
            at = self.first_row[subject] + frame if isinstance(subject, int) else row(self.first_row, subject) + frame
            rows = (select_rows({"latents": self.latents}, at),)
            translation, latent = row(self.translations, at), rows[0].values()["latents"]
        own = {name: row(value, subject) for name, value in self.splats.items()}
        codes = latent.expand(len(own["features"]), -1)
        features = self.network(torch.cat([own["features"], codes], dim=1))
        splats = Splats(own["means"] + translation, own["quats"], own["log_scales"], own["opacities"], features=features)
        return PosedToy(splats, rows)

    def body_of(self, subject: int = 0) -> None:
        return None

    def draw(self, state: PosedToy, views: Views, workspace: Workspace | None = None) -> Rendering:
        """Eight channels, the first three shown as colour until the refiner is switched on."""
        black = torch.zeros(CHANNELS, device=state.splats.means.device)
        drawn = rasterise(state.splats, views, black, workspace=workspace)
        image = drawn.image[..., :3]
        if self._refine:
            image = self.refiner(drawn.image.movedim(-1, 1)).movedim(1, -1) * drawn.alpha[..., None]
        return Rendering(image, drawn.alpha, drawn.depth, drawn.radii)

    @torch.no_grad()
    def centre(self, state: PosedToy) -> np.ndarray:
        return state.splats.means.mean(0).cpu().numpy().astype(np.float64)

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        settings = self._training_settings()
        fall, late = exponential(settings.lr_end, settings.iterations), exponential(settings.lr_end, settings.iterations, settings.refine_from)
        networks = [
            ParameterGroup("network", tuple(self.network.parameters()), settings.lr_network, fall, weight_decay=settings.weight_decay),
            ParameterGroup("refiner", tuple(self.refiner.parameters()), settings.lr_refiner, late, weight_decay=settings.weight_decay, max_norm=1.0),
        ]
        splats = [ParameterGroup(name, (value,), settings.lr_splats, fall, "splats", epsilon=1e-15) for name, value in self.splats.items()]
        return [*splats, *networks, ParameterGroup("latents", (self.latents,), settings.lr_latent, kind="rows")]

    def begin_step(self, step: int) -> Hashable:
        self._refine = step >= self._training_settings().refine_from
        return self._refine

    def losses(self, state: PosedToy, rendering: Rendering, batch: Batch) -> Terms:
        return {"latent": self._training_settings().lambda_latent * state.rows[0].leaf.square().mean()}

    def after_backward(self, rendering: Rendering, batch: Batch, skip: Tensor) -> None:
        """No statistics: this method adds and removes no splats."""

    def restructures_after(self, step: int) -> bool:
        return False

    def after_step(self, step: int, optimiser: Optimiser) -> None:
        """Nothing between steps."""

    def buffers_to_restore(self) -> Sequence[Tensor]:
        return list(self.refiner.buffers())

    def state(self) -> dict[str, Any]:
        return dict(self.state_dict())

    def load(self, state: Mapping[str, Any]) -> None:
        self.load_state_dict(state)

    def facts(self) -> dict[str, Any]:
        return {"latent_rms": round(float(self.latents.square().mean().sqrt()), 4)}

    def export(self) -> dict[str, np.ndarray]:
        arrays = {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}
        arrays |= {name: value.detach().cpu().numpy() for name, value in self.splats.items()}
        names = {f"frames_{i}": np.array(frames) for i, frames in enumerate(self.subjects.values())}
        return {**arrays, **names, "subjects": np.array(list(self.subjects))}

    def export_files(self, outputs: Mapping[str, Path]) -> None:
        """No further files."""

    def _training_settings(self) -> ToyTrainSettings:
        assert self._settings, "this avatar was opened for drawing"
        return self._settings


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array))
