"""`./c2a drive`: a trained avatar driven by any motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.motion.motion import Motion, check_fps
from pipeline.motion.read import read_motion
from pipeline.motion.retarget import retarget
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
    target = Target.of(body)
    poses, images, fps, chosen = brought(motion, target, request)
    play: dict[str, int | BodyPose] = {f"{index:06d}": poses[index] for index in chosen}
    centre = avatar.centre(avatar.pose(next(iter(play.values())) if request.options.absolute else 0, number))
    shots = shots_of(replace(request.cameras, orbit_frames=len(play)), play, play, centre, files)
    if request.follow:
        home = target.poses(target.neutral_rotations()[None], target.roots.mean(0)[None], target.neutral_expression()[None])[0]
        shots = [_following(shot, home) for shot in shots]
    beside = None
    if images:
        driver = Path(request.motion).parent if Path(request.motion).is_file() else request.results / request.motion
        beside = DriverImages.of(driver, dict(zip(play, (images[index] for index in chosen))), request.view.background, shots)
    return write_shots(avatar, shots, request.view, replace(request.output, fps=fps), number, device, beside)


def brought(motion: Motion, target: Target, request: DriveRequest) -> tuple[list[BodyPose], tuple[str, ...], float, range]:
    """The motion on the body, at the output's rate; says what was done. Contacts of feet are known at the motion's own rate, or a higher one.

    Returns:
        poses, the driver's images (ids, or none), frames per second, and which of the poses are wanted.
    """
    first, end = request.frames
    end = len(motion) if end is None else end
    if not 0 <= first < end <= len(motion):
        raise InputError("no such frames", found=f"{first}:{end}", expected=f"A:B within 0:{len(motion)}", remedy="correct --frames")
    share = check_fps(request.fps) / motion.fps if request.fps else 1.0
    options, finer = request.options, max(share, 1.0)
    if options.neutral is not None and options.neutral < len(motion):
        options = replace(options, neutral=int(round(options.neutral * finer)))
    driven = retarget(motion.resampled(motion.fps * finer), target, options)
    poses, out = driven.poses, motion.resampled(motion.fps * share)
    if share < 1:
        poses = _resampled(poses, target, motion.fps, out.fps)
    _report(out, driven.facts)
    start = int(np.ceil(first * share))
    return poses, out.frames, out.fps, range(min(start, len(out) - 1), min(len(out), max(int(np.ceil(end * share)), start + 1)))


def _resampled(poses: list[BodyPose], target: Target, rate: float, fps: float) -> list[BodyPose]:
    """Poses at another rate."""
    import torch

    rotations, places, weights = (torch.stack([getattr(p, name) for p in poses]).cpu().double().numpy() for name in ("rotations", "translation", "expression"))
    names = target.model.expression_names
    motion = Motion(target.model.joint_names, target.parents, rotations, places, rate, names, weights).resampled(fps)
    values = (motion.expression, motion.rotations, motion.translation)
    return [type(poses[0])(*parts) for parts in zip(*(torch.as_tensor(value, dtype=torch.float32, device=poses[0].rotations.device) for value in values))]


def _report(motion: Motion, facts: Mapping[str, Any]) -> None:
    log(f"{len(motion)} frames at {motion.fps:g} per second; {len(facts['joints'])} joints and {len(facts['expressions'])} expressions are driven")
    if facts.get("limited"):
        log("joint angles limited: " + ", ".join(f"{joint} in {count} frames" for joint, count in facts["limited"].items()))
    if feet := facts.get("feet"):
        before, after = feet["slide_before_mm"], feet["slide_mm"]
        log(f"feet on the ground slide {after['mean']} mm per frame, at most {after['largest']} (without correction {before['mean']}, {before['largest']})")


def _following(shot: Shot, home: BodyPose) -> Shot:
    """The shot with each camera moved as the body's root is away from home."""
    instants = []
    for instant in shot.instants:
        move = (instant.frame.translation - home.translation).detach().cpu().numpy().astype(np.float64)  # type: ignore[union-attr]
        instants.append(replace(instant, camera=replace(instant.camera, t=instant.camera.t - instant.camera.R @ move)))
    return replace(shot, instants=instants)
