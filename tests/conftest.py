"""Before any test is imported."""

import os
import signal

import pipeline  # noqa: F401  (sets how OpenMP's threads wait, which torch reads when it is imported)

# isort: split
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is imported: the GPU's kernels then run here, slowly

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests in the background ignores Ctrl-C, and what they start would, too
