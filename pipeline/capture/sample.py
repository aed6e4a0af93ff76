"""Which processed frames train and which test, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.capture.processed import Frame, ImageSet
from pipeline.capture.settings import SampleSettings
from pipeline.io.errors import InputError
from pipeline.io.files import read_json
from pipeline.io.packed import PackedImages
from pipeline.io.parallel import map_processes

NEIGHBOURS = 5  # frames on either side that a frame's sharpness is compared with


@dataclass(frozen=True)
class Sample:
    """Frame ids and camera names by role; both kinds of frames in time order."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    train_cameras: tuple[str, ...]
    val_cameras: tuple[str, ...]
    frames: tuple[str, ...]


def read_sample(path: Path) -> Sample:
    """The content of sample.json. Raises InputError where the file is missing or is something else."""
    remedy = f"./c2a run {path.parent.name} --from sample"
    record = read_json(path, remedy=remedy)
    try:
        frames = [(str(frame["id"]), str(frame["split"])) for frame in record["frames"]]
        cameras = dict(record["cameras"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("is no sample of frames", file=path, found=repr(error), remedy=remedy) from None

    def pick(items: Sequence[tuple[str, str]], role: str) -> tuple[str, ...]:
        return tuple(name for name, its in items if its == role)

    roles = list(cameras.items())
    return Sample(pick(frames, "train"), pick(frames, "test"), pick(roles, "train"), pick(roles, "val"), tuple(name for name, _ in frames))


def choose(
    frames: Sequence[Frame],
    sharpness: Mapping[str, float],
    unsynced: set[str],
    cameras: Sequence[str],
    val_cameras: Sequence[str],
    test_sequences: Sequence[str],
    settings: SampleSettings,
) -> dict[str, Any]:
    """The content of sample.json.

    Order: unsynchronised frames go, then the stride, then at most `most_frames` by a seeded draw (one from each of as many equal stretches), then
    the split, then blurred frames leave the training part. A hard test frame stays: dropping it would flatter the result.

    Args:
        frames: in time order. sharpness: {id: sharpness relative to the neighbours} (`relative_sharpness`); ids it lacks count as sharp.
        unsynced: ids of frames whose cameras are more than half a frame apart.

    Raises InputError where no training frame is left.
    """
    kept, dropped, rules = _thin(frames, unsynced, settings)
    test, rule = _test_frames(kept, test_sequences, settings.test_share)
    blurred = {f.id for f in kept if f.id not in test and sharpness.get(f.id, 1.0) < settings.blur}
    dropped |= {name: f"blurred: sharpness {sharpness[name]:.2f} of its neighbours'" for name in blurred}
    rules += [rule, f"sharpness below {settings.blur:g} of the neighbours': {len(blurred)} training frames dropped"]
    chosen = [{"id": frame.id, "split": "test" if frame.id in test else "train"} for frame in kept if frame.id not in blurred]
    if not any(frame["split"] == "train" for frame in chosen):
        raise InputError(
            "no training frame is left",
            found="; ".join(rules),
            expected="at least one",
            remedy="loosen the settings under 'sample' in config.yaml, or the columns 'frames' and 'test_sequences' of captures.tsv",
        )
    return {
        "seed": settings.seed,
        "frames": chosen,
        "cameras": {name: "val" if name in val_cameras else "train" for name in cameras},
        "dropped": [{"id": frame.id, "why": dropped[frame.id]} for frame in frames if frame.id in dropped],
        "rules": rules,
    }


def _thin(frames: Sequence[Frame], unsynced: set[str], settings: SampleSettings) -> tuple[list[Frame], dict[str, str], list[str]]:
    """(kept frames, {dropped id: why}, rules in words)."""
    dropped: dict[str, str] = {}
    rules = []
    if settings.drop_unsynced:
        dropped = {frame.id: "cameras more than half a frame apart in time" for frame in frames if frame.id in unsynced}
        rules.append(f"synchronised: {len(dropped)} of {len(frames)} frames dropped")
    dropped |= {name: f"stride {settings.stride}" for name, place in _places(frames).items() if place % settings.stride and name not in dropped}
    left = [frame for frame in frames if frame.id not in dropped]
    rules.append(f"stride {settings.stride}: {len(left)} frames left")
    kept = [left[index] for index in draw(len(left), settings.most_frames, settings.seed)]
    if len(kept) < len(left):
        dropped |= {frame.id: "not drawn" for frame in set(left) - set(kept)}
        rules.append(f"{len(kept)} of {len(left)} frames drawn, one from each equal stretch (seed {settings.seed})")
    return kept, dropped, rules


def _places(frames: Sequence[Frame]) -> dict[str, int]:
    """{id: position of the frame within its sequence}."""
    counts: dict[str, int] = {}
    places = {}
    for frame in frames:
        places[frame.id] = counts.get(frame.sequence, 0)
        counts[frame.sequence] = places[frame.id] + 1
    return places


def draw(count: int, most: int, seed: int) -> list[int]:
    """Ascending indices out of `count`: all, or `most` of them, one at random from each of `most` equal stretches."""
    if count <= most:
        return list(range(count))
    edges = np.linspace(0, count, most + 1).astype(int)
    generator = np.random.default_rng(seed)
    return [int(generator.integers(low, high)) for low, high in zip(edges, edges[1:])]


def _test_frames(frames: Sequence[Frame], sequences: Sequence[str], share: float) -> tuple[set[str], str]:
    if sequences:
        test = {frame.id for frame in frames if frame.sequence in sequences}
        return test, f"test: {len(test)} frames of {', '.join(sequences)}"
    count = round(share * len(frames)) if len(frames) > 1 else 0
    test = {frame.id for frame in frames[len(frames) - count :]}
    return test, f"test: the last {len(test)} of {len(frames)} frames (no test sequence)"


def frame_sharpness(path: Path, names: Sequence[str]) -> np.ndarray:
    """[F] variance of the Laplacian of each grey picture of one camera's zip, inside of what is visible."""
    images = PackedImages(path)
    # padding meets the picture in a hard edge that says nothing about focus
    inside = cv2.erode(images.read("visible"), np.ones((5, 5), np.uint8)) > 0
    values = []
    for name in names:
        laplacian = cv2.Laplacian(cv2.cvtColor(images.read(name), cv2.COLOR_RGB2GRAY), cv2.CV_32F)
        values.append(float(laplacian[inside].var()) if inside.any() else 0.0)
    return np.array(values)


def relative_sharpness(frames: Sequence[Frame], values: np.ndarray) -> dict[str, float]:
    """{id: mean over cameras of sharpness divided by the median of the neighbouring frames of the same sequence}; values [C, F]."""
    relative: dict[str, float] = {}
    sequences = np.array([frame.sequence for frame in frames])
    for index, frame in enumerate(frames):
        window = np.arange(max(0, index - NEIGHBOURS), min(len(frames), index + NEIGHBOURS + 1))
        window = window[sequences[window] == frame.sequence]
        usual = np.median(values[:, window], axis=1)
        relative[frame.id] = float(np.mean(values[:, index] / np.maximum(usual, 1e-6)))
    return relative


def measure(images: ImageSet, cameras: Sequence[str], threads: int) -> dict[str, float]:
    """Relative sharpness of every frame over the given cameras, which are read in parallel."""
    names = [frame.id for frame in images.frames]
    values = map_processes(frame_sharpness, [(images.open(camera).path, names) for camera in cameras], threads, "sharpness")
    return relative_sharpness(images.frames, np.stack(values))
