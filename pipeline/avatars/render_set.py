"""All images and videos of a trained avatar that evaluation and report need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.avatars.orbit import orbit
from pipeline.avatars.render import render_views
from pipeline.avatars.shots import Instant, Output, Shot, forth_and_back, write_shots
from pipeline.avatars.view_options import PLAIN
from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet
from pipeline.capture.sample import Sample
from pipeline.geometry.spread import spread
from pipeline.io.packed import PackedImages, over_background, packed_writer
from pipeline.io.progress import progress
from pipeline.io.video import write_video
from pipeline.training.contract import Avatar


def views_to_render(sample: Sample, novel: Sequence[str], train_frames: int) -> dict[str, list[str]]:
    """Which cameras to render at which frame, {frame: cameras}: all at test frames, val and novel ones at every training frame, training cameras at a few."""
    few = {sample.train[i] for i in spread(len(sample.train), train_frames)}
    everyone = [*sample.train_cameras, *sample.val_cameras]
    views = {frame: [*(sample.train_cameras if frame in few else ()), *sample.val_cameras, *novel] for frame in sample.train}
    return views | dict.fromkeys(sample.test, everyone)


@dataclass(frozen=True)
class RenderSet:
    """One subject of an avatar, ready to be rendered into a folder.

    Attributes:
        subject, frames: its number in the avatar, and the ids of its frames. cameras: by name. colors: see `render_views`.
    """

    avatar: Avatar
    subject: int
    frames: tuple[str, ...]
    cameras: Mapping[str, Camera]
    colors: Mapping[str, np.ndarray]
    device: torch.device

    def write_images(self, views: Mapping[str, Sequence[str]], folder: Path) -> list[Path]:
        """Write <camera>.zip of RGBA images (RGB over white, alpha) for {frame: cameras}; returns the zips."""
        used = sorted({name for names in views.values() for name in names})
        with ExitStack() as stack:
            writers = {name: stack.enter_context(packed_writer(folder / f"{name}.zip")) for name in used}
            for frame, names in progress(list(views.items()), "frames"):
                cameras = [self.cameras[name] for name in names]
                images = render_views(self.avatar, self.frames.index(frame), cameras, self.device, self.colors, self.subject)
                for name, image in zip(names, images):
                    writers[name].add(frame, image)
        return [folder / f"{name}.zip" for name in used]

    def write_orbit(self, path: Path, around: Sequence[Camera], frames: Sequence[str], count: int, degrees: float, fps: float) -> Path:
        """The avatar playing `frames` (forth and back) while a camera swings around it, among the cameras `around`."""
        indices = [self.frames.index(frame) for frame in frames]
        cameras = orbit(around, self.avatar.centre(self.avatar.pose(indices[0], self.subject)), count, degrees)
        steps = zip(forth_and_back(indices, count), cameras)
        shot = Shot("orbit", [Instant(f"{i:06d}", frame, camera) for i, (frame, camera) in enumerate(steps)])
        write_shots(self.avatar, [shot], PLAIN, Output(video=path, fps=fps), self.subject, self.device)
        return path


def comparison(renders: Path, images: ImageSet, camera: str, frames: Iterable[str]) -> Iterator[np.ndarray]:
    """Video frames: the image over white by its matte on the left, the render on the right."""
    rendered, processed = PackedImages(renders), images.open(camera)
    for frame in frames:
        yield np.concatenate([over_background(processed.read(frame)), rendered.read(frame)[..., :3]], axis=1)


def write_comparisons(folder: Path, images: ImageSet, sample: Sample, fps: float) -> list[Path]:
    """Videos of more than one frame: `val_<camera>.mp4` of the training frames and `test_<camera>.mp4` of the test frames, from the val cameras (without any: the first training camera, test only)."""
    films = [(f"val_{camera}.mp4", camera, sample.train) for camera in sample.val_cameras if len(sample.train) > 1]
    films += [(f"test_{camera}.mp4", camera, sample.test) for camera in sample.val_cameras or sample.train_cameras[:1] if sample.test]
    for name, camera, frames in films:
        write_video(folder / name, comparison(folder / f"{camera}.zip", images, camera, frames), fps)
    return [folder / name for name, _, _ in films]
