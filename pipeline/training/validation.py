"""How well a training does on images it never sees: a few views of held-out cameras, rendered at an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.capture.processed import ImageSet
from pipeline.io.color_map import error_map
from pipeline.splat.splats import Views
from pipeline.training.contract import TrainableAvatar
from pipeline.training.images import Source

MOST_VIEWS = 4


class Validation:
    """Some views of cameras that are not trained on, over white."""

    def __init__(self, sources: Sequence[Source], held_out: Sequence[Sequence[str]], device: torch.device):
        """Args: held_out: cameras of each source. The views are spread over subjects, cameras and training frames."""
        every = [(s, camera, frame) for s, source in enumerate(sources) for camera in held_out[s] for frame in source.frames]
        picks = np.unique(np.linspace(0, len(every) - 1, MOST_VIEWS).round().astype(int)).tolist() if every else []
        self._device, self._sources = device, sources
        self._views = [(*every[i], *_over_white(sources[every[i][0]].images, every[i][1], every[i][2], device)) for i in picks]

    def __bool__(self) -> bool:
        return bool(self._views)

    @torch.no_grad()
    def run(self, avatar: TrainableAvatar) -> tuple[float, np.ndarray]:
        """Mean PSNR in dB over the subject's box in every view; and an image uint8 [H, W, 3] of the first one: truth, render, error."""
        avatar.eval()
        errors, images = [], []
        for subject, camera, frame, truth, box in self._views:
            source = self._sources[subject]
            views = Views.from_cameras([source.images.by_name[camera]], self._device)
            drawn = avatar.draw(avatar.pose(source.index.index(frame), subject), views)
            images.append((drawn.image + 1 - drawn.alpha[..., None])[0].clamp(0, 1))
            errors.append((images[-1] - truth)[box].square().mean())
        avatar.train()
        shown, truth = images[0].cpu().numpy(), self._views[0][3].cpu().numpy()
        strip = np.concatenate([_bytes(truth), _bytes(shown), error_map(shown, truth)], axis=1)
        return float((-10 * torch.stack(errors).clamp_min(1e-10).log10()).mean()), strip


def _over_white(images: ImageSet, camera: str, frame: str, device: torch.device) -> tuple[Tensor, tuple[slice, slice]]:
    """The training image [H, W, 3] of a camera over white, and rows and columns of the subject (all, where there is none)."""
    rgba = images.open(camera).read(frame).astype(np.float32) / 255
    rows, columns = (np.flatnonzero((rgba[..., 3] > 0.5).any(axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if len(rows) else (slice(None), slice(None))
    return torch.from_numpy(rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]).to(device), box


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.round(image * 255).astype(np.uint8)
