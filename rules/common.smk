# What every rule shares: the checked configuration, the captures, the paths, the one command line of a stage and what it asks of a machine.
import functools
import json
import os
import shlex
import sys

sys.path.insert(0, workflow.basedir)

from pipeline.contract.captures_table import read_captures
from pipeline.config import parse_config
from pipeline.avatars.registry import method_of
from pipeline.contract.layout import Layout
from pipeline.workflow.staleness import stage_keys, stages_of

CONFIG = parse_config({**config, "ids": str(config.get("ids", "all"))})
CAPTURES = read_captures(Path(CONFIG.captures))
IDS = list(CAPTURES) if CONFIG.ids == "all" else CONFIG.ids.split(",")
METHOD = method_of(CONFIG.method)
LAYOUT = Layout(Path(CONFIG.results) / "{id}", Path(CONFIG.work) / "{id}", "{method}")
os.environ["PYTHONPATH"] = workflow.basedir


wildcard_constraints:
    id=r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    method=r"[a-z][a-z0-9_]*",
    part=r"\d+",
    parts=r"\d+",


def log_of(stage):
    """The log lies under work/, since Snakemake deletes logs before a restart and training appends to its own."""
    return str(LAYOUT.log(stage))


@functools.cache
def keys_of(name):
    return stage_keys(CAPTURES[name], CONFIG)


def params_of(stage):
    """What a stage's result depends on: a key of its version, its settings, its capture and everything upstream."""
    return dict(key=lambda wildcards: keys_of(wildcards.id)[stage])


def threads_of(stage):
    return min(CONFIG.threads, METHOD.table[stage].cores)


def resources_of(stage):
    """Memory and time stand in the profiles of clusters: thousands of jobs that nobody asks for them are planned faster without."""
    gpus = METHOD.table[stage].gpus(CONFIG.settings("train").get("device", "auto"))
    return dict(gpu=gpus) if gpus else {}


def command_of(stage, own=""):
    """The job, with what is the same in all of them filled in already: there may be thousands. own: options of this rule alone.

    A scheduler sends SIGTERM to all processes of a job: the shell waits for the stage, which saves, and tee for what it says meanwhile.
    """
    words = [sys.executable, "-m", "pipeline", "render-stage" if stage == "render" else stage]
    options = [
        "--captures",
        CONFIG.captures,
        "--results",
        CONFIG.results,
        "--work",
        CONFIG.work,
        "--settings",
        json.dumps(CONFIG.settings(stage)),
    ]
    fixed, rest = (shlex.join(part).replace("{", "{{").replace("}", "}}") for part in (words, options))
    method = " --method {wildcards.method}" if METHOD.table[stage].scope == "avatar" else ""
    own += " --threads {threads} --key {params.key}" + method
    return (
        "trap : TERM; " + fixed + " {wildcards.id} " + rest + " " + own + " 2>&1 | (trap '' INT TERM; exec tee {log:q})"
    )


def parts_of(stage):
    """What a scattered stage waits for; nothing where its cameras all stay in one job."""
    count = CONFIG.scatter
    return [str(LAYOUT.part(stage, number, count)) for number in range(1, count + 1)] if count > 1 else []


def every_output(wildcards):
    """Every declared output of every wanted stage of every wanted capture: a report alone would let a failed rerun pass for done."""
    files = {
        stage: [str(path) for path in (*METHOD.output_paths(LAYOUT, stage), LAYOUT.manifest(stage))]
        for stage in METHOD.table
    }
    return [
        path.format(id=name, method=CONFIG.method)
        for name in IDS
        for stage in stages_of(CAPTURES[name], CONFIG.method, CONFIG.until)
        for path in files[stage]
    ]
