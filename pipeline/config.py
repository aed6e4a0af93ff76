"""config.yaml: its schema, presets, and errors that name the bad key, its value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pipeline.avatars.method import Method
from pipeline.avatars.registry import METHODS, method_of
from pipeline.avatars.settings import RenderSettings
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.contract.keys import result_settings
from pipeline.contract.stages import DEFAULT_METHOD, LAST_STAGE
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.io.errors import InputError
from pipeline.io.validation import CheckedSettings, check, number
from pipeline.report.settings import ReportSettings
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.track.settings import FitSettings
from pipeline.vision.settings import KeypointsSettings, MatteSettings

SHARED = {
    "synthesise": SynthesiseSettings,
    "ingest": IngestSettings,
    "frames": FramesSettings,
    "sample": SampleSettings,
    "matte": MatteSettings,
    "keypoints": KeypointsSettings,
    "fit": FitSettings,
    "render": RenderSettings,
    "evaluate": EvaluateSettings,
    "report": ReportSettings,
}  # settings of the stages that all methods share
_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AGAIN, _RENAME = "correct the value, then run again", "correct the key, then run again"


@dataclass(frozen=True)
class Config(CheckedSettings):
    """Everything in config.yaml: the keys of the run itself, and the settings of each stage of its method.

    Attributes:
        preset: "auto" is resolved before a run starts; unresolved it means draft.
        stages: stage -> instance of its settings class.
    """

    captures: str = "captures.tsv"  # the table of captures; paths on this page are relative to the checkout
    results: str = "results"  # where results go
    work: str = "work"  # scratch: logs, errors, checkpoints; may be deleted between runs
    bodies: str = "bodies"  # imported body models (./c2a body import)
    method: str = DEFAULT_METHOD  # the avatar method
    variant: str = ""  # a name: results with other settings of the method lie beside those without one (--name)
    preset: str = "auto"  # draft: minutes on a CPU; standard, high: for a GPU; auto: standard where there is one, else draft
    until: str = LAST_STAGE  # the last stage to run
    threads: int = number(8, 1, 4096)  # the most cores one stage of one capture uses
    scatter: int = number(1, 1, 1000)  # jobs that share the cameras of one capture in the stages frames, matte and keypoints; 1 = none (docs/cluster.md)
    stages: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("results", "work"):
            value = getattr(self, name)
            check(not {*"{}"} & {*value}, name, value, "a path without { and }, which mean wildcards to Snakemake")
        check(not self.variant or bool(_VARIANT.fullmatch(self.variant)), "variant", self.variant, "letters, digits and . _ -, the first a letter or digit")

    @cached_property
    def result_settings(self) -> dict[str, dict[str, Any]]:
        """Of each stage the settings that change its results; computed once, since a run over a thousand captures asks ten thousand times."""
        return {stage: result_settings(settings) for stage, settings in self.stages.items()}

    def settings(self, stage: str) -> dict[str, Any]:
        """One stage's settings as plain JSON values."""
        return asdict(self.stages[stage])

    def values(self) -> dict[str, Any]:
        """Every key with its value, such that `parse_config` makes the same configuration of them, whatever the presets say by then."""
        return {key: getattr(self, key) for key in RUN_KEYS} | {stage: self.settings(stage) for stage in self.stages}


RUN_KEYS = tuple(entry.name for entry in fields(Config) if entry.name != "stages")


def settings_class(stage: str, method: Method) -> type:
    """The class of a stage's settings."""
    return method.settings.get(stage) or SHARED[stage]


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers over earlier ones, section by section."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def by_method(layer: Mapping[str, Any], method: Method) -> dict[str, Any]:
    """A layer with the sections of the method's own stages under the method's name; one that names the method overrides one that does not."""
    short = {stage: layer[stage] for stage in method.settings if stage in layer}
    named = layer.get(method.name, {})
    if short and not isinstance(named, Mapping):
        raise InputError(f"bad value of '{method.name}'", found=repr(named), expected="sections, as in docs/configuration.md", remedy=_AGAIN)
    rest = {key: value for key, value in layer.items() if key not in short}
    return rest | ({method.name: merge(short, named)} if short else {})


