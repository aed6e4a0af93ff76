"""Default validation cameras and test sequences, where captures.tsv does not name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.nersemble import FRONTAL
from pipeline.capture.source import HeldOut
from pipeline.io.errors import InputError


def choose_val_cameras(cameras: Sequence[Camera], requested: tuple[str, ...], held_out: HeldOut | None = None) -> tuple[tuple[str, ...], str]:
    """Validation cameras: (names, reason).

    The requested ones ("none": no camera); else those that the dataset holds out; else NeRSemble's frontal camera; else, with six or more cameras, the one
    nearest to the mean viewing direction.

    Raises InputError if a requested camera does not exist or no camera is left for training.
    """
    names = [camera.name for camera in cameras]
    if requested:
        val_cameras = tuple(name for name in requested if name != "none")
        for name in val_cameras:
            if name not in names:
                raise InputError(
                    f"the val camera '{name}' does not exist",
                    found=name,
                    expected="one of " + ", ".join(names),
                    remedy="correct the column 'val_cameras' of captures.tsv",
                )
        if set(val_cameras) == set(names):
            raise InputError(
                "every camera is a val camera",
                found=", ".join(val_cameras),
                expected="at least one camera for training",
                remedy="shorten the column 'val_cameras' of captures.tsv",
            )
        return val_cameras, "val cameras: as in captures.tsv" if val_cameras else "no val camera: as in captures.tsv"
    if held_out is not None:
        return held_out.cameras, f"{len(held_out.cameras)} val cameras: {held_out.why}" if held_out.cameras else "no val camera: the dataset holds out none"
    if FRONTAL in names and len(names) > 1:
        return (FRONTAL,), f"val camera {FRONTAL}: NeRSemble's frontal camera"
    if len(names) < 6:
        return (), f"no val camera: all {len(names)} cameras (fewer than six) are needed for training"
    forward = np.stack([camera.R[2] for camera in cameras])
    nearest = names[int(np.argmax(forward @ forward.mean(axis=0)))]
    return (nearest,), f"val camera {nearest}: the nearest to the mean viewing direction of {len(names)}"


def check_enough(cameras: Sequence[Camera], val_cameras: Sequence[str], calibration: Path) -> None:
    """Check that two cameras are left for training, without which nothing can be triangulated. Raises InputError."""
    left = [camera.name for camera in cameras if camera.name not in val_cameras]
    if len(left) > 1:
        return
    held_out = f"; held out: {', '.join(val_cameras)}" if val_cameras else ""
    raise InputError(
        "a fit needs at least two training cameras",
        file=calibration,
        found=f"{len(cameras)} calibrated {'camera' if len(cameras) == 1 else 'cameras'} with footage ({', '.join(c.name for c in cameras)}){held_out}",
        expected="two or more training cameras",
        remedy="shorten the column 'val_cameras' of captures.tsv" if val_cameras else "add calibrated cameras; their names are those of the videos",
    )


def choose_test_sequences(sequences: Sequence[str], requested: tuple[str, ...], held_out: HeldOut | None = None) -> tuple[tuple[str, ...], str]:
    """Test sequences: (names, reason).

    The requested ones ("none": no sequence); else none, where the dataset itself says which frames test; else, with three or more sequences, the last by name; else none, and the
    last frames are for test.

    Raises InputError if a requested sequence does not exist or no sequence is left for training.
    """
    if requested:
        test_sequences = tuple(name for name in requested if name != "none")
        for name in test_sequences:
            if name not in sequences:
                raise InputError(
                    f"the test sequence '{name}' does not exist",
                    found=name,
                    expected="one of " + ", ".join(sequences),
                    remedy="correct the column 'test_sequences' of captures.tsv",
                )
        if set(test_sequences) == set(sequences):
            raise InputError(
                "every sequence is a test sequence",
                found=", ".join(test_sequences),
                expected="at least one sequence for training",
                remedy="shorten the column 'test_sequences' of captures.tsv",
            )
        if test_sequences:
            return test_sequences, "test sequences: as in captures.tsv"
        return (), "no test sequence: as in captures.tsv; the last frames are for test"
    if held_out and held_out.frames is not None:
        return (), "test frames: the dataset's own"
    if len(sequences) < 3:
        return (), f"no test sequence: fewer than three ({len(sequences)}); the last frames are for test"
    return (sorted(sequences)[-1],), f"test sequence {sorted(sequences)[-1]}: the last by name"
