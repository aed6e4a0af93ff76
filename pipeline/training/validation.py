"""How well a training does on images it never sees: some views of held-out cameras and of held-out frames, rendered at an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.capture.processed import ImageSet
from pipeline.geometry.spread import spread
from pipeline.io.color_map import error_map
from pipeline.splat.splats import Views
from pipeline.splat.ssim import RADIUS, ssim_map
from pipeline.training.camera_color import as_taken_by
from pipeline.training.contract import TrainableAvatar
from pipeline.training.images import Source

IN_MEMORY = 64  # images; of more, each is read again when it is compared
Truth = tuple[Tensor, tuple[slice, slice]]


@dataclass(frozen=True)
class View:
    """An image that is not trained on. subject: number of its source."""

    subject: int
    camera: str
    frame: str


@dataclass
class Evaluation:
    """What a validation says.

    Attributes:
        values: val_psnr, val_ssim (held-out cameras at training frames), test_psnr, test_ssim (all cameras at held-out frames): means over the images, in the
            box of the subject, PSNR in dB.
        strips: by split, uint8 [H, W, 3] of its first image: truth, render, error. distributions: of the avatar's splats, by name, [N].
    """

    values: dict[str, float] = field(default_factory=dict)
    strips: dict[str, np.ndarray] = field(default_factory=dict)
    distributions: dict[str, np.ndarray] = field(default_factory=dict)


class Validation:
    """Some views of cameras and of frames that are not trained on, over white."""

    def __init__(
        self,
        sources: Sequence[Source],
        held_out: Sequence[Sequence[str]],
        device: torch.device,
        test_frames: Sequence[Sequence[str]] = (),
        images: int = 4,
    ):
        """Args: held_out, test_frames: cameras and frames of each source. images: of each split, spread over subjects, cameras and frames; 0 = all."""
        tests = test_frames or [()] * len(sources)
        val = [View(s, camera, frame) for s, source in enumerate(sources) for camera in held_out[s] for frame in source.frames]
        test = [View(s, camera, frame) for s, source in enumerate(sources) for camera in (*held_out[s], *source.cameras) for frame in tests[s]]
        self._device, self._sources = device, sources
        self.views = {split: [views[i] for i in spread(len(views), images or len(views))] for split, views in (("val", val), ("test", test)) if views}
        self._map_of = {key: i for i, key in enumerate((s, camera) for s, source in enumerate(sources) for camera in source.cameras)}
        self._keep = sum(map(len, self.views.values())) <= IN_MEMORY
        self._kept: dict[View, Truth] = {}

    def __bool__(self) -> bool:
        return bool(self.views)

    @torch.no_grad()
    def run(self, avatar: TrainableAvatar, color_maps: Tensor | None = None) -> Evaluation:
        """Render every view as evaluation will. color_maps: [C, 3, 4] of the training cameras of all sources in order; None = the avatar's own colours."""
        avatar.eval()
        result = Evaluation()
        for split, views in self.views.items():
            figures = []
            for view in views:
                truth, (rows, columns) = self._truth(view)
                state, image = self._render(avatar, view, color_maps)
                a, b = image[None, rows, columns], truth[None, rows, columns]
                figures.append(torch.stack([-10 * (a - b).square().mean().clamp_min(1e-10).log10(), _mean_ssim(a, b)]))
                if split not in result.strips:
                    result.strips[split] = _strip(truth.cpu().numpy(), image.cpu().numpy())
                    result.distributions = result.distributions or _distributions(state)
            result.values |= dict(zip((f"{split}_psnr", f"{split}_ssim"), torch.stack(figures).mean(0).tolist()))
        avatar.train()
        return result

    def _render(self, avatar: TrainableAvatar, view: View, color_maps: Tensor | None) -> tuple[Any, Tensor]:
        """The posed avatar, and its image [H, W, 3] over white."""
        source = self._sources[view.subject]
        state = avatar.pose(source.index.index(view.frame), view.subject)
        drawn = avatar.draw(state, Views.from_cameras([source.images.by_name[view.camera]], self._device))
        number = self._map_of.get((view.subject, view.camera))
        color = None if color_maps is None or number is None else color_maps[number]
        return state, (as_taken_by(drawn.image[0], drawn.alpha[0], color) + 1 - drawn.alpha[0, ..., None]).clamp(0, 1)

    def _truth(self, view: View) -> Truth:
        """The image [H, W, 3] over white, and rows and columns of the subject (all, where there is none)."""
        if view in self._kept:
            return self._kept[view]
        truth = _over_white(self._sources[view.subject].images, view.camera, view.frame, self._device)
        if self._keep:
            self._kept[view] = truth
        return truth


def _over_white(images: ImageSet, camera: str, frame: str, device: torch.device) -> Truth:
    rgba = images.open(camera).read(frame).astype(np.float32) / 255
    rows, columns = (np.flatnonzero((rgba[..., 3] > 0.5).any(axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if len(rows) else (slice(None), slice(None))
    return torch.from_numpy(rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]).to(device), box


def _mean_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Over windows that are whole, where there are some."""
    similarity = ssim_map(a, b)
    whole = similarity[:, RADIUS:-RADIUS, RADIUS:-RADIUS]
    return (whole if whole.numel() else similarity).mean()


def _distributions(state: Any) -> dict[str, np.ndarray]:
    """Opacities of the splats, and how many lie on each triangle that has some."""
    found = {}
    if (splats := getattr(state, "splats", None)) is not None:
        found["opacity"] = splats.opacities.sigmoid().flatten().cpu().numpy()
    if (binding := getattr(state, "binding", None)) is not None:
        found["splats_per_triangle"] = np.unique(binding.cpu().numpy(), return_counts=True)[1]
    return found


def _strip(truth: np.ndarray, shown: np.ndarray) -> np.ndarray:
    return np.concatenate([np.round(truth * 255).astype(np.uint8), np.round(shown * 255).astype(np.uint8), error_map(shown, truth)], axis=1)
