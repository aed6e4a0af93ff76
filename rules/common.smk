# What every rule shares: the checked configuration, the captures, the paths, and the command line of a stage.
import functools
import json
import shlex
import sys

sys.path.insert(0, workflow.basedir)

from pipeline.avatars.registry import method_of
from pipeline.config import parse_config
from pipeline.contract.bodies import use_folder
from pipeline.contract.captures_table import groups_of, read_captures
from pipeline.contract.keys import avatar_keys, capture_keys
from pipeline.contract.layout import Layout
from pipeline.contract.stages import is_made

RUN = {"subjects": "all", "members": {}, "planned": None} | {
    name: config[name] for name in ("subjects", "members", "planned") if name in config
}
CONFIG = parse_config({name: value for name, value in config.items() if name not in RUN})
use_folder(CONFIG.bodies)
METHOD = method_of(CONFIG.method)
TABLE = read_captures(Path(CONFIG.captures))
GROUPS = {name: [row.id for row in rows] for name, rows in groups_of(TABLE).items()} | RUN["members"]
MADE = [name for stage in METHOD.avatar_stages for name in stage.outputs]
STAGES = [*METHOD.capture_stages, *METHOD.avatar_stages]
ORDER = STAGES[: [stage.name for stage in STAGES].index(CONFIG.until) + 1]


wildcard_constraints:
    capture=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    subject=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    part=r"\d+",
    parts=r"\d+",


def layout_of(name):
    return Layout(Path(CONFIG.results) / name, Path(CONFIG.work) / name, METHOD.name, variant=CONFIG.variant)


CAPTURE, SUBJECT = layout_of("{capture}"), layout_of("{subject}")


def members_of(subject):
    """The captures that an avatar is made of."""
    return GROUPS[subject] if METHOD.scope == "group" else [subject]


def has(capture, name):
    """Whether a capture (None: every capture) has an artefact."""
    return is_made(name, TABLE[capture].kind if capture else None)


@functools.cache
def capture_keys_of(name):
    return capture_keys(TABLE[name], CONFIG.result_settings)


@functools.cache
def avatar_keys_of(name):
    members = {member: capture_keys_of(member) for member in members_of(name)}
    return avatar_keys(METHOD.name, METHOD.avatar_stages, members, CONFIG.result_settings)


def settled(stage, paths):
    """Inputs of a stage. In a run of `c2a run`, which has compared contents, file times do not count for the stages that it keeps."""
    if RUN["planned"] is None:
        return paths
    return {name: functools.partial(input_now, stage, path) for name, path in paths.items()}


def input_now(stage, path, wildcards):
    """One input of a stage of one capture or group."""
    now = path(wildcards) if callable(path) else path.format(**wildcards)
    kept = stage.name not in RUN["planned"].get(
        wildcards.capture if stage.scope == "capture" else wildcards.subject, ()
    )
    return ancient(now) if kept and now else now


def capture_input(stage):
    """Declared artefacts by name, as far as they are made for the capture's kind of dataset."""
    return settled(stage, {name: path_of(name) for name in stage.inputs})


def path_of(name):
    """A plain path where every capture has the artefact: functions make the planning of thousands of jobs slow."""
    path = str(METHOD.path(CAPTURE, name))
    if has(None, name):
        return path
    return lambda wildcards: path.format(**wildcards) if has(wildcards.capture, name) else []


def parts_of(stage):
    """What a scattered stage waits for; nothing where its cameras all stay in one job."""
    count = CONFIG.scatter if stage.scattered else 1
    return [str(CAPTURE.part(stage.name, number, count)) for number in range(1, count + 1)] if count > 1 else []


def capture_key(stage):
    return lambda wildcards: capture_keys_of(wildcards.capture)[stage.name]


def of_members(name):
    """An artefact of every capture that the avatar is made of."""

    def paths(wildcards):
        members = [member for member in members_of(wildcards.subject) if has(member, name)]
        return [str(METHOD.path(layout_of(member), name)) for member in members]

    return paths


