"""The options of a command, and the configuration that they mean together with config.yaml."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.config import Config, by_method, merge, parse_config
from pipeline.contract.bodies import use_folder
from pipeline.contract.stages import DEFAULT_METHOD
from pipeline.io.documents import parse_yaml, read_document
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT, portable

LAYERS = ("method", "variant", "preset", "captures", "results", "work", "until")  # options that are keys of config.yaml, too
_SPELLED = {"variant": "name"}


@dataclass(frozen=True)
class RunOptions:
    """What one command is asked for; paths as the user wrote them, relative to `here`.

    Attributes:
        names: captures or groups. all: every one of the table. failed: those whose last run failed.
        config: file laid over config.yaml. sets: KEY=VALUE, laid over both.
        first: `--from`, the stage with which to begin. fresh: begin with the first.
        snakemake: further options, passed on to it.
        variant: `--name`. reset_settings: what earlier runs were given does not count.
        strict: a group is not started where one of its captures fails.
    """

    names: tuple[str, ...] = ()
    all: bool = False
    failed: bool = False
    method: str | None = None
    variant: str | None = None
    preset: str | None = None
    captures: Path | None = None
    results: Path | None = None
    work: Path | None = None
    config: Path | None = None
    sets: tuple[str, ...] = ()
    first: str | None = None
    until: str | None = None
    fresh: bool = False
    strict: bool = False
    profile: str = "default"
    cores: int | None = None
    dry_run: bool = False
    reset_settings: bool = False
    snakemake: tuple[str, ...] = ()
    here: Path = field(default_factory=Path.cwd)

    def resume(self, name: str) -> str:
        """The command line that resumes one capture or group, with the options of this one."""
        defaults = {entry.name: entry.default for entry in fields(self)}
        options = ("method", "variant", "preset", "captures", "results", "work", "config", "until", "profile")
        words = [
            word for option in options if (value := getattr(self, option)) != defaults[option] for word in (f"--{_SPELLED.get(option, option)}", str(value))
        ]
        words += [word for setting in self.sets for word in ("--set", setting)] + ["--strict"] * self.strict
        return shlex.join(["./c2a", "run", name, *words, *(["--", *self.snakemake] if self.snakemake else [])])


def load_config(options: RunOptions, preset: str = "", kept: Mapping[str, Any] | None = None) -> Config:
    """config.yaml, what a capture keeps of earlier runs, the file of --config, --set and the other options, each laid over those before it.

    Args:
        preset: what "auto" means; default: it stays as it is. kept: see kept_settings.py.

    Raises:
        InputError: a file or a value is not as expected.
    """
    if options.cores is not None and options.cores < 1:
        raise InputError("--cores must be at least 1", found=f"--cores {options.cores}", expected="1 or more", remedy="correct --cores, or leave it out")
    layers = [read_yaml(ROOT / "config.yaml"), kept or {}, *_given(options)]
    layers.append({name: _portable(options, value) for name in LAYERS if (value := getattr(options, name)) is not None})
    method = method_of(str(next((layer["method"] for layer in reversed(layers) if "method" in layer), DEFAULT_METHOD)))
    values = merge(*(by_method(layer, method) for layer in layers))
    if preset and values.get("preset", "auto") == "auto":
        values["preset"] = preset
    config = parse_config(values, file=" and ".join([str(options.config or "config.yaml"), *["--set"] * bool(options.sets)]))
    use_folder(config.bodies)
    os.chdir(ROOT)  # relative paths in the configuration mean the checkout, whatever the working directory was
    return config


def overrides(options: RunOptions) -> dict[str, Any]:
    """The settings that a command line gives: the file of --config, --set and --preset, the sections of the method under its name. Raises InputError."""
    method = method_of(load_config(options).method)
    preset = {"preset": options.preset} if options.preset else {}
    return merge(*(by_method(layer, method) for layer in _given(options)), preset)


def _given(options: RunOptions) -> list[Mapping[str, Any]]:
    file = [read_yaml(options.here / options.config)] if options.config else []
    return [*file, *(parse_set(setting) for setting in options.sets)]


def resolutions(options: RunOptions, kept: Mapping[str, Any] | None = None) -> list[Config]:
    """The configurations that may have made a result: under `preset: auto` one for what a run on a CPU uses and one for a GPU."""
    config = load_config(options, kept=kept)
    return [load_config(options, preset, kept) for preset in ("draft", "standard")] if config.preset == "auto" else [config]


def parse_set(setting: str) -> dict[str, Any]:
    """`train.iterations=3000` as a layer; the value is YAML. Raises InputError."""
    path, equals, text = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise InputError("--set needs a key and a value", found=setting, expected="KEY=VALUE, such as train.iterations=3000", remedy="correct --set")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise InputError(f"--set {path}: not valid YAML", found=error, remedy="correct --set") from None
    for key in reversed(keys):
        value = {key: value}
    return value


def _portable(options: RunOptions, value: str | Path) -> str:
    return portable(options.here / value) if isinstance(value, Path) else value


def read_yaml(path: Path) -> Mapping[str, Any]:
    expected, again = "a YAML file with some of the keys of config.yaml", "correct the file, then run again"
    if not path.is_file():
        raise InputError("no such configuration", file=path, expected=expected, remedy="correct --config, or write the file")
    values = read_document(path, parse_yaml, what="YAML", expected=expected, remedy=again) or {}
    if not isinstance(values, dict):
        raise InputError("holds no keys", file=path, found=repr(values), expected=expected + ", such as 'threads: 4'", remedy=again)
    return values
