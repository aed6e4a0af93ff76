"""`./c2a render`: a trained avatar seen by any cameras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.capture.calibration import check_camera, read_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.processed import read_image_set
from pipeline.capture.record import read_capture
from pipeline.capture.sample import read_sample
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.files import read_json
from pipeline.io.progress import log, progress

if TYPE_CHECKING:
    import numpy as np

NAMED = ("front", "orbit", "val", "test")
OWN = ("capture.json", "frames.json", "alpha.json")  # files of results that hold cameras


@dataclass(frozen=True)
class RenderWish:
    """What to render, and where to.

    Attributes:
        cameras: one of NAMED, or a calibration file.
        out: folder of images <camera>/<frame>.png, RGB over white; alpha: and of their mattes, <frame>_alpha.png. video: MP4 file.
        frames: ids of tracked frames; None = all (for "test": the test frames).
        subject: of an avatar of several captures which one; empty = the first.
        orbit_frames, orbit_degrees: length and amplitude of the orbit.
        device: as `render.device`.
    """

    cameras: str | Path
    out: Path | None = None
    video: Path | None = None
    frames: Sequence[str] | None = None
    subject: str = ""
    alpha: bool = False
    orbit_frames: int = 72
    orbit_degrees: float = 40.0
    device: str = "auto"


@dataclass(frozen=True)
class Shot:
    """The images of one camera, which may move. steps: name of the image's file, frame, camera."""

    name: str
    steps: Sequence[tuple[str, str, Camera]]


def render_cameras(layout: Layout, wish: RenderWish, threads: int = 2) -> list[Path]:
    """Write the images and videos that are wished for; returns the videos, and the folders of images.

    Raises:
        InputError: the avatar or the cameras cannot be read, the avatar does not have the subject, or a frame was not tracked.
    """
    import torch

    from pipeline.avatars.registry import method_of
    from pipeline.io.video import write_video
    from pipeline.machine.device import choose_device

    torch.set_num_threads(threads)
    device = choose_device(wish.device)
    avatar = method_of(layout.method).function("open_avatar")(layout.avatar, device, remedy=f"./c2a run {layout.results.name} --from train")
    names = list(avatar.subjects)
    if wish.subject and wish.subject not in names:
        raise InputError(f"no such subject: {wish.subject}", file=layout.avatar, expected="one of " + ", ".join(names), remedy="correct --subject")
    number = names.index(wish.subject) if wish.subject else 0
    tracked, files = list(avatar.subjects[names[number]]), layout
    if not layout.capture.is_file():  # of a group
        files = replace(layout, results=layout.results.with_name(names[number]), work=layout.work.with_name(names[number]))
    shots, written = _shots(avatar, number, tracked, files, wish), []
    for shot in shots:
        images = _images(avatar, number, tracked, shot, wish, device)
        if wish.video:
            path = wish.video if len(shots) == 1 else wish.video.with_stem(f"{wish.video.stem}_{shot.name}")
            write_video(path, images, read_capture(files.capture).fps)
            written.append(path)
        else:
            for _ in images:
                pass
        written += [wish.out / shot.name] if wish.out else []
    return written


def _images(avatar: Any, number: int, tracked: list[str], shot: Shot, wish: RenderWish, device: Any) -> Iterator[np.ndarray]:
    """The images of one shot in turn, RGB over white, written on the way."""
    from pipeline.avatars.render import render_views
    from pipeline.io.files import write_bytes
    from pipeline.io.packed import encode_png

    for stem, frame, camera in progress(shot.steps, f"{shot.name}: frames"):
        image = render_views(avatar, tracked.index(frame), [camera], device, subject=number)[0]
        if wish.out:
            write_bytes(wish.out / shot.name / f"{stem}.png", encode_png(image[..., :3]))
            if wish.alpha:
                write_bytes(wish.out / shot.name / f"{stem}_alpha.png", encode_png(image[..., 3]))
        yield image[..., :3]


