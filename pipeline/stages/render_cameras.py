"""`./c2a render`: a trained avatar seen by any cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.contract.layout import Layout


def render_cameras(
    layout: Layout, cameras_file: Path, out: Path, frames: Sequence[str] | None = None, *, subject: str = "", alpha: bool = False, threads: int = 2
) -> int:
    """Write out/<camera>/<sequence>_<frame:06d>.png, RGB over white, and with `alpha` the matte beside it as <...>_alpha.png; returns how many views were rendered.

    Args:
        frames: ids of tracked frames; None = all.
        subject: of an avatar of several captures which one; empty = the first.

    Raises:
        InputError: the avatar or the cameras cannot be read, the avatar does not have the subject, or a frame was not tracked.
    """
    import torch

    from pipeline.avatars.registry import method_of
    from pipeline.avatars.render import render_views
    from pipeline.capture.calibration import read_calibration
    from pipeline.io.errors import InputError
    from pipeline.io.files import write_bytes
    from pipeline.io.packed import encode_png
    from pipeline.io.progress import log, progress
    from pipeline.machine.device import choose_device

    torch.set_num_threads(threads)
    device = choose_device("auto")
    cameras = read_calibration(cameras_file)
    distorted = [camera.name for camera in cameras if any(camera.dist)]
    if distorted:
        log(f"rendered as pinholes, their distortion ignored: {', '.join(distorted)}")
    remedy = f"./c2a run {layout.results.name} --from train"
    avatar = method_of(layout.method).function("open_avatar")(layout.avatar, device, remedy=remedy)
    names = list(avatar.subjects)
    if subject and subject not in names:
        raise InputError(f"no such subject: {subject}", file=layout.avatar, expected="one of " + ", ".join(names), remedy="correct --subject")
    number = names.index(subject) if subject else 0
    tracked = avatar.subjects[names[number]]
    ids = list(tracked if frames is None else frames)
    unknown = [frame for frame in ids if frame not in tracked]
    if unknown:
        raise InputError(
            f"no such frame: {', '.join(unknown)}",
            file=layout.avatar,
            expected=f"one of {tracked[0]} ... {tracked[-1]}, or all",
            remedy="correct --frames",
        )
    for frame in progress(ids, "frames"):
        images = render_views(avatar, tracked.index(frame), [camera.without_distortion() for camera in cameras], device, subject=number)
        for camera, image in zip(cameras, images):
            write_bytes(out / camera.name / f"{frame}.png", encode_png(image[..., :3]))
            if alpha:
                write_bytes(out / camera.name / f"{frame}_alpha.png", encode_png(image[..., 3]))
    return len(ids) * len(cameras)
