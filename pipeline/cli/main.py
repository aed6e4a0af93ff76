"""The command line: which verbs there are, in the order of its --help, and how it ends."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Sequence

import tyro

from pipeline.cli import avatars, data, exchange, runs, tools
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT

VERBS: dict[str, Callable[..., int]] = {  # as a user comes to need them
    "demo": runs.demo,
    "run": runs.run_captures,
    "status": runs.status,
    "render": avatars.render,
    "view": avatars.view,
    "drive": avatars.drive,
    "motion": exchange.motion,
    "metrics": data.metrics,
    "benchmark": avatars.benchmark,
    "export": exchange.export,
    "import": exchange.import_model,
    "body": data.body,
    "calibration": data.calibration,
    "unzip": data.unzip,
    "cohort": runs.cohort,
    "clean-work": runs.clean_work,
    "doctor": tools.doctor,
    "test": tools.test,
    "stage": runs.stage,
}
TO_SNAKEMAKE = ("demo", "run")  # verbs that hand it what comes after `--`
CONFIG = (tyro.conf.FlagCreatePairsOff,)
ABOUT = "Multi-view captures of people in, animatable Gaussian-splat avatars out. First steps: ./c2a demo, then README.md."


def main() -> None:
    """Entry point of `python -m pipeline`; user errors end in a few lines and exit code 1, never in a traceback."""
    words = sys.argv[1:]
    if words[:1] in (["--version"], ["-V"]):
        print("c2a " + tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
        return
    if words[:1] and words[0] in TO_SNAKEMAKE and "--" in words:
        place = words.index("--")
        words, runs.to_snakemake[:] = words[:place], words[place + 1 :]
    try:
        sys.exit(call(words))
    except (InputError, OSError) as error:
        from pipeline.stages.failure import explain

        explained = explain(error)
        if explained is error and not isinstance(error, InputError):
            raise
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def call(words: Sequence[str]) -> int:
    """Parse a command line and call its verb, whose exit code is returned. Raises SystemExit after --help and for words that do not parse."""
    if words and words[0] in VERBS:
        return tyro.cli(VERBS[words[0]], prog=f"c2a {words[0]}", args=words[1:], config=CONFIG)
    app = tyro.extras.SubcommandApp()
    for name, verb in VERBS.items():
        app.command(name=name, help=summary(verb))(verb)
    return app.cli(prog="c2a", description=ABOUT, args=words, config=CONFIG)


def summary(verb: Callable[..., int]) -> str:
    """What a verb does, in one line: the first of its docstring."""
    return (verb.__doc__ or "").partition("\n")[0]
