"""All pictures and videos of a trained avatar that evaluation and report need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.orbit import orbit
from pipeline.avatars.render import render_views
from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from pipeline.capture.sample import Sample
from pipeline.io.packed import PackedImages, packed_writer
from pipeline.io.progress import progress
from pipeline.io.video import write_video
from pipeline.training.contract import Avatar


def wanted_views(sample: Sample, novel: Sequence[str], train_frames: int) -> dict[str, list[str]]:
    """Which cameras to render at which frame, {frame: cameras}: all at test frames, val and novel ones at every training frame, training cameras at a few."""
    few = set(_spread(sample.train, train_frames))
    everyone = [*sample.train_cameras, *sample.val_cameras]
    views = {frame: [*(sample.train_cameras if frame in few else ()), *sample.val_cameras, *novel] for frame in sample.train}
    return views | dict.fromkeys(sample.test, everyone)


def render_pictures(
    avatar: Avatar, cameras: Mapping[str, Camera], views: Mapping[str, Sequence[str]], folder: Path, device: torch.device, colors: Mapping[str, np.ndarray]
) -> list[Path]:
    """Write <camera>.zip of RGBA pictures (RGB over white, alpha) for the wanted views; returns the zips. `colors`: see `render_views`."""
    used = sorted({name for names in views.values() for name in names})
    with ExitStack() as stack:
        writers = {name: stack.enter_context(packed_writer(folder / f"{name}.zip")) for name in used}
        for frame, names in progress(list(views.items()), "render"):
            pictures = render_views(avatar, avatar.frames.index(frame), [cameras[name] for name in names], device, colors)
            for name, picture in zip(names, pictures):
                writers[name].add(frame, picture)
    return [folder / f"{name}.zip" for name in used]


def comparison(renders: Path, images: ImageSet, camera: str, frames: Iterable[str]) -> Iterator[np.ndarray]:
    """Video frames: the picture over white by its matte on the left, the render on the right."""
    rendered, given = PackedImages(renders), images.open(camera)
    for frame in frames:
        rgba = given.read(frame).astype(np.uint16)
        alpha = rgba[..., 3:]
        truth = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
        yield np.concatenate([truth.astype(np.uint8), rendered.read(frame)[..., :3]], axis=1)


def write_comparisons(folder: Path, images: ImageSet, sample: Sample, fps: float) -> list[Path]:
    """`val_<camera>.mp4` of the training frames and `test_<camera>.mp4` of the test frames, from the val cameras (without any: the first training camera, test only)."""
    films = [(f"val_{camera}.mp4", camera, sample.train) for camera in sample.val_cameras]
    films += [(f"test_{camera}.mp4", camera, sample.test) for camera in sample.val_cameras or sample.train_cameras[:1] if sample.test]
    for name, camera, frames in films:
        write_video(folder / name, comparison(folder / f"{camera}.zip", images, camera, frames), fps)
    return [folder / name for name, _, _ in films]


def write_orbit(
    path: Path, avatar: Avatar, cameras: Sequence[Camera], frames: Sequence[str], count: int, degrees: float, fps: float, device: torch.device
) -> Path:
    """The avatar playing `frames` (forth and back) while a camera swings around it."""
    indices = [avatar.frames.index(frame) for frame in frames]
    there_and_back = indices + indices[-2:0:-1]
    path_of_camera = orbit(cameras, _middle(avatar, indices[0]), count, degrees)
    pictures = (render_views(avatar, there_and_back[i % len(there_and_back)], [camera], device)[0][..., :3] for i, camera in enumerate(path_of_camera))
    write_video(path, pictures, fps)
    return path


@torch.no_grad()
def _middle(avatar: Avatar, frame: int) -> np.ndarray:
    """Mean position [3] of the splats, metres, weighted by opacity."""
    splats = avatar.splats(frame)
    weight = splats.opacities.sigmoid()
    return ((splats.means * weight[:, None]).sum(0) / weight.sum()).cpu().numpy().astype(np.float64)


def _spread(items: Sequence[str], count: int) -> list[str]:
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))] if items and count else []
