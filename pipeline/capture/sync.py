"""Synchronisation: simultaneous frames of different cameras, and the time between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.io.errors import InputError


@dataclass(frozen=True)
class Sync:
    """For each frame of the first camera its time and the nearest frame of every other camera.

    Attributes:
        times: [F] seconds from the first frame. indices: {camera: [F] int} frame indices in that camera's video.
        error: [F] seconds, the largest time difference between the first camera's frame and another's.
    """

    times: np.ndarray
    indices: dict[str, np.ndarray]
    error: np.ndarray

    @property
    def interval(self) -> float:
        """Median time between frames, seconds."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0

    @property
    def flagged(self) -> np.ndarray:
        """Indices of frames whose cameras are more than half a frame interval apart."""
        return np.flatnonzero(self.error > self.interval / 2 + 1e-6) if self.interval else np.zeros(0, int)

    def to_json(self, *, whole: bool) -> dict[str, Any]:
        """Summary for capture.json; with `whole` also the times and the matching frames."""
        error = self.error * 1000
        facts: dict[str, Any] = {
            "median_ms": round(float(np.median(error)), 3),
            "max_ms": round(float(error.max()), 3),
            "flagged": self.flagged.tolist(),
        }
        if whole:
            facts["times"] = [round(float(t), 6) for t in self.times]
            facts["indices"] = {camera: index.tolist() for camera, index in self.indices.items()}
        return facts


def match_times(times: dict[str, np.ndarray]) -> Sync:
    """Match every frame of the first camera to the nearest frames of the others. times: {camera: [F] rising
    seconds}."""
    lead = next(iter(times.values()))
    indices = {}
    error = np.zeros(len(lead))
    for camera, other in times.items():
        right = np.zeros(len(lead), int)
        if len(other) > 1:
            right = np.clip(np.searchsorted(other, lead), 1, len(other) - 1)
        left = np.maximum(right - 1, 0)
        nearest = np.where(lead - other[left] <= other[right] - lead, left, right)
        indices[camera] = nearest
        error = np.maximum(error, np.abs(other[nearest] - lead))
    return Sync(lead - lead[0], indices, error)


def read_timestamps(path: Path, frames: dict[str, int]) -> dict[str, np.ndarray]:
    """Read time stamps {camera: [F] seconds} from a csv.

    Columns: `cam_id` (or `camera`), `frame_time` (or `time`), optional `frame_index`. All times are on one clock. Rows
        of a camera are sorted by `frame_index` if that column exists (it need not start at
    0), else they keep their order. `cam_id` is the camera's name, with or without the prefix `cam_`, `cam` or `port_`.

    Args:
        frames: {camera: number of frames in its video}.

    Raises InputError if a camera is missing, its number of rows differs from its video, or times do not increase.
    """
    try:
        table = pd.read_csv(path, dtype=str, skipinitialspace=True)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise InputError("cannot be read as a table", file=path, found=error, expected="a csv of time stamps") from None
    table.columns = [str(name).strip() for name in table.columns]
    camera_column = next((name for name in ("camera", "cam_id") if name in table), None)
    time_column = next((name for name in ("frame_time", "time") if name in table), None)
    if camera_column is None or time_column is None:
        raise InputError(
            "lacks a column",
            file=path,
            found=", ".join(table.columns),
            expected="cam_id (or camera) and frame_time (or time)",
        )
    table["seconds"] = pd.to_numeric(table[time_column], errors="coerce")
    if "frame_index" in table:
        table["order"] = pd.to_numeric(table["frame_index"], errors="coerce")
        table = table.sort_values("order", kind="stable")
    times_by_camera = {}
    for camera, count in frames.items():
        spellings = {camera} | {camera.removeprefix(prefix) for prefix in ("cam_", "cam", "port_")}
        times = table.loc[table[camera_column].str.strip().isin(spellings), "seconds"].to_numpy(np.float64)
        if len(times) != count:
            raise InputError(
                f"camera '{camera}' has a different number of time stamps than frames",
                file=path,
                found=f"{len(times)} rows",
                expected=f"{count} frames in its video",
            )
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise InputError(
                f"the time stamps of camera '{camera}' do not increase",
                file=path,
                found="an empty, repeated or earlier time",
                expected="seconds that increase from frame to frame",
            )
        times_by_camera[camera] = times
    return times_by_camera
