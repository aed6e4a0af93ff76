"""The motion of a capture, from its fit.npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pipeline.body.fit_file import FIT_ARRAYS, check_fit
from pipeline.body.model import load_model
from pipeline.capture.processed import read_image_set
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.io.progress import log
from pipeline.motion.motion import Motion, checked
from pipeline.motion.target import Target

FPS = 30.0  # where no capture lies beside the file


def read_fit(path: Path) -> Motion:
    """A fit.npz as a motion of its model. The rate is that of the sampled frames, by the times in frames.json beside the file. Raises InputError."""
    a = load_npz(path, FIT_ARRAYS)
    model = load_model(str(a["model"]))
    check_fit(a, model, path)
    identity, offsets = (torch.from_numpy(a[name].astype(np.float32)) for name in ("identity", "offsets"))
    joints = model.shape_joints(identity, model.zeros(1)["expression"], offsets)[0]
    scale = float(a["scale"])
    if not 1e-6 < scale < 1e6:
        raise InputError("an impossible scale", file=path, found=scale, expected="world units per metre")
    tracked = Target.tracked(replace(model, rest_joints=joints), a["pose"], a["translation"], a["expression"], scale)
    frames = tuple(a["frames"].tolist())
    return checked(tracked.motion(_rate(path, frames), model.expression_names, frames), path)


def _rate(path: Path, frames: tuple[str, ...]) -> float:
    """Frames per second of the sampled frames, the median of a sequence's steps."""
    if (path.parent / "frames.json").is_file():
        by_id = {frame.id: frame for frame in read_image_set(path.parent / "frames.json", path.parent / "frames").frames}
        known = [by_id[name] for name in frames if name in by_id]
        steps = [b.time - a.time for a, b in zip(known, known[1:]) if a.sequence == b.sequence and b.time > a.time]
        if steps:
            return 1 / float(np.median(steps))
    log(f"{path.name}: no frames.json beside it; taken as {FPS:g} frames per second")
    return FPS
