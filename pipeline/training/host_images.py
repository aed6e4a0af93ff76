"""Training pictures: cut to the person, kept in bounded memory, drawn so that each comes once per epoch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.capture.processed import ImageSet
from pipeline.io.packed import PackedImages
from pipeline.splat.splats import Views

_MINIMUM_SIDE = 16  # pixels; SSIM's window needs 11


@dataclass(frozen=True)
class Cut:
    """One training picture cut to the person.

    Attributes:
        rgba: uint8 [h, w, 4] foreground colour and alpha. views: the camera of this window. camera, frame: indices, or int64 [] on the device.
        size: width and height of the whole picture. left, top: where the window starts in it.
    """

    rgba: Tensor
    views: Views
    camera: int | Tensor
    frame: int | Tensor
    size: tuple[int, int]
    left: int = 0
    top: int = 0

    def over(self, background: Tensor) -> tuple[Tensor, Tensor]:
        """Colours [h, w, 3] over `background` [3] and alpha [h, w], float32 in 0..1."""
        return rgba_over(self.rgba, background)


def rgba_over(rgba: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """Colours [h, w, 3] over `background` [3] and alpha [h, w], float32 in 0..1, of uint8 [h, w, 4]."""
    values = rgba.to(torch.float32).mul_(1 / 255)
    alpha = values[..., 3]
    return torch.addcmul(background, alpha[..., None], values[..., :3] - background), alpha


class TrainingPictures:
    """All pictures of some cameras at some frames. Read when first asked for; kept while they fit into memory."""

    def __init__(
        self,
        images: ImageSet,
        cameras: Sequence[str],
        frames: Sequence[str],
        *,
        index: Sequence[str],
        margin: float,
        memory_mb: int,
        device: torch.device | str = "cpu",
    ):
        """Args:
        images: RGBA pictures. index: all frame ids of the avatar, which give a frame its number.
        margin: border around the alpha box, as a part of the longer side.
        """
        number = {name: i for i, name in enumerate(index)}
        self.items = [(c, number[f], f) for c in range(len(cameras)) for f in frames]
        self.device, self._images, self._names = torch.device(device), images, list(cameras)
        self._views = [Views.from_cameras([images.by_name[name]], self.device) for name in cameras]
        self._margin, self._budget = margin, memory_mb * 2**20
        self._kept: dict[int, Cut] = {}
        self._open: dict[int, PackedImages] = {}
        self._reader = ThreadPoolExecutor(1)  # the one thread that touches the zips
        self._waiting: dict[int, Future[Cut]] = {}

    ahead = 1  # how many pictures before its turn one is asked for

    def __len__(self) -> int:
        return len(self.items)

    def show(self, items: Sequence[int]) -> None:
        """Say which pictures the next `cuts` are."""
        self._shown = items

    def cuts(self) -> list[Cut]:
        """The pictures of this step."""
        return [self.get(item) for item in self._shown]

    def prefetch(self, item: int) -> None:
        """Begin reading a picture that will be asked for soon."""
        if item not in self._kept and item not in self._waiting:
            self._waiting[item] = self._reader.submit(self._read, item)

    def get(self, item: int) -> Cut:
        """One picture."""
        if item in self._kept:
            return self._kept[item]
        self.prefetch(item)
        cut = self._waiting.pop(item).result()
        if cut.rgba.nbytes <= self._budget:
            self._budget -= cut.rgba.nbytes
            self._kept[item] = cut
        return cut

    def _read(self, item: int) -> Cut:
        camera, frame, name = self.items[item]
        if camera not in self._open:
            self._open[camera] = self._images.open(self._names[camera])
        rgba = self._open[camera].read(name)
        rows, columns = person_window(rgba[..., 3], self._margin)
        window = torch.from_numpy(np.ascontiguousarray(rgba[rows, columns])).to(self.device)
        whole, left, top = self._views[camera], columns.start, rows.start
        K = whole.K.clone()
        K[:, 0, 2] -= left
        K[:, 1, 2] -= top
        views = Views(K, whole.R, whole.t, window.shape[1], window.shape[0])
        return Cut(window, views, camera, frame, (whole.width, whole.height), left, top)


class Sampler:
    """Endless random order in which every item comes once per epoch; can be saved in the middle of one."""

    def __init__(self, count: int, seed: int):
        self._generator = torch.Generator().manual_seed(seed)
        self._count, self._position = count, 0
        self._order = torch.randperm(count, generator=self._generator).tolist()
        self._following = torch.randperm(count, generator=self._generator).tolist()

    def next(self) -> int:
        """The next item."""
        item = self._order[self._position]
        self._position += 1
        if self._position == self._count:
            self._order, self._position = self._following, 0
            self._following = torch.randperm(self._count, generator=self._generator).tolist()
        return item

    def upcoming(self, ahead: int = 1) -> int:
        """What `next` will return after `ahead - 1` more calls (at most one epoch ahead)."""
        at = self._position + ahead - 1
        return self._order[at] if at < self._count else self._following[at - self._count]

    def state(self) -> dict[str, Any]:
        return {"order": self._order, "following": self._following, "position": self._position, "generator": self._generator.get_state()}

    def load(self, state: dict[str, Any]) -> None:
        self._order, self._following, self._position = list(state["order"]), list(state["following"]), state["position"]
        self._generator.set_state(state["generator"].cpu())


def person_window(alpha: np.ndarray, margin: float) -> tuple[slice, slice]:
    """Rows and columns around everything of alpha [H, W] uint8 above 10 %, widened by `margin` of the longer side; all of an empty picture."""
    height, width = alpha.shape
    rows, columns = np.flatnonzero((alpha > 25).any(1)), np.flatnonzero((alpha > 25).any(0))
    if not len(rows):
        return slice(0, height), slice(0, width)
    border = round(margin * max(height, width))
    return _widened(rows, border, height), _widened(columns, border, width)


def _widened(filled: np.ndarray, border: int, size: int) -> slice:
    first, end = max(int(filled[0]) - border, 0), min(int(filled[-1]) + 1 + border, size)
    first = max(min(first, size - _MINIMUM_SIDE), 0)
    return slice(first, min(max(end, first + _MINIMUM_SIDE), size))
