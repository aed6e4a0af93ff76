"""`./c2a drive`: what is asked for, checked before torch is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.capture.media import VIDEO_ENDINGS
from pipeline.io.errors import InputError
from pipeline.motion.settings import RetargetOptions
from pipeline.workflow.kept_settings import config_of
from pipeline.workflow.render_verb import trained_avatar
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.shot_options import camera_request, output_paths, view_options
from pipeline.workflow.targets import layout_of

if TYPE_CHECKING:
    from pipeline.cli.render_options import Cameras, Driving, Look

SMOOTHEST = 10.0  # seconds


def drive_avatar(
    name: str, motion: str, options: RunOptions, cameras: Cameras, look: Look, driving: Driving, out: Path | None, frames: str, subject: str
) -> None:
    """Drive, render, and name what was written; the arguments are those of the command line. Raises InputError where they are not as expected."""
    config = config_of(name, options)
    layout = layout_of(name, config)
    trained_avatar(name, layout, options)
    if not motion:
        raise InputError("no motion", expected="--motion FILE, or the id of a capture", remedy="add --motion; docs/motion.md lists the forms")
    if out is None:
        raise InputError("nothing to write", expected="--out FILE.mp4 for a video, --out FOLDER for images", remedy="add --out")
    film = out.suffix.lower() == ".mp4"
    if out.suffix.lower() in VIDEO_ENDINGS and not film:
        raise InputError("the video is not an MP4 file", found=str(out), expected="--out FILE.mp4", remedy="correct --out")
    settings = config.stages["render"]
    request = camera_request(cameras, options.here, settings)
    if request.split:
        raise InputError("--split names frames of the avatar's own capture", expected="--camera NAME, --cameras FILE, --orbit", remedy="leave out --split")
    if not 0 <= driving.smooth <= SMOOTHEST:
        raise InputError("cannot be smoothed by that", found=driving.smooth, expected=f"0 to {SMOOTHEST:g} seconds", remedy="correct --smooth")
    view, span = view_options(look), frame_range(frames)
    folder, video = output_paths(options.here, None if film else out, out if film else None)
    from pipeline.avatars.shots import Output
    from pipeline.stages.drive import DriveRequest, drive

    file = options.here / Path(motion).expanduser()
    source = str(file) if file.exists() else motion
    transfer = RetargetOptions(driving.absolute, driving.neutral, driving.smooth, driving.guard, not driving.free_feet, expressions=not driving.no_expressions)
    output = Output(folder, video)
    results = Path(config.results)
    for path in drive(layout, DriveRequest(source, results, request, view, output, transfer, driving.fps, span, subject, driving.follow, settings.device)):
        print(f"wrote {path}")


def frame_range(text: str) -> tuple[int, int | None]:
    """First and end of `A:B`; None for the last. Raises InputError."""
    if text == "all":
        return 0, None
    first, colon, end = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, end)):
        raise InputError("no such frames", found=text, expected="all, or positions A:B such as 0:100", remedy="correct --frames")
    return int(first or 0), int(end) if end else None
