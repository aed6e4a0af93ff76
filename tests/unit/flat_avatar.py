"""An avatar of a few numbers and captures of a few pixels: all that the training room needs, at next to no cost."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, ImageSet, frame_id, read_image_set, write_image_set
from pipeline.io.arrays import save_npz
from pipeline.io.packed import packed_writer
from pipeline.training.checkpoint import Keys
from pipeline.training.contract import Rendering
from pipeline.training.curve import CURVE
from pipeline.training.images import Source, TrainingImages
from pipeline.training.loop import Places, train
from pipeline.training.parameters import ParameterGroup, exponential
from pipeline.training.rows import Rows, select_rows
from pipeline.training.settings import TrainSettings
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Validation

KEYS = Keys("this one", "its like")
SETTINGS = TrainSettings(iterations=24, log_every=4, checkpoint_seconds=1e9)
FRAMES = tuple(frame_id("take", i) for i in range(3))
SIZES = ((12, 10), (12, 10))


def image_set(folder: Path, sizes: Sequence[tuple[int, int]], read: Any) -> ImageSet:
    """Images `read(camera number, name)` of cameras c0, c1, ... of these sizes (width, height): every frame, and `visible` where that is not None."""
    cameras = []
    for number, (width, height) in enumerate(sizes):
        K = np.array([[20.0, 0, width / 2], [0, 20.0, height / 2], [0, 0, 1]])
        cameras.append(Camera(f"c{number}", width, height, K, np.eye(3), np.array([0.01 * number, 0, 1])))
        with packed_writer(folder / f"c{number}.zip") as writer:
            for name in (*FRAMES, "visible"):
                image = read(number, name)
                if image is not None:
                    writer.add(name, image)
    frames = tuple(Frame(name, "take", i, i / 25) for i, name in enumerate(FRAMES))
    write_image_set(folder.with_suffix(".json"), folder, tuple(cameras), frames, {})
    return read_image_set(folder.with_suffix(".json"), folder)


def source(folder: Path, sizes: Sequence[tuple[int, int]] = SIZES, masks: Mapping[int, np.ndarray] | None = None, seed: int = 0) -> Source:
    """A subject of random images. masks: uint8 [H, W] by camera number, 0 where the raw image had no pixel."""
    rng = np.random.default_rng(seed)
    images = image_set(folder / "alpha", sizes, lambda c, name: None if name == "visible" else rng.integers(0, 256, (*sizes[c][::-1], 4), dtype=np.uint8))
    processed = None
    if masks is not None:
        processed = image_set(folder / "frames", sizes, lambda c, name: masks.get(c) if name == "visible" else np.zeros(sizes[c][::-1], np.uint8))
    return Source(images, [camera.name for camera in images.cameras], FRAMES, FRAMES, processed)


@dataclass(frozen=True, eq=False)
class FlatState:
    """A colour [3] at an instant, and the rows it was made of."""

    color: Tensor
    rows: Sequence[Rows]


class FlatAvatar(nn.Module):
    """One colour for the whole image, from a group of each kind: splats (`colors` [N, 3], their mean), a network (`net`) of a row of a table (`codes`).

    Attributes:
        step: the one that began last. mean: a running mean that drawing changes, as normalisation layers do. noise: amount of it from torch's generator.
        bad: name of the loss term that has no finite value or gradient, and the step at which. late: the step from which there is a term more.
    """

    def __init__(self, settings: TrainSettings = SETTINGS, frames: int = len(FRAMES), noise: float = 0.0, late: int = 10**9, subjects: int = 1):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self._settings, self._frames, self.noise, self.late = settings, frames, noise, late
        self.subjects = {f"s{number}": FRAMES[:frames] for number in range(subjects)}
        self.colors = nn.Parameter(torch.randn(4, 3, generator=generator))
        self.net = nn.Linear(2, 3)
        with torch.no_grad():
            self.net.weight.copy_(torch.randn(3, 2, generator=generator))
            self.net.bias.zero_()
        self.register_buffer("codes", torch.randn(subjects * frames, 2, generator=generator))
        self.register_buffer("mean", torch.zeros(3))
        self.step, self.bad = 0, ("", -1)

    @property
    def splat_count(self) -> int:
        return len(self.colors)

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        schedule = exponential(self._settings.lr_end, self._settings.iterations)
        return [
            ParameterGroup("colors", (self.colors,), 0.05, schedule, "splats"),
            ParameterGroup("net", tuple(self.net.parameters()), 0.02, weight_decay=0.1, max_norm=0.5),
            ParameterGroup("codes", (self.codes,), 0.02, kind="rows"),
        ]

    def begin_step(self, step: int) -> object:
        self.step = step
        return step >= self.late, step == self.bad[1]

    def pose(self, frame: int | Tensor, subject: int | Tensor = 0) -> FlatState:
        rows = select_rows({"codes": self.codes}, frame + self._frames * subject)
        return FlatState(torch.sigmoid(self.colors.mean(0) + self.net(rows.values()["codes"])), (rows,))

    def body_of(self, subject: int = 0) -> None:
        return None

    def draw(self, state: FlatState, views: Any, workspace: object = None) -> Rendering:
        color = state.color
        if self.training:
            color = color + self.noise * torch.rand(3, device=color.device) - 0.1 * self.mean
            with torch.no_grad():
                self.mean.lerp_(state.color, 0.2)
        alpha = (0.5 + 0.4 * torch.tanh(state.color.mean())).expand(len(views), views.height, views.width)
        return Rendering(alpha[..., None] * color, alpha)

    def losses(self, state: FlatState, rendering: Rendering, batch: object) -> dict[str, Tensor]:
        terms = {"late": 0.01 * state.rows[0].leaf.square().sum()} if self.step >= self.late else {}
        terms["size"] = 0.01 * self.colors.square().mean()
        name, step = self.bad
        if step == self.step:
            source = {"value": state.color.sum() / 0, "colors": self.colors, "net": self.net.weight, "codes": state.rows[0].leaf}[name]
            terms["bad"] = source if name == "value" else (0 * source).sum().sqrt()  # 0, and the derivative of a root at 0 is infinite
        return terms

    def after_backward(self, rendering: Rendering, batch: object, skip: Tensor) -> None:
        pass

    def restructures_after(self, step: int) -> bool:
        return False

    def after_step(self, step: int, optimiser: object) -> None:
        pass

    def buffers_to_restore(self) -> Sequence[Tensor]:
        return (self.mean,)

    def state(self) -> dict[str, Any]:
        return self.state_dict()

    def load(self, state: Mapping[str, Any]) -> None:
        self.load_state_dict(state)

    def values(self) -> dict[str, Tensor]:
        """Copies of everything that training changes."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}


