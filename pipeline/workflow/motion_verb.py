"""`./c2a motion`: motions made from other things than motion files."""

from __future__ import annotations

from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.workflow.drive_verb import frame_range

FOCALS = (10.0, 100_000.0)  # pixels


def video_to_motion(video: Path, out: Path | None, focal: float | None, frames: str) -> None:
    """Track the face in a video, and name the motion file that was written. Raises InputError where an option or the video is not as expected."""
    here = Path.cwd()
    video = here / video.expanduser()
    out = here / out.expanduser() if out else Path(here / video.with_suffix(".npz").name)
    if out.suffix.lower() != ".npz":
        raise InputError("not the name of a motion file", found=out.name, expected="--out FILE.npz", remedy="correct --out")
    if focal is not None and not FOCALS[0] <= focal <= FOCALS[1]:
        raise InputError(
            "an impossible focal length", found=focal, expected=f"{FOCALS[0]:g} to {FOCALS[1]:g} pixels", remedy="correct --focal, or leave it out"
        )
    span = frame_range(frames)
    if not video.is_file():
        raise InputError("no such video", file=video, expected="a video of a face", remedy="correct the path")
    check_writable(out.parent, "--out")
    from pipeline.stages.video_motion import motion_of_video

    print(f"wrote {motion_of_video(video, out, focal, span)}")
