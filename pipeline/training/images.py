"""The training images: one dataset over subjects, cameras and frames, on the host or on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from pipeline.io.packed import PackedImages
from pipeline.io.progress import progress
from pipeline.splat.splats import Views
from pipeline.training.target import Target

_OPEN = 32  # zips that a thread keeps open: of scenes with hundreds of cameras all would be more than a process may have
_AHEAD = 32  # images that are being read before their step where not all fit into the memory


@dataclass(frozen=True)
class Source:
    """Training images of one subject.

    Attributes:
        images: RGBA images of the subject over nothing. cameras, frames: those to train on. index: all frame ids of the avatar, which number them.
        processed: images whose zips may hold `visible` masks, None where there are none.
    """

    images: ImageSet
    cameras: Sequence[str]
    frames: Sequence[str]
    index: Sequence[str]
    processed: ImageSet | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """V views of one instant. subject, frame: int64 [] on the device; frame counts within the subject. Cameras count over all subjects."""

    target: Target
    views: Views
    subject: Tensor
    frame: Tensor


class TrainingImages:
    """Images as uint8 RGBA [slots, H, W, 4] on one device. Where memory has a slot for each, all are read at the start; else they come and go.

    Images of several sizes are padded to the largest, and pixels without a camera's pixel are marked as not valid. What a step reads are the tensors
    behind `batches`; `select` only changes their values, so that the step can be a CUDA graph.

    Attributes:
        instants: the items (image numbers) of each instant, for the sampler. cameras: how many there are, over all subjects.
        ahead: how many chunks before its step an image is to be asked for (`prefetch`).
    """

    def __init__(self, sources: Sequence[Source], *, frames: int = 1, views: int = 1, memory_mb: int, device: torch.device | str = "cpu", threads: int = 8):
        """Args: frames: instants of a step. views: cameras of each. memory_mb: what the images may take on the device."""
        self.device, self.sources = torch.device(device), list(sources)
        self._frames, self._views = frames, views
        self._items: list[tuple[int, int, int, str]] = []  # subject, camera, frame, name
        self.instants: list[list[int]] = []
        self._cameras: list[tuple[int, Camera]] = []
        for subject, source in enumerate(self.sources):
            self._add(subject, source)
        self.cameras = len(self._cameras)
        self.width, self.height = (max(getattr(camera, side) for _, camera in self._cameras) for side in ("width", "height"))
        self._K, self._R, self._t = (_stacked(self._cameras, name, self.device) for name in ("K", "R", "t"))
        self._valid, self._weight = self._valid_pixels()
        slots = max(memory_mb * 2**20 // (self.width * self.height * 4), 2 * _AHEAD + frames * views)
        self._rgba = torch.zeros(min(len(self._items), slots), self.height, self.width, 4, dtype=torch.uint8, device=self.device)
        self._now = torch.zeros(frames, 4, views, dtype=torch.int64, device=self.device)  # slot, subject, camera, frame
        self._slot_of: dict[int, int] = {}  # by item, the one that was used or asked for least recently first
        self._readers, self._zips = ThreadPoolExecutor(threads), threading.local()
        self._pending: dict[int, Future[Tensor]] = {}
        self.ahead = max(_AHEAD // views, 1) if len(self._rgba) < len(self._items) else 1
        if len(self._rgba) == len(self._items):
            for item in progress(range(len(self._items)), "images to the GPU" if self.device.type == "cuda" else "images"):
                self.prefetch([min(item + 4 * threads, len(self._items) - 1)])
                self._place(item)

    def __len__(self) -> int:
        return len(self._items)

    def prefetch(self, items: Sequence[int]) -> None:
        """Begin reading images that will be used soon, and keep those that have a slot."""
        for item in items:
            if item in self._slot_of:
                self._slot_of[item] = self._slot_of.pop(item)
            elif item not in self._pending:
                self._pending[item] = self._readers.submit(self._read, item)

    def select(self, chunks: Sequence[Sequence[int]]) -> None:
        """Choose the images of the next `batches`, [frames][views] items; never waits for the GPU."""
        rows = [[(self._place(item), *self._items[item][:3]) for item in chunk] for chunk in chunks]
        self._now.copy_(torch.tensor(rows).transpose(1, 2).contiguous(), non_blocking=True)

    def batches(self) -> list[Batch]:
        """The images of this step, a batch per instant."""
        return [self._batch(rows) for rows in self._now.unbind()]

    def _batch(self, rows: Tensor) -> Batch:
        slot, subject, camera, frame = rows.unbind()
        K, R, t = (x.index_select(0, camera) for x in (self._K, self._R, self._t))
        views = Views(K, R, t, self.width, self.height)
        return Batch(Target(self._rgba, slot, camera, self._valid, self._weight), views, subject[0], frame[0])

    def _add(self, subject: int, source: Source) -> None:
        number, first = {name: i for i, name in enumerate(source.index)}, len(self._cameras)
        self._cameras += [(subject, source.images.by_name[name]) for name in source.cameras]
        for frame in source.frames:
            start = len(self._items)
            self._items += [(subject, first + c, number[frame], frame) for c in range(len(source.cameras))]
            self.instants.append(list(range(start, len(self._items))))

    def _valid_pixels(self) -> tuple[Tensor | None, Tensor]:
        """Masks uint8 [C, H, W], None where every pixel of every image is valid; and 1 / number of valid pixels [C]."""
        valid = np.zeros((self.cameras, self.height, self.width), np.uint8)
        for index, (subject, camera) in enumerate(self._cameras):
            mask = _visible(self.sources[subject].processed, camera.name)
            valid[index, : camera.height, : camera.width] = 1 if mask is None else mask
        counts = np.maximum(valid.sum((1, 2), dtype=np.float64), 1)
        masks = None if valid.all() else torch.from_numpy(valid).to(self.device)
        return masks, torch.from_numpy(1 / counts).float().to(self.device)

    def _place(self, item: int) -> int:
        """The slot of an image, which is put there if need be; the stream's order keeps a slot until the steps that read it are done."""
        self.prefetch([item])
        if item in self._slot_of:
            return self._slot_of[item]
        image = self._pending.pop(item).result()
        slot = len(self._slot_of) if len(self._slot_of) < len(self._rgba) else self._slot_of.pop(next(iter(self._slot_of)))
        height, width = image.shape[:2]
        if (height, width) != (self.height, self.width):
            self._rgba[slot].zero_()
        self._rgba[slot, :height, :width].copy_(image, non_blocking=True)
        self._slot_of[item] = slot
        return slot

    def _read(self, item: int) -> Tensor:
        subject, camera, _, name = self._items[item]
        zips: dict[int, PackedImages] = self._zips.__dict__.setdefault("zips", {})
        if camera not in zips:
            if len(zips) >= _OPEN:
                del zips[next(iter(zips))]
            zips[camera] = self.sources[subject].images.open(self._cameras[camera][1].name)
        image = torch.from_numpy(zips[camera].read(name))
        return image.pin_memory() if self.device.type == "cuda" else image


def _visible(processed: ImageSet | None, camera: str) -> np.ndarray | None:
    """Where the raw image of a camera had a pixel: bool [H, W], None where it had one everywhere."""
    if processed is None:
        return None
    archive = processed.open(camera)
    return archive.read("visible") > 0 if "visible" in archive else None


def _stacked(cameras: Sequence[tuple[int, Camera]], name: str, device: torch.device) -> Tensor:
    return torch.stack([torch.as_tensor(getattr(camera, name), dtype=torch.float32) for _, camera in cameras]).to(device)
