"""`./c2a render`: what is asked for, checked before torch is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contract.layout import Layout, snapshot_name
from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.workflow.kept_settings import config_of
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.shot_options import camera_request, output_paths, view_options
from pipeline.workflow.targets import layout_of

if TYPE_CHECKING:
    from pipeline.cli.render_options import Cameras, Files, Look


def render_avatar(name: str, options: RunOptions, cameras: Cameras, look: Look, files: Files, frames: str, subject: str, snapshot: int | None = None) -> None:
    """Render, and name what was written; the arguments are those of the command line. Raises InputError where they are not as expected."""
    config = config_of(name, options)
    layout = layout_of(name, config)
    avatar = trained_avatar(name, layout, options, snapshot)
    folder, video = output_paths(options.here, files.out, files.video)
    if (files.alpha or files.depth) and folder is None:
        option = "--alpha" if files.alpha else "--depth"
        raise InputError(f"{option} writes images", expected="--out FOLDER", remedy="add --out")
    settings = config.stages["render"]
    request = camera_request(cameras, options.here, settings)
    truth = options.here / files.truth.expanduser() if files.truth else None
    _check_truth("--beside-truth" if files.beside_truth else "--truth" if truth else "", cameras, request.of_capture)
    if truth:
        check_writable(truth, "--truth")
    view = view_options(look)
    from pipeline.avatars.shots import Output
    from pipeline.stages.render_cameras import RenderRequest, render_cameras

    output = Output(folder, video, files.alpha, files.depth)
    for path in render_cameras(layout, RenderRequest(request, view, output, avatar, frames, subject, files.beside_truth, truth, settings.device)):
        print(f"wrote {path}")


def trained_avatar(name: str, layout: Layout, options: RunOptions, snapshot: int | None = None) -> Path:
    """The file of a trained avatar, or of its snapshot after so many steps, also while the training still runs.

    Raises InputError where there is none, with the command that makes it.
    """
    if snapshot is not None:
        folders = layout.snapshots, layout.scratch("train") / layout.snapshots.name
        files = [folder / snapshot_name(snapshot) for folder in folders]
        if (file := next((file for file in files if file.is_file()), None)) is None:
            made = sorted(
                {path.stem.removeprefix("avatar_").lstrip("0") for folder in folders for path in folder.glob("avatar_*.npz")}, key=lambda s: (len(s), s)
            )
            remedy = f"{options.resume(name)} --from train --set train.snapshots=[{snapshot}]"
            raise InputError(
                f"no snapshot of step {snapshot}", file=files[0], found=", ".join(made) or "no snapshots", expected="a step of train.snapshots", remedy=remedy
            )
        return file
    return trained(name, layout, options).avatar


def trained(name: str, layout: Layout, options: RunOptions) -> Layout:
    """A layout whose avatar is there. Raises InputError, with the command that trains it."""
    if not layout.avatar.is_file():
        if "/" in name or name.endswith(".npz"):
            expected, remedy = "the name of a capture or group", "./c2a status names those that are trained; view and export take files, too"
            raise InputError("names no capture", found=name, expected=expected, remedy=remedy)
        others = ", ".join(sorted(path.parent.name for path in layout.avatar.parent.parent.glob("*/avatar.npz")))
        remedy = "choose one of these by --method and --name" if others else f"{options.resume(name)}, or see ./c2a status"
        raise InputError(f"no avatar of '{name}'", file=layout.avatar, found=others or None, expected="a capture whose training is done", remedy=remedy)
    return layout


def _check_truth(option: str, cameras: Cameras, of_capture: bool) -> None:
    """Raise InputError where an option needs the images of the capture's cameras, and others film, or images of another size are asked for."""
    if option and not of_capture:
        expected = "cameras of the capture: --split, or --camera NAME"
        raise InputError(f"{option} needs images of the same cameras", expected=expected, remedy="choose one of these, or leave out " + option)
    if option and cameras.size:
        raise InputError("options contradict each other", found=f"{option} and --size", expected="images of their own size", remedy="leave out --size")
