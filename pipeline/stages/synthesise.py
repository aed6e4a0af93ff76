"""Stage `synthesise`: a synthetic capture, for the demo and the tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.stages.job import Job


def run(job: Job) -> dict[str, Any]:
    """Write `raw` (NeRSemble v1 layout) and `truth` into the capture's folder, complete or not at all, and truth.json. Returns facts for the manifest."""
    from pipeline.io.files import write_json
    from pipeline.synthetic.write_capture import synthesise

    folder = job.cells.path
    facts = synthesise(replace(job.settings, subject=job.cells.model), folder, job.cells.id, job.threads)
    write_json(job.outputs.truth, {"raw": str(folder / "raw"), "truth": str(folder / "truth")})
    return {**facts, "sources": {str(file): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}}
