"""Which cameras and sequences are kept away from training, where the user does not say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.nersemble import FRONTAL
from pipeline.io.errors import InputError


def choose_val_cameras(cameras: Sequence[Camera], wanted: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """(names, why). The wanted ones ("none": none); else NeRSemble's frontal camera; else of six or more the one that looks most along the mean direction.

    Raises InputError where a wanted camera does not exist or none would be left to train with.
    """
    names = [camera.name for camera in cameras]
    if wanted:
        chosen = tuple(name for name in wanted if name != "none")
        for name in chosen:
            if name not in names:
                raise InputError(
                    f"the val camera '{name}' does not exist",
                    found=name,
                    expected="one of " + ", ".join(names),
                    remedy="correct the column 'val_cameras' of captures.tsv",
                )
        if set(chosen) == set(names):
            raise InputError(
                "every camera is a val camera",
                found=", ".join(chosen),
                expected="some cameras left to train with",
                remedy="shorten the column 'val_cameras' of captures.tsv",
            )
        return chosen, "val cameras as captures.tsv says" if chosen else "no val camera, as captures.tsv says"
    if FRONTAL in names and len(names) > 1:
        return (FRONTAL,), f"val camera {FRONTAL}: NeRSemble's frontal one"
    if len(names) < 6:
        return (), f"no val camera: with {len(names)} cameras (fewer than six) all are needed for training"
    forward = np.stack([camera.R[2] for camera in cameras])
    nearest = names[int(np.argmax(forward @ forward.mean(axis=0)))]
    return (nearest,), f"val camera {nearest}: the nearest to the mean viewing direction of {len(names)}"


def choose_test_sequences(sequences: Sequence[str], wanted: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """(names, why). The wanted ones ("none": none); else of three or more sequences the last by name; else none (test is then the last frames).

    Raises InputError where a wanted sequence does not exist or none would be left to train with.
    """
    if wanted:
        chosen = tuple(name for name in wanted if name != "none")
        for name in chosen:
            if name not in sequences:
                raise InputError(
                    f"the test sequence '{name}' does not exist",
                    found=name,
                    expected="one of " + ", ".join(sequences),
                    remedy="correct the column 'test_sequences' of captures.tsv",
                )
        if set(chosen) == set(sequences):
            raise InputError(
                "every sequence is a test sequence",
                found=", ".join(chosen),
                expected="some left to train with",
                remedy="shorten the column 'test_sequences' of captures.tsv",
            )
        return chosen, "test sequences as captures.tsv says" if chosen else "no test sequence, as captures.tsv says: the last frames are for test"
    if len(sequences) < 3:
        return (), f"no test sequence: there are {len(sequences)} (fewer than three), so the last frames are for test"
    return (sorted(sequences)[-1],), f"test sequence {sorted(sequences)[-1]}: the last by name"
