"""`./c2a metrics`: two folders of images, compared."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.io.files import check_writable, write_json


def compare(first: Path, second: Path, common: bool, lpips: tuple[tuple[Path, Path], ...], out: Path | None, cores: int | None) -> None:
    """Print the means, and write everything to `out`. lpips: files of network and linear layers. Raises InputError, see `compare_folders`."""
    if out and out.suffix.lower() != ".json":
        raise InputError("the figures are written as JSON", found=str(out), expected="--out FILE.json", remedy="correct --out")
    if out:
        check_writable(out.parent, "--out")
    from pipeline.evaluation.folders import compare_folders

    networks = []
    if lpips:
        from pipeline.evaluation.lpips import Lpips

        networks = [Lpips(*files) for files in lpips]
    figures = compare_folders(first, second, common, networks, cores or os.cpu_count() or 1)
    mean = dict(figures["mean"])
    print(f"{mean.pop('images')} images")
    for name, value in mean.items():
        print(f"  {name:<14} {value:.4f}" + (" dB" if name.startswith("psnr") else ""))
    if out:
        write_json(out, figures)
        print(f"wrote {out}")
