"""How well a training does on images it never sees: a few views of held-out cameras, rendered at an interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.capture.processed import ImageSet
from pipeline.io.color_map import error_map
from pipeline.io.files import write_bytes
from pipeline.io.packed import encode_png
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
        self._views = [(*every[i], _over_white(sources[every[i][0]].images, *every[i][1:])) for i in picks]

    def __bool__(self) -> bool:
        return bool(self._views)

    @torch.no_grad()
    def run(self, avatar: TrainableAvatar) -> tuple[float, np.ndarray]:
        """Mean PSNR in dB over the subject's box in every view; and an image uint8 [H, W, 3] of the first one: truth, render, error."""
        avatar.eval()
        figures, strip = [], np.zeros((1, 1, 3), np.uint8)
        for number, (subject, camera, frame, (truth, box)) in enumerate(self._views):
            source = self._sources[subject]
            views = Views.from_cameras([source.images.by_name[camera]], self._device)
            drawn = avatar.draw(avatar.pose(source.index.index(frame), subject), views)
            image = (drawn.image + 1 - drawn.alpha[..., None])[0].clamp(0, 1).cpu().numpy()
            figures.append(-10 * np.log10(max(float(np.square(image - truth)[box].mean()), 1e-10)))
            if number == 0:
                strip = np.concatenate([_bytes(truth), _bytes(image), error_map(image, truth)], axis=1)
        avatar.train()
        return float(np.mean(figures)), strip


def save_image(folder: Path, step: int, image: np.ndarray) -> None:
    """Write a strip of `Validation.run` as <step>.png."""
    write_bytes(folder / f"{step:07d}.png", encode_png(image, level=6))


def _over_white(images: ImageSet, camera: str, frame: str) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The training image [H, W, 3] of a camera over white, and rows and columns of the subject (all, where there is none)."""
    rgba = images.open(camera).read(frame).astype(np.float32) / 255
    rows, columns = (np.flatnonzero((rgba[..., 3] > 0.5).any(axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if len(rows) else (slice(None), slice(None))
    return rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:], box


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.round(image * 255).astype(np.uint8)
