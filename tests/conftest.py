"""Before any test is imported."""

import os

import pipeline  # noqa: F401  (sets how OpenMP's threads wait, which torch reads when it is imported)

# isort: split
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is imported: the GPU's kernels then run here, slowly
