"""Stage `evaluate`: compares renders with the truth and writes metrics.json."""

from __future__ import annotations

from typing import Any

from pipeline.io.files import read_json, write_json
from pipeline.stages.job import AvatarJob


def run(job: AvatarJob) -> dict[str, Any]:
    """Write metrics.json; its `definitions` say what its figures mean. Returns facts for the manifest."""
    from pipeline.evaluation.evaluate import alpha_source, evaluate
    from pipeline.evaluation.warnings import figure_warnings
    from pipeline.report.records import manifests, stage_seconds

    metrics, seconds = evaluate(job.layout, job.settings, job.threads), stage_seconds(job.layout)
    record = {
        **{split: metrics.pop(split) for split in ("val", "test", "novel", "train")},
        "splats": manifests(job.layout).get("train", {}).get("facts", {}).get("splats"),
        "train_seconds": seconds.get("train"),
        "pipeline_seconds": round(sum(seconds.values()), 3),  # of the stages up to render: this one and the report are not done yet
        "alpha_source": alpha_source(job.layout),
        **metrics,
    }
    write_json(job.outputs.metrics, record)
    rules = [read_json(subject.layout.sample)["rules"][0] for subject in job.subjects]
    facts = {name: record[name] for name in ("val", "test", "novel", "alpha_source", "missing")}
    return facts | {"images": len(record["images"]), "warnings": figure_warnings(record, rules)}
