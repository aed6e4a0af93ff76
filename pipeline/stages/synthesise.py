"""Stage `synthesise`: a synthetic capture, for the demo and the tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.synthetic.settings import SynthesiseSettings


def run(settings: SynthesiseSettings, layout: Layout, row: CaptureRow, threads: int) -> dict[str, Any]:
    """Write `raw` (NeRSemble v1 layout) and `truth` into the capture's folder, complete or not at all, and truth.json. Returns facts for the manifest."""
    from pipeline.io.files import write_json
    from pipeline.synthetic.write_capture import synthesise

    facts = synthesise(replace(settings, subject=row.model), row.path, row.id, threads)
    write_json(layout.truth, {"raw": str(row.path / "raw"), "truth": str(row.path / "truth")})
    return {**facts, "sources": {str(file): file.stat().st_size for file in sorted(row.path.rglob("*")) if file.is_file()}}
