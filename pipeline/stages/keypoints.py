"""Stage `keypoints`: face and body points of every sampled frame in every camera."""

from __future__ import annotations

import shutil

from pipeline.stages.job import Job


def run(job: Job) -> dict:
    """Write keypoints.npz. Each camera first detects by itself; its detections wait in the scratch folder and survive a failure, so that only the other cameras
    run again. Then the cameras are compared, and detection is repeated where others found something.

    Raises:
        InputError: an input is missing, no view shows a face (head captures) or a person (body captures), or no two views agree on one.
    """
    import numpy as np

    from pipeline.capture.processed import read_image_set
    from pipeline.io.arrays import save_npz
    from pipeline.io.errors import InputError
    from pipeline.io.files import digest
    from pipeline.vision.keypoints.multi_camera import combine_cameras, detect_cameras
    from pipeline.vision.keypoints.warnings import check_agreement, keypoint_warnings

    inputs, settings, model = job.inputs, job.settings, job.cells.model
    images, mattes = read_image_set(inputs.frames_json, inputs.frames), read_image_set(inputs.alpha_json, inputs.alpha)
    images.verify(job.part)
    mattes.verify(job.part)
    frames = [frame.id for frame in mattes.frames]
    stride = settings.pose_stride if model == "head" else 1
    waiting = job.scratch / digest([job.stage.version, settings.minimum_score, stride, images.archives, mattes.archives, frames])
    files = detect_cameras(images, mattes, settings.minimum_score, stride, waiting, job.threads, job.part)
    if job.part:
        return {}
    detections = combine_cameras(images, mattes, settings, files, job.threads, job.cells.convention)
    cameras = [camera.name for camera in images.cameras]
    rates = {what: np.isfinite(points[..., 0]).any(-1).mean(0) for what, points in (("face", detections.face), ("pose", detections.pose))}
    needed, name = ("face", "face") if model == "head" else ("pose", "person")
    if not rates[needed].any():
        raise InputError(
            f"no {name} was found in any view", file=inputs.frames, found=f"{len(frames)} frames of {len(cameras)} cameras", expected=f"a {name} in at least one",
            remedy="inspect the images and mattes there (rotated? too small? is `model` in captures.tsv right?), or lower keypoints.minimum_score in config.yaml",
        )  # fmt: skip
    check_agreement(detections, model, cameras, inputs.frames)
    arrays = {"cameras": np.array(cameras), "frames": np.array(frames), "face": detections.face, "pose": detections.pose}
    if settings.backend == "face_alignment":
        from pipeline.vision.keypoints.face_alignment import find_face68

        arrays["face68"] = find_face68(images, frames, detections.face, settings.weights)
    save_npz(job.outputs.keypoints, arrays)
    shutil.rmtree(job.scratch, ignore_errors=True)
    per_camera = zip(cameras, rates["face"], rates["pose"], detections.redetected, detections.dropped)
    found = {c: {"face": round(float(f), 4), "pose": round(float(p), 4), "guided": int(g), "dropped": int(d)} for c, f, p, g, d in per_camera}
    return {"cameras": found, "frames": len(frames), "warnings": keypoint_warnings(detections, cameras)}
