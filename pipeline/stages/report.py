"""Stage `report`: one self-contained HTML page on everything that the other stages left."""

from __future__ import annotations

from typing import Any

from pipeline.io.files import write_text
from pipeline.stages.job import AvatarJob


def run(job: AvatarJob) -> dict[str, Any]:
    """Write report.html; sections whose results are missing say so. Returns facts for the manifest."""
    from pipeline.report.report import make_report

    text, missing = make_report(job.layout, job.settings)
    write_text(job.outputs.report, text)
    return {"bytes": len(text.encode()), "missing_sections": missing}
