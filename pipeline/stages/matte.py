"""matte: alpha and foreground colour of every sampled frame, camera by camera."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.vision.settings import MatteSettings

if TYPE_CHECKING:
    from pipeline.contract.captures_table import CaptureRow


def run(settings: MatteSettings, layout: Layout, threads: int, row: CaptureRow, part: slice | None = None) -> dict:
    """Write alpha/<camera>.zip and alpha.json; finished cameras wait under `work/` and survive a failure. part: only these cameras, nothing published.

    Raises:
        InputError: an input is missing or damaged, a plate or checkpoint is missing, or no picture shows anything but background.
    """
    from pipeline.capture.processed import read_image_set, write_image_set
    from pipeline.capture.sample import read_sample
    from pipeline.io.errors import InputError
    from pipeline.io.files import digest, publish_folder
    from pipeline.io.parallel import map_processes
    from pipeline.vision.matting.matte_camera import matte_camera

    images, sample = read_image_set(layout.frames_json, layout.frames), read_sample(layout.sample)
    images.verify(part)
    if settings.person == "auto":
        settings = replace(settings, person="always" if row.model == "body" else "never")
    waiting = layout.scratch("matte") / digest([CAPTURE_STAGES["matte"].version, asdict(settings), images.archives, sample.frames])
    jobs = [(settings, images.open(camera.name).path, sample.frames, waiting / f"{camera.name}.zip") for camera in images.cameras]
    if part:
        map_processes(matte_camera, jobs[part], threads, "mattes")
        return {}
    facts = dict(zip((camera.name for camera in images.cameras), map_processes(matte_camera, jobs, threads, "mattes")))
    if all(fact["mean_alpha"] == 0 for fact in facts.values()):
        found = f"{len(sample.frames)} frames of {len(facts)} cameras, all background"
        raise InputError(
            "matting found no subject in any view", file=layout.frames, found=found, remedy="look at the plates and at matte.backend in config.yaml"
        )
    publish_folder([job[-1] for job in jobs], layout.alpha)
    frames = {frame.id: frame for frame in images.frames}
    write_image_set(layout.alpha_json, layout.alpha, images.cameras, tuple(frames[name] for name in sample.frames), {"cameras": facts})
    shutil.rmtree(layout.scratch("matte"), ignore_errors=True)
    return {"cameras": facts}