def parse_config(values: Mapping[str, Any], *, file: str | Path = "config.yaml") -> Config:
    """Check a configuration read from YAML. Raises InputError naming the key, its value and what is allowed."""
    method = method_of(str(values.get("method", DEFAULT_METHOD)))
    values = by_method(values, method)
    allowed = (*RUN_KEYS, *method.table, *METHODS)
    for key, value in values.items():
        if key not in allowed:
            raise InputError(f"unknown key '{key}'", file=file, found=f"{key}: {value!r}", expected="one of " + ", ".join(allowed), remedy=_RENAME)
    run = {key: values[key] for key in RUN_KEYS if key in values}
    preset = "draft" if run.get("preset", "auto") == "auto" else run["preset"]
    if preset not in method.preset_names:
        expected = "one of " + ", ".join(("auto", *method.preset_names))
        raise InputError("bad value of 'preset'", file=file, found=repr(preset), expected=expected, remedy=_AGAIN)
    for other in METHODS.values():
        _parse_method(other, values.get(other.name, {}), {}, file)
    stages = {stage: _validate(SHARED[stage], values.get(stage, {}), file, stage) for stage in method.table if stage in SHARED}
    stages |= _parse_method(method, values.get(method.name, {}), method.preset(preset), file)
    if stages["render"].device == "auto":
        stages["render"] = replace(stages["render"], device=getattr(stages["train"], "device", "auto"))
    return _validate(Config, run | {"stages": {stage: stages[stage] for stage in method.table}}, file)


def _parse_method(method: Method, values: Any, preset: Mapping[str, Any], file: str | Path) -> dict[str, Any]:
    """The settings of the method's own stages, of a section that names the method."""
    if not isinstance(values, Mapping):
        raise InputError(f"bad value of '{method.name}'", file=file, found=repr(values), expected="sections, as in docs/configuration.md", remedy=_AGAIN)
    for stage in (*values, *preset):
        if stage not in method.settings:
            expected = "one of " + ", ".join(method.settings)
            raise InputError(f"unknown key '{method.name}.{stage}'", file=file, found=stage, expected=expected, remedy=_RENAME)
    merged = merge(preset, values)
    return {stage: _validate(kind, merged.get(stage, {}), file, stage) for stage, kind in method.settings.items()}


def parse_settings(stage: str, values: Mapping[str, Any], method: Method) -> Any:
    """Settings of one stage from plain JSON values."""
    return _validate(settings_class(stage, method), values, f"settings of {stage}")


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _validate(kind: Any, values: Any, file: str | Path, section: str = "") -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(values)
    except ValidationError as error:
        first, prefix = error.errors()[0], [section] if section else []
        key = ".".join([*prefix, *map(str, first["loc"])])
        if first["type"] == "unexpected_keyword_argument":
            expected = "one of " + (", ".join(entry.name for entry in fields(kind)) or "none: it has no settings")
            raise InputError(f"unknown key '{key}'", file=file, found=f"{key}: {first['input']!r}", expected=expected, remedy=_RENAME) from None
        if first["type"] == "value_error":  # of a section's own check, which says: name is value; allowed: what
            message, _, allowed = str(first["ctx"]["error"]).partition("; allowed: ")
            name, _, value = message.partition(" is ")
            key = ".".join([*prefix, *map(str, first["loc"]), name])
            raise InputError(f"bad value of '{key}'", file=file, found=value, expected=allowed, remedy=_AGAIN) from None
        expected = "keys with values, as in config.yaml" if first["type"] == "dataclass_type" else first["msg"]
        raise InputError(f"bad value of '{key}'", file=file, found=repr(first["input"]), expected=expected, remedy=_AGAIN) from None
