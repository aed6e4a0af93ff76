"""Stage `matte`: alpha and foreground colour of every sampled frame, camera by camera."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace

from pipeline.stages.job import Job


def run(job: Job) -> dict:
    """Write alpha/<camera>.zip and alpha.json; finished cameras wait in the scratch folder and survive a failure.

    Raises:
        InputError: an input is missing or damaged, a plate or checkpoint is missing, or no image shows anything but background.
    """
    from pipeline.capture.processed import read_image_set, write_image_set
    from pipeline.capture.sample import read_sample
    from pipeline.io.errors import InputError
    from pipeline.io.files import digest, publish_folder
    from pipeline.io.parallel import map_processes
    from pipeline.vision.matting.matte_camera import matte_camera

    inputs, outputs, settings = job.inputs, job.outputs, job.settings
    images, sample = read_image_set(inputs.frames_json, inputs.frames), read_sample(inputs.sample)
    images.verify(job.part)
    if settings.person == "auto":
        settings = replace(settings, person="always" if job.cells.model == "body" else "never")
    whole = settings.backend == "auto" and bool(images.facts.get("whole"))
    waiting = job.scratch / digest([job.stage.version, asdict(settings), images.archives, sample.frames])
    jobs = [(settings, images.open(camera.name).path, sample.frames, waiting / f"{camera.name}.zip", whole) for camera in images.cameras]
    if job.part:
        map_processes(matte_camera, jobs[job.part], job.threads, "cameras")
        return {}
    facts = dict(zip((camera.name for camera in images.cameras), map_processes(matte_camera, jobs, job.threads, "cameras")))
    if all(fact["mean_alpha"] == 0 for fact in facts.values()):
        found = f"{len(sample.frames)} frames of {len(facts)} cameras, all background"
        raise InputError(
            "matting found no subject in any view", file=inputs.frames, found=found, remedy="look at the plates and at matte.backend in config.yaml"
        )
    publish_folder([target for *_, target, _ in jobs], outputs.alpha)
    frames = {frame.id: frame for frame in images.frames}
    write_image_set(outputs.alpha_json, outputs.alpha, images.cameras, tuple(frames[name] for name in sample.frames), {"cameras": facts})
    shutil.rmtree(job.scratch, ignore_errors=True)
    faint = [name for name, fact in facts.items() if fact["backend"] == "given" and fact["largest_alpha"] < 0.9]
    warnings = [
        f"the mattes of camera {name} reach only {round(255 * facts[name]['largest_alpha'])} of 255; expected white for the subject: write them again"
        for name in faint
    ]
    return {"cameras": facts, "frames": len(sample.frames), "warnings": warnings}
