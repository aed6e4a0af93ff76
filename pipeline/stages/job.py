"""What a stage receives: its settings, and exactly the files and table cells that the stage table declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.avatars.method import Method
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.keys import as_key
from pipeline.contract.layout import Layout, Subject
from pipeline.contract.stages import CAPTURE_STAGES, Stage, is_made
from pipeline.io.errors import InputError

Paths = Mapping[str, Path | None]  # artefact -> where it lies


class Declared:
    """Values by name, as attributes. A name that the stage table does not declare is an AttributeError: no result depends on what its key does not have."""

    def __init__(self, stage: str, what: str, values: Mapping[str, Any]):
        self._error = f"{what} of the stage '{stage}' in contract/stages.py"
        self.__dict__.update(values)

    def values(self) -> dict[str, Any]:
        """All of them by name, as plain JSON values."""
        return {name: as_key(value) for name, value in vars(self).items() if not name.startswith("_")}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'{name}' is none of the {self.__dict__.get('_error')}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One stage of a capture.

    Attributes:
        subject: the capture (of an `AvatarJob`: or the group).
        inputs, outputs: paths of the declared artefacts; inputs that are not made for its kind of dataset are None.
        cells: the declared columns of captures.tsv.
        scratch: folder for unfinished work, kept after a failure and removed when the stage is done.
        part: of a scattered stage only these cameras; nothing is published.
    """

    stage: Stage
    settings: Any
    subject: str
    inputs: Declared
    outputs: Declared
    cells: Declared
    scratch: Path
    threads: int
    part: slice | None = None

    @property
    def table(self) -> Mapping[str, Stage]:
        """The stages among which the makers of its inputs are."""
        return CAPTURE_STAGES

    def remedy(self, stage: str) -> str:
        """The command that makes the results of a stage again."""
        return f"./c2a run {self.subject} --from {stage}"


@dataclass(frozen=True, kw_only=True)
class AvatarJob(Job):
    """One stage of an avatar method, of a capture or of a group. `inputs` has what the method made; what the captures have is in `subjects`."""

    method: Method
    layout: Layout

    @property
    def table(self) -> Mapping[str, Stage]:
        return self.method.table

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The captures that the avatar is made of."""
        return self.layout.subjects


def make_job(
    name: str,
    settings: Any,
    method: Method,
    layout: Layout,
    row: CaptureRow | None,
    threads: int,
    *,
    part: slice | None = None,
    inputs: Paths | None = None,
    outputs: Paths | None = None,
) -> Job:
    """The job of a stage. Raises InputError where the paths passed are not those of the declared artefacts.

    Args:
        row: of the captures table; None for a group.
        inputs, outputs: default: where `layout` has them.
    """
    stage = method.table[name]
    made = {artefact for other in method.avatar_stages for artefact in other.outputs}
    declared = [artefact for artefact in stage.inputs if stage.scope == "capture" or artefact in made]
    own = {artefact: method.path(layout, artefact) if row is None or is_made(artefact, row.kind) else None for artefact in declared}
    common = {
        "stage": stage,
        "settings": settings,
        "subject": layout.results.name,
        "inputs": Declared(name, "inputs", _checked(name, own, inputs)),
        "outputs": Declared(name, "outputs", _checked(name, {artefact: method.path(layout, artefact) for artefact in stage.outputs}, outputs)),
        "cells": Declared(name, "cells", row.cells(stage.cells) if row else {}),
        "scratch": layout.scratch(name),
        "threads": threads,
        "part": part,
    }
    return Job(**common) if stage.scope == "capture" else AvatarJob(method=method, layout=layout, **common)


def _checked(stage: str, declared: Paths, paths: Paths | None) -> Paths:
    if paths is not None and paths.keys() != declared.keys():
        expected = ", ".join(declared) or "none"
        raise InputError(
            f"{stage}: other files than its inputs and outputs", found=", ".join(paths), expected=expected, remedy="leave --inputs and --outputs out"
        )
    return declared if paths is None else paths
