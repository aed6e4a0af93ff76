"""`./c2a drive`: a trained avatar driven by any motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.motion.motion import Motion, check_fps
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import Retargeted, retarget
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target
from pipeline.stages.beside import DriverImages
from pipeline.stages.render_cameras import open_subject
from pipeline.stages.shot_cameras import CameraRequest, shots_of

if TYPE_CHECKING:
    from pipeline.avatars.shots import Output, Shot
    from pipeline.avatars.view_options import ViewOptions
    from pipeline.body.body_pose import BodyPose


@dataclass(frozen=True)
class DriveRequest:
    """What drives an avatar, and what is written.

    Attributes:
        motion: file, or id of a capture in `results`. fps: rate of the output; None = the motion's. frames: first and end in the motion's own numbers.
        follow: the cameras move along with the root.
    """

    motion: str
    results: Path
    cameras: CameraRequest
    view: ViewOptions
    output: Output
    options: RetargetOptions = field(default_factory=RetargetOptions)
    fps: float | None = None
    frames: tuple[int, int | None] = (0, None)
    subject: str = ""
    follow: bool = False
    device: str = "auto"


def drive(layout: Layout, request: DriveRequest, threads: int = 2) -> list[Path]:
    """Write the images of the driven avatar; where a capture drives it, beside its images. Returns the videos, and the folders of images.

    Raises InputError: the avatar or the motion cannot be read, or they have nothing in common.
    """
    import torch

    from pipeline.avatars.shots import write_shots

    torch.set_num_threads(threads)
    motion = read_motion(request.motion, request.results)
    avatar, number, files, device = open_subject(layout, request.subject, request.device)
    body = avatar.body_of(number)
    if body is None:
        expected = "an avatar that a parametric body moves"
        raise InputError("nothing of this avatar can be animated", file=layout.avatar, expected=expected, remedy="drive an avatar of another method")
    motion, driven, chosen = brought(motion, Target.of(body), request)
    play: dict[str, int | BodyPose] = {f"{index:06d}": driven.poses[index] for index in chosen}
    centre = avatar.centre(avatar.pose(next(iter(play.values())), number))
    shots = shots_of(replace(request.cameras, orbit_frames=len(play)), play, play, centre, files)
    shots = [_following(shot) for shot in shots] if request.follow else shots
    beside = None
    if motion.frames:
        driver = Path(request.motion).parent if Path(request.motion).is_file() else request.results / request.motion
        beside = DriverImages.of(driver, dict(zip(play, (motion.frames[index] for index in chosen))), request.view.background, shots)
    return write_shots(avatar, shots, request.view, replace(request.output, fps=motion.fps), number, device, beside)


def brought(motion: Motion, target: Target, request: DriveRequest) -> tuple[Motion, Retargeted, range]:
    """The motion at the output's rate, on the body, and which of its frames are wanted; says what was done."""
    first, end = request.frames
    end = len(motion) if end is None else end
    if not 0 <= first < end <= len(motion):
        raise InputError("no such frames", found=f"{first}:{end}", expected=f"A:B within 0:{len(motion)}", remedy="correct --frames")
    share = check_fps(request.fps) / motion.fps if request.fps else 1.0
    options = request.options
    if options.neutral is not None and options.neutral < len(motion):
        options = replace(options, neutral=int(round(options.neutral * share)))
    motion = motion.resampled(motion.fps * share)
    driven = retarget(motion, target, options)
    _report(motion, driven.facts)
    return motion, driven, range(int(np.ceil(first * share)), min(len(motion), max(int(np.ceil(end * share)), int(np.ceil(first * share)) + 1)))


def _report(motion: Motion, facts: Mapping[str, Any]) -> None:
    log(f"{len(motion)} frames at {motion.fps:g} per second; {len(facts['joints'])} joints and {len(facts['expressions'])} expressions are driven")
    if facts.get("limited"):
        log("joint angles limited: " + ", ".join(f"{joint} in {count} frames" for joint, count in facts["limited"].items()))
    if feet := facts.get("feet"):
        before, after = feet["slide_before_mm"], feet["slide_mm"]
        log(f"feet on the ground slide {after['mean']} mm per frame, at most {after['largest']} (without correction {before['mean']}, {before['largest']})")


def _following(shot: Shot) -> Shot:
    """The shot with each camera moved as the body's root is moved from its first place."""
    places = [instant.frame.translation.detach().cpu().numpy().astype(np.float64) for instant in shot.instants]  # type: ignore[union-attr]
    moves: Sequence[np.ndarray] = [place - places[0] for place in places]
    instants = [replace(instant, camera=replace(instant.camera, t=instant.camera.t - instant.camera.R @ move)) for instant, move in zip(shot.instants, moves)]
    return replace(shot, instants=instants)
