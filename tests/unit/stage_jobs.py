"""Runs one stage's function on the files of a layout, without Snakemake, leases and manifests."""

from __future__ import annotations

import importlib
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.stages.job import make_job


def run_stage(name: str, settings: Any, layout: Layout, row: CaptureRow | None = None, threads: int = 1, part: slice | None = None) -> dict[str, Any]:
    """The facts that the stage returns."""
    return importlib.import_module(f"pipeline.stages.{name}").run(make_job(name, settings, method_of(layout.method), layout, row, threads, part=part))