def _shots(avatar: Any, number: int, tracked: list[str], files: Layout, wish: RenderWish) -> list[Shot]:
    """Which camera sees which frame."""
    ids = list(wish.frames) if wish.frames is not None else tracked
    unknown = [frame for frame in ids if frame not in tracked]
    if unknown:
        expected = f"one of {tracked[0]} ... {tracked[-1]}, or all"
        raise InputError(f"no such frame: {', '.join(unknown)}", file=files.sample, expected=expected, remedy="correct --frames")
    if wish.cameras in ("front", "orbit"):
        return [_around(avatar, number, tracked, files, wish, ids)]
    if wish.cameras in ("val", "test"):
        sample = read_sample(files.sample)
        chosen = sample.val_cameras or (sample.train_cameras[:1] if wish.cameras == "test" else ())
        ids = ids if wish.frames is not None or wish.cameras == "val" else list(sample.test)
        if not chosen or not ids:
            found = f"{len(sample.val_cameras)} held-out cameras, {len(sample.test)} test frames"
            raise InputError(f"nothing to render for --cameras {wish.cameras}", file=files.sample, found=found, remedy="use --cameras front or orbit")
        by_name = read_image_set(files.alpha_json, files.alpha).by_name
        cameras = [by_name[name] for name in chosen]
    else:
        cameras = cameras_of(Path(wish.cameras), files)
    return [Shot(camera.name, [(frame, frame, camera) for frame in ids]) for camera in cameras]


def _around(avatar: Any, number: int, tracked: list[str], files: Layout, wish: RenderWish, ids: list[str]) -> Shot:
    """A camera in the middle of the capture's training cameras, or swinging among them while the frames play forth and back."""
    from pipeline.avatars.orbit import orbit

    sample, images = read_sample(files.sample), read_image_set(files.alpha_json, files.alpha)
    centre = avatar.centre(avatar.pose(tracked.index(ids[0]), number))
    swing = wish.orbit_frames if wish.cameras == "orbit" else 1
    cameras = orbit([images.by_name[name] for name in sample.train_cameras], centre, swing, wish.orbit_degrees)
    if wish.cameras == "front":
        return Shot("front", [(frame, frame, cameras[0]) for frame in ids])
    play = ids + ids[-2:0:-1]
    return Shot("orbit", [(f"{i:06d}", play[i % len(play)], camera) for i, camera in enumerate(cameras)])


def cameras_of(file: Path, files: Layout) -> list[Camera]:
    """The cameras of a calibration of any form that is read, or of a capture.json, frames.json or alpha.json, without distortion.

    Sizes that the calibration does not state are those of the capture's cameras. Raises InputError.
    """
    if file.name in OWN:
        try:
            cameras = [check_camera(Camera.from_json(record), file) for record in read_json(file)["cameras"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("holds no cameras", file=file, found=repr(error), expected=f"a {file.name} as a run writes it") from None
    else:
        cameras = list(read_calibration(file))
    if any(min(camera.width, camera.height) < 1 for camera in cameras):
        cameras = [_sized(camera, file, files) for camera in cameras]
    if distorted := [camera.name for camera in cameras if any(camera.dist)]:
        log(f"rendered as pinhole cameras, without their distortion (dist): {', '.join(distorted)}")
    return [camera.without_distortion() for camera in cameras]


def _sized(camera: Camera, file: Path, files: Layout) -> Camera:
    """With the size of the capture's camera of that name, or of all of them where they have one size."""
    known = {other.name: (other.width, other.height) for other in read_capture(files.capture).cameras}
    size = known.get(camera.name) or (next(iter(known.values())) if len(set(known.values())) == 1 else None)
    if min(camera.width, camera.height) > 0:
        return camera
    if size is None:
        expected = f"an image size, such as W_{camera.name} and H_{camera.name}"
        raise InputError(f"camera '{camera.name}' has no image size", file=file, expected=expected, remedy="add it to the calibration")
    return replace(camera, width=size[0], height=size[1])
