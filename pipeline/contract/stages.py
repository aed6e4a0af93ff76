"""The stage table: what each stage is, reads, writes and needs, stated once. Light to import: the Snakefile loads it.

Order, dependencies, rules, keys, configuration sections, status columns and report sections follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.contract.captures_table import KINDS, TRACKED

DEFAULT_METHOD = "rigged"  # the avatar method of a run that names none


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        version: raised whenever the results change; older results then count as stale.
        inputs, outputs: artefacts by name, attributes of `Layout`.
        kinds: of datasets, for whose captures it runs; for others its outputs are absent, and the inputs of later stages None.
        cells: columns of captures.tsv that it reads; "body" is the name in the column model, of an imported one.
        cores: the most it can use. gpu: it works on a GPU where there is one.
        scattered: its cameras are independent, at first or throughout: `scatter` splits them over several jobs.
        scope: "avatar" stages belong to a method, and their subject is a capture or a group of captures.
    """

    name: str
    version: int
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    cells: tuple[str, ...] = ()
    cores: int = 1
    gpu: bool = False
    scattered: bool = False
    scope: Literal["capture", "avatar"] = "capture"

    def gpus(self, device: str) -> int:
        """How many GPUs it holds; device: `train.device`. A run on the CPU holds none."""
        return int(self.gpu and device != "cpu")

    def is_for(self, kind: str | None) -> bool:
        """Whether it runs for captures of a kind of dataset; of an unknown one (None): of every kind."""
        return set(KINDS) <= set(self.kinds) if kind is None else kind in self.kinds


PREPARE = (
    Stage("synthesise", 1, outputs=("truth",), kinds=("synthetic",), cells=("id", "path", "model"), cores=16),
    Stage(
        "ingest",
        3,
        inputs=("truth",),
        outputs=("capture",),
        cells=("id", "kind", "path", "calibration", "units", "convention", "plates", "mattes", "timestamps", "fps", "sequences", "color"),
        cores=8,
    ),
    Stage("frames", 1, inputs=("capture",), outputs=("frames", "frames_json"), cells=("frames", "size"), cores=128, scattered=True),
    Stage("sample", 2, inputs=("capture", "frames", "frames_json"), outputs=("sample",), cells=("val_cameras", "test_sequences"), cores=4),
    Stage("matte", 1, inputs=("frames", "frames_json", "sample"), outputs=("alpha", "alpha_json"), cells=("model",), cores=128, scattered=True),
    Stage(
        "keypoints",
        3,
        inputs=("frames", "frames_json", "alpha", "alpha_json"),
        outputs=("keypoints",),
        kinds=tuple(kind for kind in KINDS if kind not in TRACKED),
        cells=("model", "convention"),
        cores=128,
        scattered=True,
    ),
    Stage(
        "fit",
        3,
        inputs=("capture", "frames", "frames_json", "sample", "alpha", "alpha_json", "keypoints"),
        outputs=("fit", "overlay"),
        cells=("model", "body"),
        cores=8,
    ),
)
IMAGES = ("capture", "frames", "frames_json", "sample", "alpha", "alpha_json")  # what every method reads of every capture
PREPARED = (*IMAGES, "keypoints", "fit")  # what a method may read
CAPTURE_STAGES = {stage.name: stage for stage in PREPARE}
_MAKERS = {artefact: stage for stage in PREPARE for artefact in stage.outputs}


def is_made(artefact: str, kind: str | None) -> bool:
    """Whether captures of a kind of dataset have an artefact, as far as stages of captures make it; of an unknown kind (None): whether all have it."""
    return artefact not in _MAKERS or _MAKERS[artefact].is_for(kind)


def avatar_stages(
    versions: Mapping[str, int], own: Sequence[Stage] = (), extra_outputs: Sequence[str] = (), reads: tuple[str, ...] = PREPARED
) -> tuple[Stage, ...]:
    """The stages of an avatar method: init, the method's own, train, render, evaluate, report.

    Args:
        versions: version of each stage as far as it is the method's; that of a shared stage is added to it.
        own: stages between init and train; train reads what they write.
        extra_outputs: artefacts that train writes besides the avatar and its log.
        reads: of PREPARED, what they need.
    """
    made = tuple(name for stage in own for name in stage.outputs)
    overlay = ("overlay",) if "fit" in reads else ()
    avatar = ("init", *made, "avatar", *extra_outputs, "train_log", "validation", "snapshots")
    shared = (
        Stage("init", 0, inputs=reads, outputs=("init",), cores=4),
        *own,
        Stage("train", 1, inputs=(*reads, "init", *made), outputs=avatar[1 + len(made) :], cores=16, gpu=True),
        Stage("render", 3, inputs=("truth", *reads, "avatar"), outputs=("render",), cores=8, gpu=True),
        Stage("evaluate", 1, inputs=("truth", *reads, "avatar", "train_log", "render"), outputs=("metrics",), cores=8),
        Stage("report", 1, inputs=("truth", *reads, *overlay, *avatar, "render", "metrics"), outputs=("report",)),
    )
    return tuple(replace(stage, version=stage.version + versions.get(stage.name, 0), scope="avatar") for stage in shared)


LAST_STAGE = avatar_stages({})[-1].name


def upstream(stages: Sequence[Stage]) -> dict[str, tuple[str, ...]]:
    """The stages that make the inputs of each stage, in order, by the stage's name."""
    maker = {artefact: stage.name for stage in stages for artefact in stage.outputs}
    return {stage.name: tuple(dict.fromkeys(maker[name] for name in stage.inputs if name in maker)) for stage in stages}
