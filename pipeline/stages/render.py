"""Stage `render`: pictures and videos of the trained avatar."""

from __future__ import annotations

from typing import Any

from pipeline.stages.job import AvatarJob


def run(job: AvatarJob) -> dict[str, Any]:
    """Write render/<camera>.zip (RGB over white, alpha) and render/*.mp4. Returns facts for the manifest. Raises InputError where an input cannot be read."""
    import torch

    from pipeline.avatars.render import camera_colors, load_avatar
    from pipeline.avatars.render_set import render_pictures, wanted_views, write_comparisons, write_orbit
    from pipeline.capture.calibration import read_calibration
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.record import read_capture
    from pipeline.capture.sample import read_sample
    from pipeline.io.files import publish_folder
    from pipeline.machine.device import choose_device

    settings, layout = job.settings, job.layout
    torch.set_num_threads(job.threads)
    device = choose_device("auto")
    capture, sample, images = read_capture(layout.capture), read_sample(layout.sample), read_image_set(layout.alpha_json, layout.alpha)
    avatar = load_avatar(layout.avatar, device, remedy=f"./c2a run {layout.results.name} --from train")
    novel_file = capture.truth / "novel.json" if capture.truth else None
    novel = {camera.name: camera.without_distortion() for camera in read_calibration(novel_file)} if novel_file and novel_file.is_file() else {}
    views = wanted_views(sample, list(novel), settings.train_frames)
    building = layout.scratch("render")
    files = render_pictures(avatar, images.by_name | novel, views, building, device, camera_colors(layout.avatar))
    files += write_comparisons(building, images, sample, capture.fps)
    cameras = [images.by_name[name] for name in sample.train_cameras]
    frames = sample.test or sample.train
    files.append(write_orbit(building / "orbit.mp4", avatar, cameras, frames, settings.orbit_frames, settings.orbit_degrees, capture.fps, device))
    publish_folder(files, layout.render)
    return {"pictures": sum(len(names) for names in views.values()), "videos": [file.name for file in files if file.suffix == ".mp4"], "device": str(device)}
