"""From where an avatar is seen, independent of any image size; and paths between such viewpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline, Slerp

from pipeline.capture.camera import Camera
from pipeline.io.errors import InputError

NARROWEST, WIDEST = np.radians(1.0), np.radians(120.0)  # fields of view


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera without an image.

    Attributes:
        position: [3] metres, world. wxyz: [4] unit quaternion of the rotation from OpenCV camera axes to the world. fov: vertical field of view, radians.
    """

    position: np.ndarray
    wxyz: np.ndarray
    fov: float

    @property
    def rotation(self) -> np.ndarray:
        """[3, 3] from camera to world: its columns are right, down and forward."""
        return Rotation.from_quat(self.wxyz, scalar_first=True).as_matrix()

    def camera(self, width: int, height: int) -> Camera:
        """The pinhole camera of an image of this size, principal point in its middle."""
        focal = height / 2 / np.tan(self.fov / 2)
        K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        R = self.rotation.T
        return Camera("viewer", width, height, K, R, -R @ self.position)

    @staticmethod
    def of(camera: Camera) -> Viewpoint:
        """Where a camera stands; an off-centre principal point is not kept."""
        wxyz = Rotation.from_matrix(camera.R.T).as_quat(scalar_first=True)
        return Viewpoint(camera.centre, wxyz, float(2 * np.arctan(camera.height / 2 / camera.K[1, 1])))


@dataclass(frozen=True)
class PathSettings:
    """How a camera moves between keyframes.

    Attributes:
        smooth: splines (positions and fields of view: cubic; rotations: with continuous angular acceleration); else linear, and slerp.
        cycles: how often to go around, back to the first keyframe each time; 0 = from the first to the last, once.
        interval: seconds from one keyframe to the next. fps: images per second.
    """

    smooth: bool = True
    cycles: int = 0
    interval: float = 2.0
    fps: float = 25.0


def camera_path(keyframes: Sequence[Viewpoint], settings: PathSettings) -> list[Viewpoint]:
    """One viewpoint for each image of the path through the keyframes.

    Raises InputError where there are fewer than two keyframes, or the path has more than 100,000 images.
    """
    if len(keyframes) < 2:
        raise InputError("a path needs keyframes", found=len(keyframes), expected="at least 2", remedy="move the camera, and add another keyframe")
    spans = len(keyframes) * settings.cycles or len(keyframes) - 1
    count = round(spans * settings.interval * settings.fps) + (settings.cycles == 0)
    if not (settings.interval * settings.fps > 0 and 1 <= count <= 100_000):
        raise InputError("the path is too short or too long", found=f"{count} images", expected="1 to 100000", remedy="change interval, cycles or fps")
    times = np.arange(count) / (settings.interval * settings.fps)  # in keyframes
    around = settings.cycles > 0
    keys, knots = _around(keyframes) if around else (list(keyframes), np.arange(len(keyframes), dtype=float))
    if around:
        times = times % len(keyframes)
    places = np.array([[*key.position, key.fov] for key in keys])
    turns = Rotation.from_quat(np.array([key.wxyz for key in keys]), scalar_first=True)
    if settings.smooth and len(keys) > 2:
        at, turn = CubicSpline(knots, places)(times), RotationSpline(knots, turns)(times)
    else:
        at = np.stack([np.interp(times, knots, column) for column in places.T], axis=1)
        turn = Slerp(knots, turns)(times)
    fovs = np.clip(at[:, 3], NARROWEST, WIDEST)
    return [Viewpoint(p, q, float(fov)) for p, q, fov in zip(at[:, :3], turn.as_quat(scalar_first=True), fovs)]


def _around(keyframes: Sequence[Viewpoint]) -> tuple[list[Viewpoint], np.ndarray]:
    """The keyframes of three rounds, so that the middle one begins and ends smoothly, with their times in keyframes."""
    count = len(keyframes)
    return [*keyframes, *keyframes, *keyframes, keyframes[0]], np.arange(-count, 2 * count + 1, dtype=float)