def new_trainer(*sources: Source, settings: TrainSettings = SETTINGS, avatar: FlatAvatar | None = None, memory_mb: int = 10, device: str = "cpu") -> Trainer:
    """A training of the flat avatar, ready to step."""
    counts = {"frames": settings.frames_per_step, "views": settings.views_per_frame}
    images = TrainingImages(sources, **counts, memory_mb=memory_mb, device=device, threads=2)
    return Trainer((avatar or FlatAvatar(settings, subjects=len(sources))).to(device), images, settings)


def train_to(trainer: Trainer, step: int) -> Trainer:
    """Step until `step` steps are done."""
    while trainer.done < step:
        trainer.step()
    return trainer


def places_in(folder: Path) -> Places:
    """Where `train_in` has its files."""
    return Places(folder / "work", folder / "boards", folder / "trained.pt")


def train_in(folder: Path, trainer: Trainer, keys: Keys = KEYS, held_out: Sequence[str] = (), test: Sequence[str] = ()) -> dict[str, Any]:
    """The whole loop, with its files in `folder`; returns its facts. held_out, test: cameras and frames to validate on. Snapshots hold the colours."""
    sources = trainer.images.sources
    tests = [test] * len(sources)
    validation = Validation(sources, [held_out] * len(sources), trainer.images.device, tests, trainer.settings.val_images)
    return train(trainer, validation, places_in(folder), keys, save=lambda path: save_npz(path, {"colors": trainer.avatar.colors.detach().numpy()}))


def curve_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the train.csv of `train_in`."""
    return list(csv.DictReader((folder / "work" / CURVE).read_text().splitlines()))


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether all tensors are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
