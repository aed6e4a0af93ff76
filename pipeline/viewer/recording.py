"""Keyframes, the path through them, and its images, video and file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.capture.trajectory import Step, Trajectory, read_trajectory, write_trajectory
from pipeline.io.errors import InputError
from pipeline.io.files import write_bytes
from pipeline.io.packed import encode_png
from pipeline.io.validation import NAME, is_name
from pipeline.io.video import write_video
from pipeline.viewer.player import Player
from pipeline.viewer.session import Session
from pipeline.viewer.viewpoint import PathSettings, Viewpoint, camera_path

KEYFRAMES = ".keyframes.json"  # end of the name of a file that holds keyframes in place of every image's camera


@dataclass
class Recording:
    """A camera path in the making.

    Attributes:
        keyframes: in order. settings: how the camera moves between them.
        dynamic: whether the avatar plays meanwhile, from `first`, the frame of the first keyframe; else it stays as it is shown.
    """

    keyframes: list[Viewpoint] = field(default_factory=list)
    settings: PathSettings = PathSettings()
    dynamic: bool = True
    first: int = 0

    def change(self, **values: float) -> None:
        """Other settings of the path."""
        self.settings = replace(self.settings, **values)  # type: ignore[arg-type]

    def add(self, keyframe: Viewpoint, at: int, frame: int) -> None:
        """Another keyframe, before number `at`. frame: the one that is shown."""
        if not self.keyframes:
            self.first = frame
        self.keyframes.insert(at, keyframe)

    def path(self) -> list[Viewpoint]:
        """Where the camera is for each image; see `camera_path`."""
        return camera_path(self.keyframes, self.settings)

    def frames(self, player: Player, count: int) -> list[int]:
        """The avatar's frame for each of `count` images."""
        if not self.dynamic:
            return [player.frame] * count
        return [(self.first + int(i * player.fps / self.settings.fps + 1e-6)) % player.count for i in range(count)]


def preview(session: Session, recording: Recording, loop: bool) -> None:
    """Play the path in the browser, or stop."""
    if session.path:
        session.path.player.pause()
        return
    path = recording.path()
    session.play_path(path, recording.frames(session.player, len(path)), Player(len(path), recording.settings.fps, loop=loop))


def save_trajectory(session: Session, recording: Recording, name: str, size: tuple[int, int]) -> list[Path]:
    """Write NAME.json, the camera of every image for `./c2a render --trajectory`, and NAME.keyframes.json, to be loaded again. Returns both."""
    folder, path = _folder(session, name), recording.path()
    avatar = session.scene.avatars[0]
    frames = recording.frames(session.player, len(path))
    ids = [None if avatar.motion else avatar.opened.frames[frame % avatar.frame_count] for frame in frames]
    whole, keys = folder / f"{name}.json", folder / f"{name}{KEYFRAMES}"
    write_trajectory(whole, Trajectory([Step(view.camera(*size), frame) for view, frame in zip(path, ids)], recording.settings.fps))
    write_trajectory(keys, Trajectory([Step(view.camera(*size)) for view in recording.keyframes], 1 / recording.settings.interval))
    return [whole, keys]


def saved_trajectories(session: Session) -> list[str]:
    """Names of the files that `load_keyframes` reads."""
    return sorted(path.name for path in (session.folder / "trajectories").glob("*.json"))


def load_keyframes(recording: Recording, path: Path) -> None:
    """Take the cameras of a file as keyframes: those that were saved, or every image of a trajectory. Raises InputError."""
    trajectory = read_trajectory(path)
    recording.keyframes = [Viewpoint.of(step.camera) for step in trajectory.steps]
    recording.change(interval=1 / (trajectory.fps or 25.0))


def render(session: Session, recording: Recording, name: str, size: tuple[int, int], report: Callable[[int, int], None]) -> Path:
    """Write the trajectory, its images NAME/NNNNNN.png and NAME.mp4, which is returned. Without keyframes: all frames of the avatar, seen from here.

    Args:
        report: called with the number of images done, and of all.

    Raises InputError where the browser is closed meanwhile; there is then no video.
    """
    _folder(session, name)
    if recording.keyframes:
        save_trajectory(session, recording, name, size)
        path, fps = recording.path(), recording.settings.fps
        frames = recording.frames(session.player, len(path))
    else:
        path, fps, frames = [session.viewpoint] * session.player.count, session.player.fps, list(range(session.player.count))

    def images() -> Iterator[np.ndarray]:
        for number, (view, frame) in enumerate(zip(path, frames)):
            if session.closed:
                raise InputError("the browser was closed", expected=f"{len(path)} images", remedy="keep it open until they are drawn")
            image = session.draw(view, *size, frame=frame)
            write_bytes(session.folder / name / f"{number:06d}.png", encode_png(image))
            report(number + 1, len(path))
            yield image

    video = session.folder / f"{name}.mp4"
    write_video(video, images(), fps)
    return video


def save_image(session: Session, size: tuple[int, int]) -> tuple[Path, bytes]:
    """Write what is shown as the next images/NNN.png; returns its path and content."""
    folder = session.folder / "images"
    taken = [int(path.stem) for path in folder.glob("*.png") if path.stem.isdigit()]
    path, data = folder / f"{max(taken, default=-1) + 1:03d}.png", encode_png(session.draw(session.viewpoint, *size))
    write_bytes(path, data)
    return path, data


def _folder(session: Session, name: str) -> Path:
    if not is_name(name):
        raise InputError("not a name of a trajectory", found=name, expected=NAME, remedy="enter another one")
    return session.folder / "trajectories"
