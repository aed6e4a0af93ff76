"""What the stages call of the `static` method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.avatars.splats.avatar import LOCAL_ARRAYS, check_local
from pipeline.avatars.splats.extent import scene_extent
from pipeline.avatars.static.avatar import StaticAvatar
from pipeline.avatars.static.initialise import look_target, random_points, splats_at
from pipeline.avatars.static.settings import InitSettings, StaticTrainSettings
from pipeline.capture.forms.colmap import colmap_points
from pipeline.capture.processed import read_image_set
from pipeline.capture.record import Capture, read_capture
from pipeline.capture.sample import read_sample
from pipeline.contract.layout import Subject
from pipeline.io.arrays import Numbers, Shape, Text, load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.io.files import sha256

SCENE_ARRAYS: dict[str, Shape] = {**LOCAL_ARRAYS, "frames": Text((None,)), "extent": Numbers(()), "target": Numbers((3,))}
"""What init.npz and avatar.npz hold."""


def initialise(settings: InitSettings, subjects: Sequence[Subject], path: Path, threads: int) -> dict[str, Any]:
    """Write init.npz: splats at the points of the capture's sparse model, else at random. Returns facts for the manifest."""
    layout, generator = subjects[0].layout, np.random.default_rng(settings.seed)
    capture, sample = read_capture(layout.capture), read_sample(layout.sample)
    by_name = read_image_set(layout.alpha_json, layout.alpha).by_name
    cameras = [by_name[name] for name in sample.train_cameras]
    points, colors = _points(capture, f"./c2a run {subjects[0].name} --from ingest")
    if len(points) > settings.most_points:
        chosen = np.sort(generator.choice(len(points), settings.most_points, replace=False))
        points, colors = points[chosen], colors[chosen]
    sparse = len(points)
    if not sparse:
        points = random_points(cameras, settings.box if capture.kind == "blender" else None, settings.random_points, generator)
    arrays = splats_at(points, colors if sparse else None, settings)
    extent = scene_extent(np.stack([camera.centre for camera in cameras]))
    save_npz(path, arrays | {"frames": np.array(sample.frames), "extent": np.array(extent), "target": look_target(cameras)})
    return {"splats": len(points), "points": sparse, "extent": round(extent, 6)}


def build(settings: StaticTrainSettings, subjects: Sequence[Subject], init: Path, device: torch.device) -> StaticAvatar:
    """The avatar of an init.npz, ready to be trained."""
    arrays = _read(init, f"./c2a run {subjects[0].name} --from init")
    return StaticAvatar(arrays, subjects[0].name, settings).to(device)


def open_avatar(path: Path, device: torch.device | str = "cpu", *, remedy: str = "") -> StaticAvatar:
    """The avatar of an avatar.npz, ready to be drawn. Raises InputError where the file is missing or is something else."""
    return StaticAvatar(_read(path, remedy)).eval().to(device)


def _read(path: Path, remedy: str) -> Mapping[str, np.ndarray]:
    arrays = load_npz(path, SCENE_ARRAYS, remedy=remedy)
    check_local(arrays, path, remedy)
    if not (np.isfinite(arrays["target"]).all() and 0 < float(arrays["extent"]) < np.inf):
        found = f"extent {arrays['extent']}, target {arrays['target'].tolist()}"
        raise InputError("holds no scene", file=path, found=found, expected="a positive extent and a finite point", remedy=remedy)
    return arrays


def _points(capture: Capture, remedy: str) -> tuple[np.ndarray, np.ndarray]:
    """The points of the sparse model with their colours; none where the capture has none. Raises InputError where the file changed since `ingest`."""
    if capture.points is None:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    if not capture.points.is_file() or sha256(capture.points) != capture.points_sha256:
        raise InputError("is gone, or changed since it was read", file=capture.points, expected="the file that 'ingest' read", remedy=remedy)
    return colmap_points(capture.points)
