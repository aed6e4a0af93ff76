"""Import of MediaPipe without its log output, which its C++ side writes past Python's streams."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def quiet_mediapipe() -> Iterator[ModuleType]:
    """Yield the module while its C++ side cannot write to standard error. Create and first run networks inside the block."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr_copy, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        warnings.filterwarnings("ignore", message=".*GetPrototype.*")  # protobuf warns at the first result of each network
        import mediapipe

        yield mediapipe
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)
        os.close(devnull)
