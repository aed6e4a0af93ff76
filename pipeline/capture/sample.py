"""The choice of training and test frames among the processed frames, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.capture.processed import Frame, ImageSet
from pipeline.capture.settings import SampleSettings
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json
from pipeline.io.packed import PackedImages
from pipeline.io.parallel import map_processes
from pipeline.io.validation import is_name

NEIGHBOURS = 5  # frames on either side with which a frame's sharpness is compared


@dataclass(frozen=True)
class Sample:
    """The content of sample.json: frame ids by split and camera names by role, frames in time order."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    train_cameras: tuple[str, ...]
    val_cameras: tuple[str, ...]
    frames: tuple[str, ...]


def read_sample(path: Path) -> Sample:
    """Read sample.json. Raises InputError if it is missing or not such a file."""
    remedy = f"./c2a run {path.parent.name} --from sample"
    record = read_json(path, remedy=remedy)
    try:
        frames = [(str(frame["id"]), str(frame["split"])) for frame in record["frames"]]
        cameras = {str(name): str(role) for name, role in record["cameras"].items()}
        if wrong := [name for name in (*cameras, *(name for name, _ in frames)) if not is_name(name)]:
            raise ValueError(f"a frame or camera named {wrong[0]!r}")
    except MALFORMED as error:
        raise InputError(
            "is not a sample.json",
            file=path,
            found=repr(error),
            expected="the file that `sample` writes",
            remedy=remedy,
        ) from None

    def with_role(items: Sequence[tuple[str, str]], role: str) -> tuple[str, ...]:
        return tuple(name for name, item_role in items if item_role == role)

    roles = list(cameras.items())
    return Sample(
        train=with_role(frames, "train"),
        test=with_role(frames, "test"),
        train_cameras=with_role(roles, "train"),
        val_cameras=with_role(roles, "val"),
        frames=tuple(name for name, _ in frames),
    )


def choose(
    frames: Sequence[Frame],
    sharpness: Mapping[str, float],
    unsynced: set[str],
    cameras: Sequence[str],
    val_cameras: Sequence[str],
    test_sequences: Sequence[str],
    settings: SampleSettings,
    own_test: set[str] | None = None,
) -> dict[str, Any]:
    """The content of sample.json.

    A dataset with a split of its own keeps all its frames but those that the stride leaves out. Otherwise, in this order: drop unsynchronised frames; apply the stride; draw at most `most_frames` frames, one at random from
    each of as many equal intervals; split into train and test; drop blurred training frames. Blurred test frames stay:
    dropping them would improve the metrics without improving the avatar.

    Args:
        frames: in time order.
        sharpness: {id: sharpness relative to the neighbours}, see `relative_sharpness`; missing ids count as sharp.
        unsynced: ids of frames whose cameras are more than half a frame apart.
        cameras: all names. val_cameras: names of the held-out ones. test_sequences: names; empty: the last frames.
        own_test: ids of the test frames of the dataset's own split, where it has one.

    Raises InputError if no training frame is left.
    """
    if own_test is not None:
        settings = replace(settings, most_frames=len(frames) + 1, blur=0.0)
    kept, dropped, rules = _subsample(frames, unsynced, settings)
    test, rule = (
        _test_frames(kept, test_sequences, settings.test_share) if own_test is None else (own_test, f"test: {len(own_test)} frames of the dataset's split")
    )
    blurred = {f.id for f in kept if f.id not in test and sharpness.get(f.id, 1.0) < settings.blur}
    dropped |= {name: f"blurred: sharpness {sharpness[name]:.2f} of its neighbours'" for name in blurred}
    rules += [rule, f"sharpness below {settings.blur:g} of the neighbours': {len(blurred)} training frames dropped"]
    sharp = [frame for frame in kept if frame.id not in blurred]
    sample = [{"id": frame.id, "split": "test" if frame.id in test else "train"} for frame in sharp]
    if not any(frame["split"] == "train" for frame in sample):
        raise InputError(
            "no training frame is left",
            found="; ".join(rules),
            expected="at least one training frame",
            remedy="relax 'sample' in config.yaml, or the columns 'frames' and 'test_sequences' of captures.tsv",
        )
    return {
        "seed": settings.seed,
        "frames": sample,
        "cameras": {name: "val" if name in val_cameras else "train" for name in cameras},
        "dropped": [{"id": frame.id, "why": dropped[frame.id]} for frame in frames if frame.id in dropped],
        "rules": rules,
    }


