"""MediaPipe without its greeting: the library logs from C++, past Python's streams."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def quiet_mediapipe() -> Iterator[ModuleType]:
    """Yield the module while its C++ side cannot write to standard error; to be held while networks are made."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        warnings.filterwarnings("ignore", message=".*GetPrototype.*")  # comes with every first result, too
        import mediapipe

        yield mediapipe
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)
