"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import subprocess

import torch


def machine(device: torch.device) -> dict[str, str]:
    """Device, driver, versions and commit."""
    facts = {"device": platform.processor() or platform.machine(), "python": platform.python_version(), "torch": torch.__version__, "commit": commit()}
    if device.type == "cuda":
        import triton

        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split("\n")[0]
        facts |= {"device": torch.cuda.get_device_name(device), "driver": driver, "triton": triton.__version__}
    return facts


def commit() -> str:
    """The checkout's commit; $C2A_COMMIT where only a copy of the files is at hand."""
    found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    return os.environ.get("C2A_COMMIT") or found or "unknown"
