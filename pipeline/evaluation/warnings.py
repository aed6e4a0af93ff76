"""What the figures of an evaluation say: an avatar that is done and yet probably wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BELOW_TEST_DB = 8.0  # a held-out camera this much worse than unseen frames of the training cameras is wrongly placed
LOW_DB = 18.0  # in the person's bounding box


def figure_warnings(metrics: Mapping[str, Any], rules: Sequence[str]) -> list[str]:
    """Warnings about the held-out cameras.

    Args:
        metrics: the content of metrics.json. rules: why cameras are held out or are not, one per capture, of sample.json.
    """
    val, test = ((metrics.get(split) or {}).get("psnr_box") for split in ("val", "test"))
    if val is None:
        return [f"val has no figure: {rule}. Name one in the column 'val_cameras' of captures.tsv to hold it out" for rule in rules if "fewer than" in rule]
    cameras = {name: (figures or {}).get("psnr_box") for name, figures in metrics["per_camera"].get("val", {}).items()}
    found = f"val is {val:.1f} dB in the bounding box ({', '.join(f'{name} {value:.1f}' for name, value in cameras.items() if value is not None)})"
    if test is not None and val < test - BELOW_TEST_DB:
        return [
            f"{found}, test {test:.1f} dB; expected at most {BELOW_TEST_DB:g} dB apart. Done, but look at the held-out cameras in the report: "
            "their calibration, name, rotation and time offset"
        ]
    if val < LOW_DB:
        return [f"{found}, expected {LOW_DB:g} or more. Done, but look at mattes, fit and renders in the report"]
    return []
