"""A method with a stage of its own between `init` and `train`: it writes files of a few bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.avatars.method import Method
from pipeline.contract.stages import IMAGES, Stage
from pipeline.stages.job import AvatarJob


@dataclass(frozen=True)
class MeshSettings:
    __pydantic_config__ = {"extra": "forbid"}
    vertices: int = 3


@dataclass(frozen=True)
class NoSettings:
    __pydantic_config__ = {"extra": "forbid"}


METHOD = Method(
    name="meshed",
    about="a stand-in with a stage of its own",
    versions={"init": 1, "mesh": 1, "train": 1},
    settings={"init": NoSettings, "mesh": MeshSettings, "train": NoSettings},
    presets=Path(__file__).with_name("own_stage.yaml"),
    entry=__name__,
    stages=(Stage("mesh", 0, inputs=("fit", "init"), outputs=("mesh",), cores=2),),
    outputs={"mesh": "mesh.txt"},
)
PLAIN = replace(METHOD, name="plain", reads=IMAGES, stages=(Stage("mesh", 0, inputs=("init",), outputs=("mesh",)),))


def mesh(job: AvatarJob) -> dict[str, Any]:
    """The stage `mesh`."""
    job.outputs.mesh.write_text(f"{job.settings.vertices} vertices of {job.subject} after {job.inputs.init.name}")
    return {"vertices": job.settings.vertices}
