"""Options of the verbs that render, checked before torch is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.avatars.settings import RenderSettings
from pipeline.avatars.view_options import ViewOptions
from pipeline.capture.trajectory import read_trajectory
from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.io.progress import log
from pipeline.io.validation import LARGEST_SIDE
from pipeline.io.words import separated
from pipeline.stages.shot_cameras import SPLITS, CameraRequest

if TYPE_CHECKING:
    from pipeline.cli.render_options import Cameras, Look

COLORS = {"white": (255, 255, 255), "black": (0, 0, 0)}
_FORMER = ("front", "orbit", *SPLITS)  # what --cameras took before there were options for them


def camera_request(cameras: Cameras, here: Path, settings: RenderSettings) -> CameraRequest:
    """Which cameras the options mean; paths are relative to `here`. Raises InputError where options contradict each other, or a file is none."""
    word = str(cameras.cameras) if cameras.cameras else ""
    if word in _FORMER and not (here / word).exists():
        option = {"front": "the default", "orbit": "--orbit"}.get(word, f"--split {word}")
        log(f"note: --cameras {word} is now {option}; --cameras takes a calibration file")
        now = replace(cameras, cameras=None, orbit=cameras.orbit or word == "orbit", split=word if word in SPLITS else cameras.split)  # type: ignore[arg-type]
        return camera_request(now, here, settings)
    sources = {"--split": cameras.split, "--cameras": cameras.cameras, "--orbit": cameras.orbit, "--trajectory": cameras.trajectory}
    chosen = [option for option, value in sources.items() if value]
    if len(chosen) > 1:
        raise InputError("options contradict each other", found=" and ".join(chosen), expected="one of " + ", ".join(sources), remedy=f"leave out {chosen[-1]}")
    names = separated(cameras.camera)
    if names and (cameras.orbit or cameras.trajectory):
        raise InputError(
            "options contradict each other", found=f"--camera and {chosen[0]}", expected="fixed cameras with --camera", remedy=f"leave out {chosen[0]}"
        )
    file = here / cameras.cameras.expanduser() if cameras.cameras else None
    if file and not file.exists():
        raise InputError("no such file", file=file, expected="a calibration in any form that docs/datasets.md describes", remedy="correct --cameras")
    path = read_trajectory(here / cameras.trajectory.expanduser()) if cameras.trajectory else None
    swing = settings.orbit_frames, settings.orbit_degrees
    return CameraRequest(cameras.split or "", names, file, cameras.orbit, path, _size(cameras.size), *swing)


def view_options(look: Look) -> ViewOptions:
    """What the options show. Raises InputError where they contradict each other or are out of range."""
    of_mesh = look.show in ("surface", "normals", "counts")
    if of_mesh and look.mesh is not None:
        remedy = "leave out --mesh, or use --show color"
        raise InputError("options contradict each other", found=f"--mesh and --show {look.show}", expected="the mesh over the splats, or alone", remedy=remedy)
    mesh, splats = (look.show, "none") if of_mesh else ("surface", look.show)
    opacity = 1.0 if of_mesh else look.mesh or 0.0
    return ViewOptions(splats, mesh, opacity, background=_color(look.background), scale=look.splat_scale, regions=separated(look.regions))  # type: ignore[arg-type]


def output_paths(here: Path, out: Path | None, video: Path | None) -> tuple[Path | None, Path | None]:
    """Folder and video, where there is at least one of them, both can be written, and the video is an MP4 file. Raises InputError.

    out: a folder; or an MP4 file, which is the video.
    """
    if out is not None and out.suffix.lower() == ".mp4":
        if video is not None:
            raise InputError("two videos", found=f"--out {out} and --video {video}", expected="--out FOLDER beside --video", remedy="leave out one of them")
        out, video = None, out
    if out is None and video is None:
        raise InputError("nothing to write", expected="--out FOLDER for images, --video FILE.mp4 for a video, or both", remedy="add one of them")
    if video is not None and video.suffix.lower() != ".mp4":
        raise InputError("the video is not an MP4 file", found=str(video), expected="--video FILE.mp4", remedy="correct --video")
    folder, film = (here / path.expanduser() if path else None for path in (out, video))
    for place, option in ((folder, "--out"), (film and film.parent, "--video")):
        if place:
            check_writable(place, option)
    return folder, film


def _color(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if text not in COLORS and (len(parts) != 3 or not all(part.strip().isdecimal() for part in parts)):
        raise InputError("not a color", found=text, expected="white, black, or R,G,B such as 0,255,0", remedy="correct --background")
    red, green, blue = COLORS.get(text) or tuple(int(part) for part in parts)
    return red, green, blue


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and all(2 <= int(side) <= LARGEST_SIDE for side in (width, height))):
        raise InputError("not a size", found=text, expected=f"WIDTHxHEIGHT in pixels, such as 550x802, each 2 to {LARGEST_SIDE}", remedy="correct --size")
    return int(width), int(height)
