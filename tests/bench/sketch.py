"""The sketch that the CPU rasteriser began with (`../shared/rasteriser/cpu_numba.py`, where that folder is), timed on the same scene: no SH, no alpha gradient."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path
from types import ModuleType
from unittest import mock

import numba
import numpy as np
import torch

from pipeline.splat.harmonics import SH_C0
from tests.bench.scene import head

FILE = Path(__file__).parents[3] / "shared" / "rasteriser" / "cpu_numba.py"
TILE = 16


def best_ms(count: int, width: int, height: int, threads: int, repetitions: int) -> float | None:
    """Best milliseconds of forward + backward; None where the sketch is not at hand."""
    if not FILE.is_file():
        return None
    spec = importlib.util.spec_from_file_location("cpu_numba", FILE)
    sketch = importlib.util.module_from_spec(spec)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(numba.config, "CACHE_DIR", folder):  # numba cannot load what it cached of this file
        spec.loader.exec_module(sketch)
        return _time(sketch, count, width, height, threads, repetitions)


def _time(sketch: ModuleType, count: int, width: int, height: int, threads: int, repetitions: int) -> float:
    splats, views = head(count, width, height, 0)
    numba.set_num_threads(threads)
    quats = torch.nn.functional.normalize(splats.quats, dim=1)
    arrays = [x.numpy() for x in (splats.means, quats, splats.log_scales.exp(), splats.opacities.sigmoid())]
    colours = (splats.sh[:, 0] * SH_C0 + 0.5).clamp_min(0).numpy()
    columns, rows = -(-width // TILE), -(-height // TILE)
    g, rect, counts = np.zeros((count, 9), np.float32), np.zeros((count, 4), np.int32), np.zeros(count, np.int32)
    image, light, last = np.zeros((height * width, 3), np.float32), np.zeros(height * width, np.float32), np.zeros(columns * rows, np.int64)
    starts, white, d_image = np.zeros(columns * rows + 1, np.int64), np.ones(3, np.float32), np.random.default_rng(0).random((height * width, 3), np.float32)
    focal, tiles = np.float32(views.K[0, 0, 0]), columns * rows
    times = []
    for _ in range(repetitions + 2):
        start = time.perf_counter()
        sketch.project(np.eye(3, dtype=np.float32), np.array([0, 0, 1], np.float32), focal, focal, np.float32(width / 2), np.float32(height / 2), *arrays,
                       columns, rows, g, rect, counts)  # fmt: skip
        order, ids = np.argsort(g[:, 6], kind="stable"), np.empty(int(counts.sum()), np.int32)
        sketch.binning(order, rect, counts, columns, tiles, starts, ids)
        sketch.forward(starts, ids, g, colours, width, height, columns, tiles, white, image, light, last)
        d_pairs, d_splats = np.empty((len(ids), 9), np.float32), np.zeros((count, 9), np.float32)
        sketch.backward(starts, ids, g, colours, width, height, columns, tiles, white, image, light, last, d_image, d_pairs)
        sketch.gather(ids, len(ids), d_pairs, d_splats)
        times.append(1000 * (time.perf_counter() - start))
    return min(times[2:])
