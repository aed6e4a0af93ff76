"""The options of the command line, as types: one place for their names and choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pipeline.avatars.registry import METHODS

STAGES = tuple(dict.fromkeys(name for method in METHODS.values() for name in method.table))
_CHOICES = "{" + ",".join(STAGES) + "}"


def _option(metavar: str, **others: Any) -> Any:
    """An option that may be left out; what that means is said in its description."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="", **others)


Names = tyro.conf.Positional[Annotated[tuple[str, ...], _option("[CAPTURE ...]")]]
Name = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="CAPTURE")]]
Words = tyro.conf.Positional[Annotated[tuple[str, ...], _option("WORD")]]
Action = tyro.conf.Positional[Annotated[Literal["convert"], tyro.conf.arg(metavar="convert")]]
Source = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="IN")]]
Target = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="OUT")]]
StageName = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar=_CHOICES)]]
Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
DryRun = Annotated[bool, tyro.conf.arg(aliases=["-n"], help_behavior_hint="")]
From = Annotated[str | None, _option(_CHOICES, name="from")]
Until = Annotated[str | None, _option(_CHOICES)]
Text = Annotated[str, _option("TEXT")]
File = Annotated[Path | None, _option("FILE")]
Folder = Annotated[Path | None, _option("FOLDER")]
Number = Annotated[int | None, _option("N")]
Members = Annotated[tuple[str, ...], _option("CAPTURE ...")]
Pairs = Annotated[tuple[str, ...], _option("NAME=PATH ...")]


@dataclass(frozen=True)
class Settings:
    """Options of every verb that takes a configuration.

    Attributes:
        method: Avatar method (default: that of config.yaml).
        variant: Name of a variant: results with other settings of the method, beside those without a name.
        preset: How long and how fine to train (default: that of config.yaml).
        captures: Table of captures (default: captures.tsv).
        results: Directory of results (default: results).
        work: Directory of intermediate files, kept on failure (default: work).
        config: YAML file that overrides config.yaml.
        sets: Override one setting, such as train.iterations=3000; repeatable.
    """

    method: Annotated[str | None, _option("{" + ",".join(METHODS) + "}")] = None
    variant: Annotated[str | None, _option("NAME", name="name")] = None
    preset: Annotated[Literal["auto", "draft", "standard", "high"] | None, _option("{auto,draft,standard,high}")] = None
    captures: File = None
    results: Folder = None
    work: Folder = None
    config: File = None
    sets: Annotated[tuple[str, ...], _option("KEY=VALUE", name="set"), tyro.conf.UseAppendAction] = ()


Common = Annotated[Settings, tyro.conf.arg(name="")]
DEFAULTS = Settings()
