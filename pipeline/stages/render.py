"""Stage `render`: images and videos of the trained avatar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from pipeline.avatars.settings import RenderSettings
    from pipeline.contract.layout import Subject
    from pipeline.stages.job import AvatarJob
    from pipeline.training.contract import Avatar


def run(job: AvatarJob) -> dict[str, Any]:
    """Write render/<camera>.zip (RGB over white, alpha) and render/*.mp4; of a group render/<member>/... Returns facts for the manifest.

    Raises InputError where an input cannot be read.
    """
    import torch

    from pipeline.io.files import publish_folder
    from pipeline.machine.device import choose_device, describe

    torch.set_num_threads(job.threads)
    device = choose_device(job.settings.device)
    avatar = job.method.function("open_avatar")(job.inputs.avatar, device, remedy=job.remedy("train"))
    files: list[Path] = []
    for number, subject in enumerate(job.subjects):
        folder = job.scratch / subject.name if job.layout.group else job.scratch
        files += _render_subject(job.settings, avatar, number, subject, job.inputs.avatar, folder, device)
    publish_folder(files, job.outputs.render, job.scratch)
    videos = [str(file.relative_to(job.scratch)) for file in files if file.suffix == ".mp4"]
    return {"cameras": len(files) - len(videos), "videos": videos, "device": describe(device)}


def _render_subject(settings: RenderSettings, avatar: Avatar, number: int, subject: Subject, file: Path, folder: Path, device: torch.device) -> list[Path]:
    """The zips and videos of one subject."""
    from pipeline.avatars.render import camera_colors
    from pipeline.avatars.render_set import RenderSet, views_to_render, write_comparisons
    from pipeline.capture.calibration import read_calibration
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.record import read_capture
    from pipeline.capture.sample import read_sample

    layout = subject.layout
    capture, sample, images = read_capture(layout.capture), read_sample(layout.sample), read_image_set(layout.alpha_json, layout.alpha)
    novel_file = capture.truth / "novel.json" if capture.truth else None
    novel = {camera.name: camera.without_distortion() for camera in read_calibration(novel_file)} if novel_file and novel_file.is_file() else {}
    frames = list(avatar.subjects.values())[number]
    renders = RenderSet(avatar, number, frames, images.by_name | novel, camera_colors(file, number), device)
    files = renders.write_images(views_to_render(sample, list(novel), settings.train_frames), folder)
    files += write_comparisons(folder, images, sample, capture.fps)
    around = [images.by_name[name] for name in sample.train_cameras]
    orbit = folder / "orbit.mp4"
    return [*files, renders.write_orbit(orbit, around, sample.test or sample.train, settings.orbit_frames, settings.orbit_degrees, capture.fps)]
