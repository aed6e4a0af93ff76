"""What stages and avatars came to, in a few figures for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.contract.layout import Layout
from pipeline.io.files import read_record
from pipeline.io.words import counted
from pipeline.report.records import SPLITS

_COUNTS = ("cameras", "sequences", "frames", "images", "steps", "splats", "videos")


def stage_figures(facts: Mapping[str, Any]) -> str:
    """The facts of a manifest that a person wants to see while it runs: `6 cameras, 14 frames`."""
    sizes = {name: len(value) if isinstance(value, list | dict) else value for name in _COUNTS if (value := facts.get(name)) is not None}
    texts = [f"{number:,} {counted(number, name[:-1]).split()[1]}" for name, number in sizes.items()]
    if {"train", "test"} <= facts.keys() and isinstance(facts["train"], int):
        texts.append(f"{facts['train']} for training, {facts['test']} for test")
    if facts.get("residual_px_all") is not None:
        texts.append(f"residual {facts['residual_px_all']:.1f} px")
    if facts.get("resumed_at"):
        texts.append(f"resumed from step {facts['resumed_at']}")
    psnr = [f"{split} {facts[split]['psnr_box']:.1f} dB" for split in SPLITS if _scored(facts.get(split))]
    return ", ".join(texts + psnr)


def avatar_figures(layout: Layout) -> list[str]:
    """Quality per split and the number of splats, of metrics.json; nothing where there is none."""
    metrics = read_record(layout.metrics) or {}
    scores = [f"{split} {metrics[split]['psnr_box']:.1f} dB / {metrics[split]['ssim_box']:.3f}" for split in SPLITS if _scored(metrics.get(split))]
    lines = ["PSNR / SSIM in the subject's box: " + ", ".join(scores)] if scores else []
    return lines + ([f"{metrics['splats']:,} splats"] if metrics.get("splats") else [])


def _scored(split: Any) -> bool:
    return isinstance(split, Mapping) and split.get("psnr_box") is not None and split.get("ssim_box", 0) is not None
