# What every rule shares: the checked configuration, the captures, the paths, and the one command line of a stage.
import json
import os
import sys

sys.path.insert(0, workflow.basedir)

from pipeline.captures import read_captures
from pipeline.config import parse_config
from pipeline.io.layout import METHOD_STAGES, Layout
from pipeline.plan import stage_key, stages_of
from pipeline.versions import VERSIONS

CONFIG = parse_config({**config, "ids": str(config.get("ids", "all"))})
CAPTURES = read_captures(Path(CONFIG.captures))
IDS = list(CAPTURES) if CONFIG.ids == "all" else CONFIG.ids.split(",")
LAYOUT = Layout(Path(CONFIG.results) / "{id}", Path(CONFIG.work) / "{id}", "{method}")
THREADS = min(CONFIG.threads, workflow.cores or 1)
PYTHON = sys.executable
COMMAND = (
    "{PYTHON} -m pipeline {params.verb} {wildcards.id} --captures {CONFIG.captures:q} --results {CONFIG.results:q} "
    "--work {CONFIG.work:q} --threads {threads} --settings {params.settings:q} --key {params.key} "
    "{params.method} 2>&1 | tee {log:q}"
)
os.environ["PYTHONPATH"] = workflow.basedir


wildcard_constraints:
    id=r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    method=r"[a-z]+",


def log_of(stage):
    """The log lies under work/, since Snakemake deletes logs before a restart and training appends to its own."""
    return str(LAYOUT.scratch(stage).parent / "logs" / f"{stage}.log")


def benchmark_of(stage):
    return str(LAYOUT.scratch(stage).parent / "benchmarks" / f"{stage}.tsv")


def params_of(stage):
    """What a stage's result depends on: its own settings, and a key that also covers its version and everything upstream."""
    return dict(
        verb="render-stage" if stage == "render" else stage,
        method="--method {method}" if stage in METHOD_STAGES else "",
        settings=json.dumps(CONFIG.settings(stage)),
        key=lambda wildcards: stage_key(stage, CAPTURES[wildcards.id], CONFIG),
    )


def every_output(wildcards):
    """Every declared output of every wanted stage of every wanted capture: a report alone would let a failed rerun pass for done."""
    paths = []
    for name in IDS:
        layout = Layout(Path(CONFIG.results) / name, Path(CONFIG.work) / name, CONFIG.method)
        for stage in stages_of(CAPTURES[name], CONFIG.until):
            paths += [*layout.outputs(stage), layout.manifest(stage)]
    return paths
