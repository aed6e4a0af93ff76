"""Which device training runs on."""

from __future__ import annotations

import importlib.util

import torch

from pipeline.io.errors import InputError


def choose_device(wanted: str) -> torch.device:
    """The device called `wanted`; "auto" is the first GPU that the Triton kernels can use, else the CPU. Raises InputError for a device this machine does not have."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() and importlib.util.find_spec("triton") else "cpu"
    try:
        device = torch.empty(0, device=wanted).device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # Triton launches on the current one
        return device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InputError(
            "this device cannot be used",
            found=f"train.device: {wanted}",
            expected="auto, cpu or a GPU that is there, such as cuda",
            remedy="set train.device: auto in config.yaml",
        ) from error
