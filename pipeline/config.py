"""config.yaml: its schema, and errors that name the bad key, its value and what is allowed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.avatars.rigged.settings import InitSettings
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.io.errors import InputError
from pipeline.io.validation import at_least
from pipeline.report.settings import EvaluateSettings, RenderSettings, ReportSettings
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.track.settings import FitSettings
from pipeline.training.settings import TrainSettings
from pipeline.vision.settings import KeypointsSettings, MatteSettings


@dataclass(frozen=True)
class Config:
    """Everything in config.yaml; one field per stage holds that stage's settings."""

    __pydantic_config__ = {"extra": "forbid"}

    captures: str = "captures.tsv"
    results: str = "results"
    work: str = "work"
    ids: str = "all"
    method: str = "rigged"
    until: str = "report"
    threads: int = 8
    scatter: int = 1
    synthesise: SynthesiseSettings = field(default_factory=SynthesiseSettings)
    ingest: IngestSettings = field(default_factory=IngestSettings)
    frames: FramesSettings = field(default_factory=FramesSettings)
    sample: SampleSettings = field(default_factory=SampleSettings)
    matte: MatteSettings = field(default_factory=MatteSettings)
    keypoints: KeypointsSettings = field(default_factory=KeypointsSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    init: InitSettings = field(default_factory=InitSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    render: RenderSettings = field(default_factory=RenderSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    report: ReportSettings = field(default_factory=ReportSettings)

    def __post_init__(self) -> None:
        at_least(self, 1, "threads", "scatter")

    def settings(self, stage: str) -> dict[str, Any]:
        """One stage's settings as plain JSON values; not to be changed."""
        return self._plain[stage]

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return asdict(self)  # once: a run over a thousand captures asks ten thousand times


def parse_config(values: dict[str, Any], *, file: str | Path = "config.yaml") -> Config:
    """Check a configuration read from YAML. Raises InputError naming the key, its value and what is allowed."""
    return _validate(Config, values, file)


def parse_settings(stage: str, values: dict[str, Any]) -> Any:
    """Settings of one stage from plain JSON values."""
    return _validate(Config.__dataclass_fields__[stage].default_factory, values, f"settings of {stage}")


def _validate(kind: Any, values: Any, file: str | Path) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first, again = error.errors()[0], "correct the value, then run again"
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            section = kind if len(first["loc"]) == 1 else Config.__dataclass_fields__[str(first["loc"][0])].default_factory
            expected = "one of " + ", ".join(section.__dataclass_fields__)
            raise InputError(
                f"unknown key '{key}'", file=file, found=f"{key}: {first['input']!r}", expected=expected, remedy="correct the key, then run again"
            ) from None
        if first["type"] == "value_error":  # of a section's own check, which says: name is value; allowed: what
            told, _, allowed = str(first["ctx"]["error"]).partition("; allowed: ")
            name, _, value = told.partition(" is ")
            key = ".".join([*map(str, first["loc"]), name])
            raise InputError(f"bad value of '{key}'", file=file, found=value, expected=allowed, remedy=again) from None
        expected = "keys with values, as in config.yaml" if first["type"] == "dataclass_type" else first["msg"]
        raise InputError(f"bad value of '{key}'", file=file, found=repr(first["input"]), expected=expected, remedy=again) from None
