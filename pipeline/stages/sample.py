"""sample: which processed frames and cameras train, validate and test, written with the reasons."""

from __future__ import annotations

from pipeline.capture.settings import SampleSettings
from pipeline.contract.layout import Layout


def run(settings: SampleSettings, layout: Layout, threads: int) -> dict:
    """Measure sharpness on the training cameras, choose, write sample.json. Raises InputError where no training frame is left."""
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.record import read_capture
    from pipeline.capture.sample import choose, measure
    from pipeline.io.files import write_json

    capture, images = read_capture(layout.capture), read_image_set(layout.frames_json, layout.frames)
    cameras = [camera.name for camera in images.cameras]
    sharpness = measure(images, [name for name in cameras if name not in capture.val_cameras], threads) if settings.blur > 0 else {}
    unsynced = {frame.id for frame in images.frames if frame.frame in capture.flagged(frame.sequence)}
    sample = choose(images.frames, sharpness, unsynced, cameras, capture.val_cameras, capture.test_sequences, settings)
    write_json(layout.sample, sample)
    splits = [frame["split"] for frame in sample["frames"]]
    return {
        "train": splits.count("train"),
        "test": splits.count("test"),
        "dropped": len(sample["dropped"]),
        "val_cameras": list(capture.val_cameras),
        "rules": sample["rules"],
    }
