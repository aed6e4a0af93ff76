"""The GPU backend's Triton kernels under Triton's interpreter, on tiny scenes, against the torch reference; `tests/gpu` does the same on a GPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from pipeline.splat.rasterise import rasterise
from pipeline.splat.splats import Splats, Views
from tests.unit.test_splat_rasterise import random_splats, view


def test_kernels_under_the_interpreter():
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "tests/unit/splat_gpu_scenes.py"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_antialiasing_on_the_cpu_agrees_with_reference():
    """Splats smaller than a pixel; without it they are drawn as bright as large ones."""
    names, results = ("means", "quats", "log_scales", "opacities"), []
    splats, views = random_splats(60, size=0.004, logit=3.0), view(40, 30)
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        leaves = [getattr(splats, name).detach().to(dtype, copy=True).requires_grad_() for name in names]
        moved = Views(views.K.to(dtype), views.R.to(dtype), views.t.to(dtype), 40, 30)
        rendered = rasterise(Splats(*leaves, splats.sh.to(dtype)), moved, torch.zeros(3, dtype=dtype), backend=backend, antialias=True)
        results.append([rendered.image.detach().double(), *(x.double() for x in torch.autograd.grad(rendered.image.square().sum(), leaves))])
    assert (results[0][0] - results[1][0]).abs().max() < 1e-4
    for value, expected_value in zip(results[0][1:], results[1][1:]):
        assert (value - expected_value).norm() <= 1e-3 * expected_value.norm()
    assert results[1][0].sum() < 0.8 * rasterise(splats, views, torch.zeros(3)).image.sum()
