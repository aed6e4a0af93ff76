"""Stage `sample`: which processed frames and cameras train, validate and test, written with the reasons."""

from __future__ import annotations

from pipeline.stages.job import Job


def run(job: Job) -> dict:
    """Measure sharpness on the training cameras, choose, write sample.json. Raises InputError where no training frame is left."""
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.record import read_capture
    from pipeline.capture.roles import choose_test_sequences, choose_val_cameras
    from pipeline.capture.sample import choose, measure
    from pipeline.io.files import write_json

    capture, images = read_capture(job.inputs.capture), read_image_set(job.inputs.frames_json, job.inputs.frames)
    val_cameras, why_cameras = choose_val_cameras(capture.cameras, job.cells.val_cameras, capture.held_out)
    test_sequences, why_sequences = choose_test_sequences(sorted(capture.sequences), job.cells.test_sequences, capture.held_out)
    cameras = [camera.name for camera in images.cameras]
    train_cameras = [name for name in cameras if name not in val_cameras]
    own_test = None
    if capture.held_out and capture.held_out.frames is not None and not job.cells.test_sequences:
        own_test = {frame.id for frame in images.frames if frame.frame in capture.held_out.frames.get(frame.sequence, ())}
    sharpness = measure(images, train_cameras, job.threads) if job.settings.blur > 0 and own_test is None else {}
    unsynced = {frame.id for frame in images.frames if frame.frame in capture.flagged(frame.sequence)}
    sample = choose(images.frames, sharpness, unsynced, cameras, val_cameras, test_sequences, job.settings, own_test)
    sample["rules"] = [why_cameras, why_sequences, *sample["rules"]]
    write_json(job.outputs.sample, sample)
    splits = [frame["split"] for frame in sample["frames"]]
    return {
        "train": splits.count("train"),
        "test": splits.count("test"),
        "dropped": len(sample["dropped"]),
        "val_cameras": list(val_cameras),
        "test_sequences": list(test_sequences),
        "rules": sample["rules"],
    }
