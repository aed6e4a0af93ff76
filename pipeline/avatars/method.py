"""What an avatar method says of itself. Light to import: no torch."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import yaml

from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES, IMAGES, PREPARE, PREPARED, Stage, avatar_stages, upstream
from pipeline.io.errors import InputError

PRESETS = ("draft", "standard", "high")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Form(NamedTuple):
    """A form in which other systems keep avatars. read: (folder, body) -> arrays of an avatar.npz. write: (avatar.npz, folder, iteration) -> what was written."""

    read: Callable[[Path, str], dict[str, Any]]
    write: Callable[[Path, Path, int], Path]


@dataclass(frozen=True)
class Method:
    """One avatar method.

    Attributes:
        about: one line for help and report.
        versions: stage -> version, raised whenever the method changes that stage's results.
        settings: stage -> settings dataclass, for "init", "train" and the method's own stages.
        presets: YAML file with the blocks draft, standard, high and any others: settings per stage.
        entry: module with the functions `initialise`, `build` and `open_avatar`, imported only inside a stage (docs/adding-a-method.md); with one of the name
            of each own stage; and, where there are such, `compile_kernels` (after an install) and `FORMS`, a `Form` by name for each in which it exchanges avatars.
        scope: what it makes an avatar of: one capture, or a group of captures.
        reads: what it needs of a capture, IMAGES and more of PREPARED; stages that make nothing of it are not run for it.
        stages: its own, between init and train.
        outputs: artefact -> file in the method's folder, for whatever its own stages write; `train` writes the others.
    """

    name: str
    about: str
    versions: Mapping[str, int]
    settings: Mapping[str, type]
    presets: Path
    entry: str
    scope: Literal["capture", "group"] = "capture"
    reads: tuple[str, ...] = PREPARED
    stages: tuple[Stage, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.own
        names = [stage.name for stage in self.avatar_stages]
        for name in (self.name, *own):
            if not _NAME.fullmatch(name) or name in CAPTURE_STAGES or names.count(name) > (name in own):
                raise InputError(f"method '{self.name}': bad name '{name}'", expected="letters, digits and _, and no stage's name twice")
        expected, written = {"init", "train", *own}, {name for stage in self.stages for name in stage.outputs}
        if set(self.settings) != expected:
            stages = ", ".join(sorted(expected))
            raise InputError(f"method '{self.name}': settings for other stages than its own", found=", ".join(sorted(self.settings)), expected=stages)
        if not written <= set(self.outputs):
            raise InputError(f"method '{self.name}': no file for {', '.join(sorted(written - set(self.outputs)))}", expected="an entry of `outputs`")
        if not set(IMAGES) <= set(self.reads) <= set(PREPARED):
            raise InputError(f"method '{self.name}': bad `reads`", found=", ".join(self.reads), expected=f"{', '.join(IMAGES)}, and of {', '.join(PREPARED)}")

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The names of its own stages; the entry module has a function of each name, which takes an `AvatarJob` and returns facts for the manifest."""
        return tuple(stage.name for stage in self.stages)

    @cached_property
    def avatar_stages(self) -> tuple[Stage, ...]:
        """The stages from init to report."""
        written = {name for stage in self.stages for name in stage.outputs}
        return avatar_stages(self.versions, self.stages, tuple(name for name in self.outputs if name not in written), self.reads)

    @cached_property
    def capture_stages(self) -> tuple[Stage, ...]:
        """The stages of a capture that make what the avatar's stages read, in order."""
        makers, needed = upstream((*PREPARE, *self.avatar_stages)), [stage.name for stage in self.avatar_stages]
        for stage in reversed(PREPARE):
            if any(stage.name in makers[name] for name in needed):
                needed.append(stage.name)
        return tuple(stage for stage in PREPARE if stage.name in needed)

    def stages_of(self, kind: str | None) -> list[str]:
        """The names of the capture stages that it runs for a kind of dataset (None: unknown), in order."""
        return [stage.name for stage in self.capture_stages if stage.is_for(kind)]

    @cached_property
    def table(self) -> dict[str, Stage]:
        """Every stage by its name, in order, those of the captures first; also those that it does not need."""
        return {stage.name: stage for stage in (*PREPARE, *self.avatar_stages)}

    def path(self, layout: Layout, artefact: str) -> Path:
        """Where an artefact lies."""
        return layout.avatar_folder / self.outputs[artefact] if artefact in self.outputs else getattr(layout, artefact)

    def output_paths(self, layout: Layout, stage: str) -> list[Path]:
        """Every file and folder that a stage promises to write, its manifest excluded."""
        return [self.path(layout, name) for name in self.table[stage].outputs]

    def preset(self, name: str) -> dict[str, Any]:
        """A block of the presets: stage -> settings that differ from the defaults. Raises InputError for a file without the blocks of PRESETS."""
        return self._presets[name] or {}

    @property
    def preset_names(self) -> tuple[str, ...]:
        """Those of PRESETS, then the method's own."""
        return tuple(dict.fromkeys((*PRESETS, *self._presets)))

    @cached_property
    def _presets(self) -> dict[str, Any]:
        blocks = yaml.safe_load(self.presets.read_text())
        if not isinstance(blocks, dict) or not set(PRESETS) <= set(blocks) or not all(_NAME.fullmatch(str(name)) for name in blocks):
            raise InputError("lacks blocks of the presets", file=self.presets, found=blocks, expected=", ".join(PRESETS))
        return blocks

    def function(self, name: str) -> Callable[..., Any]:
        """A function of the entry module; loads torch."""
        return getattr(self.module, name)

    def has(self, name: str) -> bool:
        """Whether the entry module offers a function that a method may do without; loads torch."""
        return hasattr(self.module, name)

    @property
    def module(self) -> ModuleType:
        """The entry module; loads torch."""
        return importlib.import_module(self.entry)
