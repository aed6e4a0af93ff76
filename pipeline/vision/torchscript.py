"""TorchScript files of the user: programs, which run what their author wrote as soon as they are loaded."""

from __future__ import annotations

from pathlib import Path

import torch

from pipeline.io.errors import InputError


def load_torchscript(path: str, setting: str, remedy: str) -> torch.nn.Module:
    """The network of a TorchScript file, on the CPU.

    Args:
        setting: which one names the file, such as matte.checkpoint; its section's `trust_model_files` has been checked with it.

    Raises:
        InputError: the file is missing or not TorchScript.
    """
    expected = "a TorchScript file, which holds the architecture too"
    if not path or not Path(path).is_file():
        raise InputError("no such network", file=path or None, found=f"{setting}: {path!r}", expected=expected, remedy=remedy)
    try:
        return torch.jit.load(path, map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        found = f"not TorchScript, maybe weights alone ({(str(error).splitlines() or [''])[0]})"
        raise InputError("cannot be loaded", file=path, found=found, expected=expected, remedy=remedy) from None
