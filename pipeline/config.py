"""config.yaml: its schema, and errors that name the bad key, its value and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import Method, method_of
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.contract.keys import result_settings
from pipeline.contract.stages import DEFAULT_METHOD
from pipeline.io.errors import InputError
from pipeline.io.validation import at_least
from pipeline.report.settings import EvaluateSettings, RenderSettings, ReportSettings
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
_AGAIN = "correct the value, then run again"


@dataclass(frozen=True)
class Config:
    """Everything in config.yaml: the keys of the run itself, and the settings of each stage of its method."""

    captures: str = "captures.tsv"
    results: str = "results"
    work: str = "work"
    ids: str = "all"
    method: str = DEFAULT_METHOD
    until: str = "report"
    threads: int = 8
    scatter: int = 1
    stages: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        at_least(self, 1, "threads", "scatter")

    def settings(self, stage: str) -> dict[str, Any]:
        """One stage's settings as plain JSON values."""
        return asdict(self.stages[stage])

    @cached_property
    def result_settings(self) -> dict[str, dict[str, Any]]:
        """Of each stage the settings that change its results; computed once, since a run over a thousand captures asks ten thousand times."""
        return {stage: result_settings(settings) for stage, settings in self.stages.items()}


RUN_KEYS = tuple(entry.name for entry in fields(Config) if entry.name != "stages")


def settings_class(stage: str, method: Method) -> type:
    """The class of a stage's settings."""
    return method.settings.get(stage) or SHARED[stage]


def parse_config(values: Mapping[str, Any], *, file: str | Path = "config.yaml") -> Config:
    """Check a configuration read from YAML. Raises InputError naming the key, its value and what is allowed."""
    method = method_of(str(values.get("method", DEFAULT_METHOD)))
    allowed = (*RUN_KEYS, *method.table)
    for key, value in values.items():
        if key not in allowed:
            raise InputError(f"unknown key '{key}'", file=file, found=f"{key}: {value!r}", expected="one of " + ", ".join(allowed), remedy=_AGAIN)
    stages = {name: _validate(settings_class(name, method), values.get(name, {}), file, name) for name in method.table}
    return _validate(Config, {key: values[key] for key in RUN_KEYS if key in values} | {"stages": stages}, file)


def parse_settings(stage: str, values: Mapping[str, Any], method: Method) -> Any:
    """Settings of one stage from plain JSON values."""
    return _validate(settings_class(stage, method), values, f"settings of {stage}")


def _validate(kind: Any, values: Any, file: str | Path, section: str = "") -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first, prefix = error.errors()[0], [section] if section else []
        key = ".".join([*prefix, *map(str, first["loc"])])
        if first["type"] == "unexpected_keyword_argument":
            expected = "one of " + ", ".join(kind.__dataclass_fields__)
            raise InputError(f"unknown key '{key}'", file=file, found=f"{key}: {first['input']!r}", expected=expected, remedy=_AGAIN) from None
        if first["type"] == "value_error":  # of a section's own check, which says: name is value; allowed: what
            message, _, allowed = str(first["ctx"]["error"]).partition("; allowed: ")
            name, _, value = message.partition(" is ")
            raise InputError(
                f"bad value of '{'.'.join([*prefix, *map(str, first['loc']), name])}'", file=file, found=value, expected=allowed, remedy=_AGAIN
            ) from None
        expected = "keys with values, as in config.yaml" if first["type"] == "dataclass_type" else first["msg"]
        raise InputError(f"bad value of '{key}'", file=file, found=repr(first["input"]), expected=expected, remedy=_AGAIN) from None