def avatar_input(stage):
    """Declared artefacts by name; plain paths where they suffice."""
    plain = [name for name in stage.inputs if name in MADE or (METHOD.scope == "capture" and has(None, name))]
    return settled(
        stage, {name: str(METHOD.path(SUBJECT, name)) if name in plain else of_members(name) for name in stage.inputs}
    )


def avatar_params(stage):
    members = dict(members=lambda wildcards: members_of(wildcards.subject)) if METHOD.scope == "group" else {}
    return members | dict(key=lambda wildcards: avatar_keys_of(wildcards.subject)[stage.name])


def output_of(stage, layout):
    """Declared artefacts by name, and the manifest; what has no suffix is a folder."""
    paths = {name: METHOD.path(layout, name) for name in stage.outputs} | {"manifest": layout.manifest(stage.name)}
    return {name: str(path) if path.suffix else directory(str(path)) for name, path in paths.items()}


def log_of(stage, layout):
    """The log lies under work/, since Snakemake deletes logs before a restart and training appends to its own."""
    return str(layout.log(stage))


def threads_of(stage):
    return min(CONFIG.threads, stage.cores)


def resources_of(stage):
    """Memory and time are in the profiles of clusters: thousands of jobs are planned faster without."""
    gpus = stage.gpus(getattr(CONFIG.stages["train"], "device", "auto"))
    return dict(gpu=gpus) if gpus else {}


def command_of(stage, inputs, outputs, own=""):
    """The job: `python -m pipeline stage NAME` with settings, key and paths. inputs, outputs: names of the artefacts to pass; own: options of this rule alone.

    A scheduler sends SIGTERM to all processes of a job: the shell waits for the stage, which saves, and tee for what it says meanwhile.
    """
    words = [sys.executable, "-m", "pipeline", "stage", stage.name]
    options = ["--captures", CONFIG.captures, "--results", CONFIG.results, "--work", CONFIG.work]
    options += ["--method", METHOD.name, "--preset", CONFIG.preset]
    options += ["--name", CONFIG.variant] if CONFIG.variant else []
    options += ["--values", json.dumps(CONFIG.settings(stage.name))]
    fixed, rest = (shlex.join(part).replace("{", "{{").replace("}", "}}") for part in (words, options))
    name = "{wildcards.capture}" if stage.scope == "capture" else "{wildcards.subject}"
    paths = [
        f"{option} {pairs}"
        for option, pairs in (("--inputs", pairs_of("input", inputs)), ("--outputs", pairs_of("output", outputs)))
        if pairs
    ]
    line = " ".join([fixed, name, rest, "--cores {threads} --key {params.key}", *paths, own])
    return "trap : TERM; " + line + " 2>&1 | (trap '' INT TERM; exec tee {log:q})"


def pairs_of(what, names):
    """NAME=PATH for the shell, filled in by Snakemake."""
    return " ".join(f"{name}={{{what}.{name}:q}}" for name in names)


def every_output(wildcards):
    """In a run of `c2a run` every declared output of every stage of every subject: a report alone would let a failed re-run pass for done.

    By hand the outputs of the last stage, whose inputs lead to all others: `--rulegraph` then shows the path.
    """
    subjects = RUN["subjects"]
    subjects = list(TABLE) if subjects == "all" else subjects.split(",") if isinstance(subjects, str) else subjects
    patterns = {stage.name: list(output_of(stage, layout_of("{name}")).values()) for stage in ORDER}
    stages = ORDER[-1:] if RUN["planned"] is None else ORDER
    return [
        path.format(name=name)
        for name in subjects
        for stage in stages
        if has_stage(name, stage)
        for path in patterns[stage.name]
    ]


def has_stage(name, stage):
    """Whether a stage belongs to a capture, or to a group."""
    if stage.scope == "avatar":
        return name not in TABLE or METHOD.scope == "capture"
    return name in TABLE and stage.is_for(TABLE[name].kind)
