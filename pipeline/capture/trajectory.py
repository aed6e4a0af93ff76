"""Camera paths as files: one camera per image, in the form of `transforms.json` (NeRF, nerfstudio, GaussianAvatars)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_camera
from pipeline.capture.forms.transforms import camera_entry, camera_of_entry
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json, write_json

MOST_STEPS = 100_000


@dataclass(frozen=True, eq=False)
class Step:
    """One image of a path.

    Attributes:
        camera: pinhole. frame: what the avatar does: the id of a tracked frame, or its index; None = the frames play on.
    """

    camera: Camera
    frame: str | int | None = None


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A camera path; all images have one size. fps: images per second, None = not stated."""

    steps: Sequence[Step]
    fps: float | None = None


def write_trajectory(path: str | Path, trajectory: Trajectory) -> None:
    """Write a path as JSON: `fps`, and per image `transform_matrix` (camera to world, OpenGL axes, metres), `fl_x`, `fl_y`, `cx`, `cy` (pixels from the upper
    left corner), `w`, `h`, `camera_angle_x`, and `frame` (id) or `timestep_index`, where there is one."""
    write_json(path, {**({"fps": trajectory.fps} if trajectory.fps else {}), "frames": [_record(step) for step in trajectory.steps]})


def read_trajectory(path: str | Path) -> Trajectory:
    """Inverse of `write_trajectory`; reads every transforms.json.

    Intrinsics that an image lacks are those at the top level. Without a focal length there must be a field of view (`camera_angle_x`, `camera_angle_y`,
    radians); without a second one pixels are square; without a principal point it is the middle.

    Raises:
        InputError: the file is missing or not of this form, an image has no size, or sizes differ; names the image.
    """
    path = Path(path)
    record = read_json(path, remedy="correct --trajectory")
    expected = '{"frames": [{"transform_matrix", "w", "h", "fl_x" or "camera_angle_x", ...}]}, a transforms.json'
    if not isinstance(record, dict) or not isinstance(record.get("frames"), list) or not record["frames"]:
        raise InputError("is not a camera path", file=path, expected=expected, remedy="save one in the viewer, or see docs/rendering.md")
    if len(record["frames"]) > MOST_STEPS:
        raise InputError("has too many images", file=path, found=len(record["frames"]), expected=f"at most {MOST_STEPS}")
    steps = []
    for number, entry in enumerate(record["frames"]):
        try:
            step = _step({**{name: value for name, value in record.items() if name != "frames"}, **entry})
        except MALFORMED as error:
            raise InputError(f"image {number} of the path is incomplete", file=path, found=repr(error), expected=expected) from None
        steps.append(Step(check_camera(step.camera, f"{path}, image {number}"), step.frame))
    sizes = {(step.camera.width, step.camera.height) for step in steps}
    if len(sizes) > 1 or min(min(sizes)) < 1:
        raise InputError("the images of the path have no size, or several", file=path, found=sorted(sizes)[:4], expected="one `w` and `h`, in pixels")
    return Trajectory(steps, _rate(record.get("fps"), path))


def _record(step: Step) -> dict[str, Any]:
    frame = {} if step.frame is None else {"frame" if isinstance(step.frame, str) else "timestep_index": step.frame}
    return {**frame, **camera_entry(step.camera)}


def _step(entry: Mapping[str, Any]) -> Step:
    """One entry of the file; raises one of MALFORMED where something is missing or of another kind."""
    frame = entry.get("frame", entry.get("timestep_index"))
    if frame is not None and (isinstance(frame, bool) or not isinstance(frame, str | int)):
        raise TypeError(f"a frame {frame!r}")
    return Step(camera_of_entry(entry, "trajectory").without_distortion(), frame)


def _rate(value: Any, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1000:
        raise InputError("fps is not a frame rate", file=path, found=value, expected="images per second, above 0, up to 1000")
    return float(value)
