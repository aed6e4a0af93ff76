"""Options that several verbs have, as types: one place for their names, choices and descriptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pipeline.avatars.registry import METHODS

if TYPE_CHECKING:
    from pipeline.workflow.run_options import RunOptions


def option(metavar: str, **others: Any) -> Any:
    """An option that may be left out; what that means is said in its description."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="", **others)


def choices(words: Iterable[str]) -> str:
    """The metavar of one of some words."""
    return "{" + ",".join(dict.fromkeys(words)) + "}"


STAGE = choices(name for method in METHODS.values() for name in method.table)
FLAT = tyro.conf.arg(name="")  # of a dataclass: its fields are options, without its name before theirs

Name = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="CAPTURE")]]
Names = tyro.conf.Positional[Annotated[tuple[str, ...], option("[CAPTURE ...]")]]
InFile = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FILE")]]
InFolder = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
DryRun = Annotated[bool, tyro.conf.arg(aliases=["-n"], help_behavior_hint="")]
Number = Annotated[int | None, option("N")]
File = Annotated[Path | None, option("FILE")]
Folder = Annotated[Path | None, option("FOLDER")]
Member = Annotated[str, option("CAPTURE")]
Sets = Annotated[tuple[str, ...], option("KEY=VALUE", name="set"), tyro.conf.UseAppendAction]


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

    method: Annotated[str | None, option(choices(METHODS))] = None
    variant: Annotated[str | None, option("NAME", name="name")] = None
    preset: Annotated[str | None, option(choices(["auto", *(name for method in METHODS.values() for name in method.preset_names)]))] = None
    captures: File = None
    results: Folder = None
    work: Folder = None
    config: File = None
    sets: Sets = ()


Common = Annotated[Settings, FLAT]
DEFAULTS = Settings()


def run_options(settings: Settings, **others: Any) -> RunOptions:
    """What the workflow is asked for: the common options, and others of its fields."""
    from pipeline.workflow.run_options import RunOptions

    return RunOptions(**vars(settings), **others)
