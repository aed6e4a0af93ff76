"""frames: footage becomes packed pictures, undistorted, cropped, resized, colour-corrected, with the cameras that belong to them."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.capture.settings import FramesSettings
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES

if TYPE_CHECKING:
    from pipeline.contract.captures_table import CaptureRow


def run(settings: FramesSettings, layout: Layout, threads: int, row: CaptureRow, part: slice | None = None) -> dict:
    """Process every camera in parallel; finished ones wait under `work/` and survive a failure. part: only these cameras, nothing published. Raises InputError."""
    from pipeline.capture.frames import choose_frames, pack_camera, processed_cameras
    from pipeline.capture.processed import write_image_set
    from pipeline.capture.record import read_capture
    from pipeline.io.files import digest, publish_folder, sha256
    from pipeline.io.parallel import map_processes
    from pipeline.io.progress import log

    capture = read_capture(layout.capture)
    frames = choose_frames(capture, row.first, row.last, row.stride, settings.max_rate)
    cameras, windows = processed_cameras(capture, settings, row.size)
    for name in sorted(set(settings.crop) - {"all", *windows}):
        log(f"crop: {capture.id} has no camera '{name}'")
    key = digest([CAPTURE_STAGES["frames"].version, asdict(settings), row.first, row.last, row.stride, row.size, sha256(layout.capture)])
    waiting = layout.scratch("frames") / key
    jobs = [(capture, raw, camera, frames, waiting / f"{raw.name}.zip") for raw, camera in zip(capture.cameras, cameras)]
    map_processes(pack_camera, jobs[part] if part else jobs, threads, f"frames of {capture.id}")
    if part:
        return {}
    publish_folder([job[-1] for job in jobs], layout.frames)
    facts = {"crop": {name: list(window) for name, window in windows.items()}, "size": {c.name: [c.width, c.height] for c in cameras}}
    write_image_set(layout.frames_json, layout.frames, cameras, frames, facts)
    shutil.rmtree(layout.scratch("frames"), ignore_errors=True)
    return {"frames": len(frames), "cameras": len(cameras), "size": facts["size"], "corrected_colors": len(capture.color)}
