"""Stage `evaluate`: compares renders with the truth and writes metrics.json."""

from __future__ import annotations

from typing import Any

from pipeline.io.arrays import load_npz
from pipeline.io.files import write_json
from pipeline.stages.job import AvatarJob


def run(job: AvatarJob) -> dict[str, Any]:
    """Write metrics.json; what its figures mean stands in its `definitions`. Returns facts for the manifest."""
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.evaluation.truth import truth_folder
    from pipeline.report.records import stage_seconds

    layout = job.layout
    metrics = evaluate(layout, job.settings, job.threads)
    seconds = stage_seconds(layout)
    record = {
        **{split: metrics.pop(split) for split in ("val", "test", "novel", "train")},
        "splats": len(load_npz(job.inputs.avatar, {"opacities": (None,)}, remedy=job.remedy("train"))["opacities"]),
        "train_seconds": seconds.get("train"),
        "pipeline_seconds": round(sum(seconds.values()), 3),  # of the stages up to render: this one and the report are not done yet
        "alpha_source": "truth" if truth_folder(layout) else "matte",
        **metrics,
    }
    write_json(job.outputs.metrics, record)
    return {name: record[name] for name in ("val", "test", "novel", "alpha_source", "missing")} | {"images": len(record["images"])}
