"""The GPU backend's Triton kernels under Triton's interpreter, on tiny scenes, against the torch reference; `tests/gpu` does the same on a GPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest


def test_kernels_under_the_interpreter():
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "tests/unit/splat_gpu_scenes.py"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
