"""Which device training runs on."""

from __future__ import annotations

import torch

from pipeline.io.errors import InputError


def choose_device(wanted: str) -> torch.device:
    """The device called `wanted`; "auto" is the CPU as long as the splat kernels are its own (the torch reference on a GPU is far slower). Raises InputError for a device this machine does not have."""
    if wanted == "auto":
        return torch.device("cpu")
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InputError(
            "this device cannot be used",
            found=f"train.device: {wanted}",
            expected="auto, cpu or a GPU that is there, such as cuda",
            remedy="set train.device: auto in config.yaml",
        ) from error