def _subsample(
    frames: Sequence[Frame],
    unsynced: set[str],
    settings: SampleSettings,
) -> tuple[list[Frame], dict[str, str], list[str]]:
    """(kept frames, {dropped id: reason}, description of each rule)."""
    dropped: dict[str, str] = {}
    rules = []
    if settings.drop_unsynced:
        dropped = {frame.id: "cameras more than half a frame apart in time" for frame in frames if frame.id in unsynced}
        rules.append(f"synchronised: {len(dropped)} of {len(frames)} frames dropped")
    for name, position in _positions(frames).items():
        if position % settings.stride and name not in dropped:
            dropped[name] = f"stride {settings.stride}"
    left = [frame for frame in frames if frame.id not in dropped]
    rules.append(f"stride {settings.stride}: {len(left)} frames left")
    kept = [left[index] for index in draw(len(left), settings.most_frames, settings.seed)]
    if len(kept) < len(left):
        dropped |= {frame.id: "not drawn" for frame in set(left) - set(kept)}
        rules.append(f"{len(kept)} of {len(left)} frames drawn, one from each equal interval (seed {settings.seed})")
    return kept, dropped, rules


def _positions(frames: Sequence[Frame]) -> dict[str, int]:
    """{id: position of the frame within its sequence}."""
    counts: dict[str, int] = {}
    positions = {}
    for frame in frames:
        positions[frame.id] = counts.get(frame.sequence, 0)
        counts[frame.sequence] = positions[frame.id] + 1
    return positions


def draw(count: int, most: int, seed: int) -> list[int]:
    """Ascending indices below `count`: all, or one at random from each of `most` equal intervals."""
    if count <= most:
        return list(range(count))
    edges = np.linspace(0, count, most + 1).astype(int)
    generator = np.random.default_rng(seed)
    return [int(generator.integers(low, high)) for low, high in zip(edges, edges[1:])]


def _test_frames(frames: Sequence[Frame], sequences: Sequence[str], share: float) -> tuple[set[str], str]:
    """(ids, description of the rule): the frames of the test sequences, else the last share of all frames."""
    if sequences:
        test = {frame.id for frame in frames if frame.sequence in sequences}
        return test, f"test: {len(test)} frames of {', '.join(sequences)}"
    count = round(share * len(frames)) if len(frames) > 1 else 0
    test = {frame.id for frame in frames[len(frames) - count :]}
    return test, f"test: the last {len(test)} of {len(frames)} frames (no test sequence)"


def frame_sharpness(path: Path, names: Sequence[str]) -> np.ndarray:
    """[F] variance of the Laplacian of each grey image of one camera's zip, inside its mask `visible`."""
    images = PackedImages(path)
    # the border between padding and image is a sharp edge in every frame
    inside = cv2.erode(images.read("visible"), np.ones((5, 5), np.uint8)) > 0
    values = []
    for name in names:
        laplacian = cv2.Laplacian(cv2.cvtColor(images.read(name), cv2.COLOR_RGB2GRAY), cv2.CV_32F)
        values.append(float(laplacian[inside].var()) if inside.any() else 0.0)
    return np.array(values)


def relative_sharpness(frames: Sequence[Frame], values: np.ndarray) -> dict[str, float]:
    """{id: mean over cameras of the frame's sharpness / median over its neighbours in the sequence}. values: [C, F]."""
    relative: dict[str, float] = {}
    sequences = np.array([frame.sequence for frame in frames])
    for index, frame in enumerate(frames):
        window = np.arange(max(0, index - NEIGHBOURS), min(len(frames), index + NEIGHBOURS + 1))
        window = window[sequences[window] == frame.sequence]
        median = np.median(values[:, window], axis=1)
        relative[frame.id] = float(np.mean(values[:, index] / np.maximum(median, 1e-6)))
    return relative


def measure(images: ImageSet, cameras: Sequence[str], threads: int) -> dict[str, float]:
    """Relative sharpness {id: value} of every frame over the named cameras, which are read in parallel."""
    names = [frame.id for frame in images.frames]
    jobs = [(images.open(camera).path, names) for camera in cameras]
    values = map_processes(frame_sharpness, jobs, threads, "cameras, sharpness")
    return relative_sharpness(images.frames, np.stack(values))
