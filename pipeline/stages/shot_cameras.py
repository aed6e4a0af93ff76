"""Which camera films which instant: from what a command asks for to shots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.capture.calibration import read_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_camera
from pipeline.capture.processed import read_image_set
from pipeline.capture.record import read_capture
from pipeline.capture.sample import Sample, read_sample
from pipeline.capture.trajectory import Step, Trajectory
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.files import read_json
from pipeline.io.progress import log

if TYPE_CHECKING:
    from pipeline.avatars.shots import Shot
    from pipeline.body.body_pose import BodyPose

OWN = ("capture.json", "frames.json", "alpha.json")  # files of results that hold cameras
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class CameraRequest:
    """Which cameras film: at most one of split, file, orbit and trajectory. Without any and without names: one in front of the subject.

    Attributes:
        split: the cameras of a split (docs/conventions.md). file: a calibration, or a file of results that holds cameras.
        names: only these of the split's or the file's cameras; without those, of the capture's.
        orbit: a camera that swings in front of the subject; orbit_frames, orbit_degrees: its length and amplitude.
        size: width and height of all images, each with the whole view of its camera; None = as the cameras have it.
    """

    split: str = ""
    names: tuple[str, ...] = ()
    file: Path | None = None
    orbit: bool = False
    trajectory: Trajectory | None = None
    size: tuple[int, int] | None = None
    orbit_frames: int = 72
    orbit_degrees: float = 40.0

    @property
    def of_capture(self) -> bool:
        """Whether its cameras are the capture's own."""
        return bool(self.split or self.names and not self.file)


def shots_of(
    request: CameraRequest,
    play: Mapping[str, int | BodyPose],
    every: Mapping[str, int | BodyPose],
    centre: np.ndarray,
    files: Layout,
    colors: Mapping[str, np.ndarray] | None = None,
) -> list[Shot]:
    """The shots that a request means.

    Args:
        play: what is filmed, in time order, {name: frame or pose}; a moving camera plays it forth and back. every: what a path may name.
        centre: [3] metres, what orbit and front camera look at. files: of the capture. colors: of its cameras, by name, see `camera_colors`.

    Raises:
        InputError: there is no such camera or frame, or a file cannot be read.
    """
    from pipeline.avatars.shots import Instant, Shot

    def sized(camera: Camera) -> Camera:
        return camera.fitted(*request.size) if request.size else camera

    if request.trajectory or request.orbit:
        cameras = _around(files, centre, request.orbit_frames, request.orbit_degrees) if request.orbit else []
        steps = request.trajectory.steps if request.trajectory else [Step(camera) for camera in cameras]
        states = _states([step.frame for step in steps], play, every)
        instants = [Instant(f"{i:06d}", state, sized(step.camera)) for i, (step, state) in enumerate(zip(steps, states))]
        return [Shot("orbit" if request.orbit else "trajectory", instants)]
    cameras = _fixed(request, centre, files)
    own = (colors or {}) if request.of_capture else {}
    return [Shot(camera.name, [Instant(name, state, sized(camera)) for name, state in play.items()], own.get(camera.name)) for camera in cameras]


def split_cameras(split: str, sample: Sample) -> tuple[str, ...]:
    """The cameras of a split."""
    return {"train": sample.train_cameras, "val": sample.val_cameras, "test": (*sample.train_cameras, *sample.val_cameras)}[split]


def _states(frames: Sequence[str | int | None], play: Mapping[str, int | BodyPose], every: Mapping[str, int | BodyPose]) -> list[int | BodyPose]:
    """What the avatar does in each image of a path; where the path does not say, what is played goes forth and back."""
    from pipeline.avatars.shots import forth_and_back

    ids, states = list(every), []
    for i, (frame, played) in enumerate(zip(frames, forth_and_back(list(play.values()), len(frames)))):
        known = frame is None or (frame in every if isinstance(frame, str) else 0 <= frame < len(ids))
        if not known:
            expected = f"0 to {len(ids) - 1}, or an id: {ids[0]} ... {ids[-1]}"
            raise InputError(f"image {i} of the camera path: no such frame", found=frame, expected=expected, remedy="correct --trajectory")
        states.append(played if frame is None else every[frame if isinstance(frame, str) else ids[frame]])
    return states


def _fixed(request: CameraRequest, centre: np.ndarray, files: Layout) -> list[Camera]:
    """The cameras that do not move."""
    if not request.of_capture and not request.file:
        return [replace(_around(files, centre, 1, 0.0)[0], name="front")]
    if request.file:
        cameras, place = cameras_of(request.file, files), request.file
    else:
        known, place = read_image_set(files.alpha_json, files.alpha).by_name, files.sample
        cameras = [known[name] for name in split_cameras(request.split, read_sample(files.sample))] if request.split else list(known.values())
    if not cameras:
        remedy = "choose another split, or name training cameras with --camera"
        raise InputError(f"no cameras in the split '{request.split}'", file=place, expected="held-out cameras (column val_cameras)", remedy=remedy)
    by_name = {camera.name: camera for camera in cameras}
    if unknown := [name for name in request.names if name not in by_name]:
        raise InputError(f"no such camera: {', '.join(unknown)}", file=place, expected="of " + ", ".join(by_name), remedy="correct --camera")
    return [by_name[name] for name in request.names] or cameras


def _around(files: Layout, centre: np.ndarray, count: int, degrees: float) -> list[Camera]:
    """Cameras of a swing among the capture's training cameras; its first one is in their middle."""
    from pipeline.avatars.orbit import orbit

    known = read_image_set(files.alpha_json, files.alpha).by_name
    return orbit([known[name] for name in read_sample(files.sample).train_cameras], centre, count, degrees)


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
