"""config files, --set and every single setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import METHODS
from pipeline.config import SHARED, Config
from tests.hostile.case import Case, written


def read(folder: Path) -> None:
    from pipeline.workflow.run_options import RunOptions, load_config

    load_config(RunOptions(config=folder / "x.yaml", here=folder))


def case(what: str, text: str | bytes, expected: str = "refused") -> Case:
    return Case("config", what, written("x.yaml", text), read, expected)


def given(*sets: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> None:
        from pipeline.workflow.run_options import RunOptions, load_config

        load_config(RunOptions(sets=sets, here=folder))

    return read


def every_number(folder: Path) -> None:
    """Every number of every section, at values that no setting may have: each must be refused by name."""
    from pipeline.config import parse_config
    from pipeline.io.errors import InputError

    sections = [("", Config), *SHARED.items(), *((f"{name}.{stage}", kind) for name, m in METHODS.items() for stage, kind in m.settings.items())]
    accepted, tried = [], 0
    for section, kind in sections:
        for entry in fields(kind):
            for value in (1e300, -1e300, float("inf"), float("-inf"), float("nan"), -(10**30), 10**30) if entry.type in ("int", "float") else ():
                values: Any = {entry.name: value}
                for key in reversed(section.split(".") if section else []):
                    values = {key: values}
                tried += 1
                try:
                    parse_config(values)
                    accepted.append(f"{section}.{entry.name} {value}")
                except InputError as error:
                    if f"{entry.name}'" not in str(error):
                        accepted.append(str(error))
    assert tried > 500 and not accepted, accepted
    raise InputError("all were refused", expected="so")


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
TAGS = (
    "!!python/object/apply:os.system ['touch EXECUTED']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!mine x",
    "!!float abc",
    "!!int abc",
    "!!bool abc",
    "!!timestamp abc",
    "!!binary abc",
    "!!set {a, b}",
)
SETS = (
    *(
        "train.iterations=.inf",
        "train.iterations=1e400",
        "frames.max_rate=.nan",
        "init.seed=-1",
        "scatter=1000000000",
        "threads=0",
        "train.__class__=1",
        "..=1",
        "=",
    ),
    *(
        "train=[",
        "train.iterations=!!python/name:os.system",
        "frames.crop={a: [1, 2, 3]}",
        "frames.crop={a: [0, 0, 1000000000, 1000000000]}",
        "frames.crop={a: [-.inf, 0, 99, 99]}",
    ),
    *(
        "synthesise.sequences=['../../x']",
        "synthesise.sequences=['a/b']",
        "method='../x'",
        "results='a{b}c'",
        "work='{capture}'",
        'work="a\\nb"',
        'matte.checkpoint="a\\0b"',
    ),
    *(
        "matte={backend: bgm2, checkpoint: x.pt}",
        "keypoints={backend: face_alignment, weights: x.pt}",
        "fit.model=" + "x" * 5000,
        "threads=" + "9" * 5000,
        "threads=0x" + "f" * 5000,
    ),
)
CASES = [
    case("good", "threads: 4\n", "accepted"),
    case("empty", "", "accepted"),
    case("byte order mark", b"\xef\xbb\xbfthreads: 4\n", "accepted"),
    *(case(f"tag {tag[:24]}", f"threads: {tag}\n") for tag in TAGS),
    case("aliases, 10^12 items", BOMB + "threads: *a11\n"),
    case("alias of itself", "threads: &a [*a]\n"),
    case("merge key", "a: &a {b: 1}\nthreads:\n  <<: *a\n"),
    case("deep list", "threads: " + "[" * 5000 + "]" * 5000),
    case("deep map", "threads: " + "{a: " * 5000 + "}" * 5000),
    case("deep block", "threads:\n" + "".join(" " * n + "- \n" for n in range(1, 600))),
    case("unbalanced", "threads: " + "[" * 100_000),
    case("5000 digits", "threads: " + "9" * 5000),
    case("5000 hexadecimal digits", "threads: 0x" + "f" * 5000),
    case("number of base 60", "threads: 1" + ":59" * 50_000),
    case("empty binary", "threads: 0b\n"),
    case("empty hex", "threads: 0x\n"),
    case("date out of range", "threads: 2024-99-99\n"),
    case("a date", "threads: 2024-01-01\n"),
    case("a list", "- 1\n"),
    case("a number", "7\n"),
    case("two documents", "threads: 4\n---\nthreads: 5\n"),
    case("not UTF-8", b"results: \xe9\n"),
    case("UTF-16", "threads: 4".encode("utf-16")),
    case("control characters", "results: a\x07b\n"),
    case("surrogates", 'results: "\\ud800"\n'),
    case("keys that are lists", "? [a, b]\n: 1\n"),
    case("keys that are numbers", "1: 2\n"),
    case("megabytes of brackets", "threads: " + "[],\n" * 200_000),
    Case("config", "a folder", lambda folder: (folder / "x.yaml").mkdir(), read),
    Case("settings", "every number, infinite, NaN, huge and negative", lambda folder: None, every_number),
    *(Case("set", text[:60] if len(text) < 60 else f"{text[:30]} of {len(text)}", lambda folder: None, given(text)) for text in SETS),
    Case("set", "good", lambda folder: None, given("train.iterations=3000", "matte={backend: bgm2, checkpoint: x.pt, trust_model_files: true}"), "accepted"),
    Case("set", "shell characters in a path", lambda folder: None, given("""evaluate.lpips_linear='a;touch EXECUTED;$(x)`y`"{z}'"""), "accepted"),
]
