"""`./c2a render`: what is asked for, checked before torch is loaded."""

from __future__ import annotations

from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.workflow.kept_settings import config_of
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.targets import layout_of


def render_avatar(name: str, options: RunOptions, cameras: str, out: Path | None, video: Path | None, frames: str, subject: str, alpha: bool) -> None:
    """Render, and name what was written; the arguments are those of the command line. Raises InputError where they are not as expected."""
    config = config_of(name, options)
    layout = layout_of(name, config)
    if not layout.avatar.is_file():
        expected = "a capture whose training is done"
        raise InputError(f"no avatar of '{name}'", file=layout.avatar, expected=expected, remedy=f"{options.resume(name)}, or see ./c2a status")
    if out is None and video is None:
        raise InputError("nothing to write", expected="--out FOLDER for images, --video FILE.mp4 for a video, or both", remedy="add one of them")
    if video is not None and video.suffix.lower() != ".mp4":
        raise InputError("the video is not an MP4 file", found=str(video), expected="--video FILE.mp4", remedy="correct --video")
    if alpha and out is None:
        raise InputError("--alpha writes images", expected="--out FOLDER", remedy="add --out")
    from pipeline.stages.render_cameras import NAMED, RenderWish, render_cameras

    source: str | Path = cameras
    if cameras not in NAMED:
        source = options.here / Path(cameras).expanduser()
        if not source.exists():
            expected = ", ".join(NAMED) + ", or a calibration in any form that docs/datasets.md describes"
            raise InputError("no such file", file=source, expected=expected, remedy="correct --cameras")
    folder, film = (options.here / path if path else None for path in (out, video))
    for place, option in ((folder, "--out"), (film and film.parent, "--video")):
        if place:
            check_writable(place, option)
    settings = config.stages["render"]
    chosen = None if frames == "all" else [frame.strip() for frame in frames.split(",") if frame.strip()]
    wish = RenderWish(source, folder, film, chosen, subject, alpha, settings.orbit_frames, settings.orbit_degrees, settings.device)
    for path in render_cameras(layout, wish):
        print(f"wrote {path}")
