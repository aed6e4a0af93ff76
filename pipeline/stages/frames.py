"""Stage `frames`: footage to packed images, undistorted, cropped, resized, colour-corrected, with the cameras that belong to them."""

from __future__ import annotations

import shutil
from dataclasses import asdict

from pipeline.stages.job import Job


def run(job: Job) -> dict:
    """Process every camera in parallel; finished ones wait in the scratch folder and survive a failure. Raises InputError."""
    from pipeline.capture.frames import choose_frames, pack_camera, processed_cameras
    from pipeline.capture.processed import write_image_set
    from pipeline.capture.record import read_capture
    from pipeline.io.files import digest, publish_folder, sha256
    from pipeline.io.parallel import map_processes

    settings, cells = job.settings, job.cells
    capture = read_capture(job.inputs.capture)
    frames, warnings = choose_frames(capture, cells.first, cells.last, cells.stride, settings.max_rate, settings.trim)
    cameras, windows = processed_cameras(capture, settings, cells.size)
    for name in sorted(set(settings.crop) - {"all", *windows}):
        warnings.append(f"frames.crop: there is no camera '{name}'; correct the name")
    key = digest([job.stage.version, asdict(settings), cells.first, cells.last, cells.stride, cells.size, sha256(job.inputs.capture)])
    waiting = job.scratch / key
    jobs = [(capture, raw, camera, frames, waiting / f"{raw.name}.zip") for raw, camera in zip(capture.cameras, cameras)]
    map_processes(pack_camera, jobs[job.part] if job.part else jobs, job.threads, "cameras")
    if job.part:
        return {}
    publish_folder([target for *_, target in jobs], job.outputs.frames)
    facts = {"crop": {name: list(window) for name, window in windows.items()}, "size": {c.name: [c.width, c.height] for c in cameras}}
    write_image_set(job.outputs.frames_json, job.outputs.frames, cameras, frames, facts | ({"whole": True} if capture.whole else {}))
    shutil.rmtree(job.scratch, ignore_errors=True)
    return {"frames": len(frames), "cameras": len(cameras), "size": facts["size"], "corrected_colors": len(capture.color), "warnings": warnings}
