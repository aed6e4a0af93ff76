"""Triton kernels on a machine without a GPU: their modules run under Triton's interpreter, or the tests that need them are skipped."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest


def interpreted(module: str) -> ModuleType:
    """A module with Triton kernels. Skips the test file where Triton is missing or TRITON_INTERPRET=1 was not set before Python started."""
    pytest.importorskip("triton", reason="triton is not installed")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("kernels need a GPU, or TRITON_INTERPRET=1", allow_module_level=True)
    return importlib.import_module(module)
