"""From one form of calibration to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.capture.calibration import read_calibration, write_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.forms.animatable_gaussians import write_animatable_gaussians
from pipeline.capture.forms.captury import write_captury
from pipeline.capture.forms.colmap import write_colmap
from pipeline.capture.forms.transforms import write_transforms
from pipeline.capture.forms.writers import write_caliscope, write_opencv, write_pose2sim
from pipeline.io.errors import InputError


@dataclass(frozen=True)
class Form:
    """A form of calibration that can be written.

    Attributes:
        names: of files that have it where no form is named: whole names, or endings with a dot. distortion: how many of OpenCV's terms it holds.
        skew: whether it holds that of K. sizeless: whether it holds cameras without width and height.
    """

    write: Callable[[Path, Sequence[Camera]], None]
    names: tuple[str, ...] = ()
    distortion: int = 5
    skew: bool = True
    sizeless: bool = False


FORMS = {
    "cameras_json": Form(write_calibration, ("cameras.json",)),
    "colmap": Form(write_colmap, ("sparse", "0"), skew=False),
    "colmap_binary": Form(partial(write_colmap, binary=True), skew=False),
    "transforms": Form(write_transforms, ("transforms.json",), skew=False),
    "captury": Form(write_captury, (".calibration",), distortion=0),
    "animatable_gaussians": Form(write_animatable_gaussians, ("calibration_full.json",)),
    "opencv": Form(write_opencv, ("intri.yml", "extri.yml"), sizeless=True),
    "pose2sim": Form(write_pose2sim, (".toml",)),
    "caliscope": Form(write_caliscope, ("camera_array.toml",)),
}


def convert_calibration(source: Path, target: Path, form: str = "", *, convention: str = "", units: str = "") -> int:
    """Write the cameras of a calibration in another form; returns how many.

    Args:
        form: of FORMS; empty: by the name of the target. convention, units: of the source, see `read_calibration`.

    Raises InputError for a source that cannot be read, an unknown form, a target that is there, and for what the form cannot hold, such as distortion.
    """
    form = form or form_of(target)
    if form not in FORMS:
        raise InputError(f"unknown form '{form}'", expected="one of " + ", ".join(FORMS), remedy="correct --format")
    cameras = read_calibration(source, convention=convention, units=units)
    for camera in cameras:
        _check(camera, form, FORMS[form], target)
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise InputError("is there already", file=target, expected="a new file or folder", remedy="name another, or remove it")
    FORMS[form].write(target, cameras)
    return len(cameras)


def form_of(target: Path) -> str:
    """The form that a file's name means. Raises InputError where it means none."""
    for name in (target.name, target.suffix):
        for form, written in FORMS.items():
            if name and name in written.names:
                return form
    raise InputError(
        "the name says no form", file=target, expected=", ".join(n for form in FORMS.values() for n in form.names), remedy="add --format " + "|".join(FORMS)
    )


def _check(camera: Camera, name: str, form: Form, target: Path) -> None:
    terms = max((i + 1 for i, term in enumerate(camera.dist) if term), default=0)
    for problem, value in (
        ("distortion", list(camera.dist) if terms > form.distortion else None),
        ("skew", camera.K[0, 1] if camera.K[0, 1] and not form.skew else None),
        ("no width and height", "0x0" if not (form.sizeless or camera.width) else None),
    ):
        if value is not None:
            remedy = "use another --format" + (", or undistort the images and calibrate them as pinhole images" if problem == "distortion" else "")
            raise InputError(f"camera '{camera.name}' has {problem}, which the form '{name}' cannot hold", file=target, found=value, remedy=remedy)
