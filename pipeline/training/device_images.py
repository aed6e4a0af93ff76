"""Training pictures that stay on a GPU, whole and of one size, so that a captured step can choose among them by itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.capture.processed import ImageSet
from pipeline.io.packed import PackedImages
from pipeline.io.progress import log, progress
from pipeline.machine.backend import backend_of
from pipeline.splat.splats import Views
from pipeline.training.host_images import TrainingPictures, rgba_over
from pipeline.training.settings import TrainSettings

_AHEAD = 32  # pictures that are being read before their step where not all fit on the GPU


def open_pictures(
    images: ImageSet, cameras: Sequence[str], frames: Sequence[str], index: Sequence[str], settings: TrainSettings, device: torch.device
) -> TrainingPictures | StackedPictures:
    """The training pictures in the form that suits the device: stacked on a GPU, if they are all of one size; else cut to the person.

    Args:
        images: RGBA pictures. index: all frame ids of the avatar, which give a frame its number.
    """
    sizes = {(images.by_name[name].width, images.by_name[name].height) for name in cameras}
    if device.type == "cuda" and len(sizes) == 1:
        room_mb = max(settings.memory_mb, torch.cuda.mem_get_info(device)[0] // 2**21)
        return StackedPictures(images, cameras, frames, index=index, memory_mb=room_mb, device=device, views=settings.views)
    if device.type == "cuda" and settings.graph:
        log("train: the cameras' pictures differ in size, so that steps run one by one, not as a CUDA graph (slower; `frames` can make them one size)")
    return TrainingPictures(images, cameras, frames, index=index, margin=settings.crop_margin, memory_mb=settings.memory_mb, device=device)


@dataclass(frozen=True)
class StackedCut:
    """A whole picture among those on the device; otherwise as `Cut`. pictures: uint8 [slots, H, W, 4]. slot, camera, frame: int64 [] on the device."""

    pictures: Tensor
    slot: Tensor
    views: Views
    camera: Tensor
    frame: Tensor
    size: tuple[int, int]

    @property
    def rgba(self) -> Tensor:
        return self.pictures.index_select(0, self.slot.view(1))[0]

    def over(self, background: Tensor) -> tuple[Tensor, Tensor]:
        """As `Cut.over`."""
        if backend_of(background, "image_loss") == "gpu":
            from pipeline.training.image_loss_gpu import over_background

            return over_background(self.pictures, self.slot, background)
        return rgba_over(self.rgba, background)


class StackedPictures:
    """Pictures as uint8 [slots, H, W, 4] on the device. Where memory has a slot for each, all are read at the start; else they come and go.

    What a step sees are the tensors behind `cuts`; `show` only changes their values, so that the step can be a CUDA graph.
    """

    def __init__(self, images: ImageSet, cameras: Sequence[str], frames: Sequence[str], *, index: Sequence[str], memory_mb: int, device: torch.device | str,
                 views: int = 1, threads: int = 8):  # fmt: skip
        """Args:
        images: RGBA pictures of one size. index: all frame ids of the avatar, which give a frame its number.
        memory_mb: what the pictures may take on the device. views: pictures in one step.
        """
        number = {name: i for i, name in enumerate(index)}
        self.items = [(c, number[f], f) for c in range(len(cameras)) for f in frames]
        self.device, self._images, self._names = torch.device(device), images, list(cameras)
        self._cameras = Views.from_cameras([images.by_name[name] for name in cameras], self.device)
        width, height = self._cameras.width, self._cameras.height
        room = max(memory_mb * 2**20 // (width * height * 4), 2 * _AHEAD + views)
        self._rgba = torch.empty(min(len(self.items), room), height, width, 4, dtype=torch.uint8, device=self.device)
        self._now = torch.zeros(views, 3, dtype=torch.int64, device=self.device)  # slot, camera and frame of each picture of this step
        self._slot_of: dict[int, int] = {}
        self._order: list[int] = []  # items in slots, the one that was put there first in front
        self._readers, self._own = ThreadPoolExecutor(threads), threading.local()
        self._waiting: dict[int, Future[Tensor]] = {}
        self.ahead = _AHEAD if len(self._rgba) < len(self.items) else 1
        if len(self._rgba) == len(self.items):
            for item in progress(range(len(self.items)), "pictures to the GPU"):
                self.prefetch(min(item + 4 * threads, len(self.items) - 1))
                self._place(item)

    def __len__(self) -> int:
        return len(self.items)

    def prefetch(self, item: int) -> None:
        """Begin reading a picture that will be asked for soon."""
        if item not in self._slot_of and item not in self._waiting:
            self._waiting[item] = self._readers.submit(self._read, item)

    def show(self, items: Sequence[int]) -> None:
        """Say which pictures the next `cuts` are; nothing here waits for the GPU."""
        rows = [(self._place(item), *self.items[item][:2]) for item in items]
        self._now.copy_(torch.tensor(rows), non_blocking=True)

    def cuts(self) -> list[StackedCut]:
        """The pictures of this step."""
        return [self._cut(*row.unbind()) for row in self._now.unbind()]

    def _cut(self, slot: Tensor, camera: Tensor, frame: Tensor) -> StackedCut:
        cameras, chosen = self._cameras, camera.view(1)
        views = Views(*(x.index_select(0, chosen) for x in (cameras.K, cameras.R, cameras.t)), cameras.width, cameras.height)
        return StackedCut(self._rgba, slot, views, camera, frame, (cameras.width, cameras.height))

    def _place(self, item: int) -> int:
        """The slot of a picture, which is put there if need be; the stream's order keeps a slot until the steps that read it are done."""
        if item in self._slot_of:
            return self._slot_of[item]
        self.prefetch(item)
        picture = self._waiting.pop(item).result()
        slot = len(self._order) if len(self._order) < len(self._rgba) else self._slot_of.pop(self._order.pop(0))
        self._rgba[slot].copy_(picture, non_blocking=True)
        self._slot_of[item] = slot
        self._order.append(item)
        return slot

    def _read(self, item: int) -> Tensor:
        camera, _, name = self.items[item]
        zips: dict[int, PackedImages] = self._own.__dict__.setdefault("zips", {})
        if camera not in zips:
            zips[camera] = self._images.open(self._names[camera])
        picture = torch.from_numpy(zips[camera].read(name))
        return picture.pin_memory() if self.device.type == "cuda" else picture
