"""The torch device that training and rendering run on."""

from __future__ import annotations

import importlib.util

import torch

from pipeline.io.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device with this name. "auto": a GPU if torch and Triton can use one, else the CPU.

    Raises:
        InputError: this machine does not have the device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() and importlib.util.find_spec("triton") else "cpu"
    try:
        device = torch.empty(0, device=name).device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # Triton launches on the current device
        return device
    except (RuntimeError, AssertionError) as error:  # a torch build without CUDA raises AssertionError
        raise InputError(
            "the device is not available",
            found=f"device: {name}",
            expected="auto or cpu, on a machine without a GPU that torch can use",
            remedy="set train.device: auto, where it is set (config.yaml, --config or --set); ./c2a doctor says what is missing",
        ) from error


def describe(device: torch.device) -> str:
    """A device for the record: `cpu`, or `cuda:0 (NVIDIA H200)`."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
