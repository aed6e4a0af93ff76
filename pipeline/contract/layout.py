"""Where every file of a capture, or of a group of captures, lies: the contract between stages, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import UnionType

from pipeline.contract.stages import CAPTURE_STAGES, DEFAULT_METHOD

RECORD_KINDS: dict[str, type | UnionType] = {
    **dict.fromkeys(("timing", "facts", "cells", "settings", "defaults", "outputs", "sources"), dict),
    **dict.fromkeys(("message", "job", "host", "stage", "time", "commit", "processor", "command", "python"), str),
    **dict.fromkeys(("warnings", "log"), list),
    **dict.fromkeys(("seconds", "peak_memory_mb"), int | float),
    "attempt": int,
}
"""Kinds of what manifests and error files hold; what is of another was changed by hand."""


def snapshot_name(step: int) -> str:
    """The name of the file of an avatar after so many steps of its training."""
    return f"avatar_{step:06d}.npz"


@dataclass(frozen=True)
class Layout:
    """Paths of one capture or group (and, for what follows `fit`, one method).

    Args:
        results: `results/<capture>`, declared outputs.
        work: `work/<capture>`, scratch that outlives a failure: never a declared output.
        variant: a name for results of the method with other settings, beside those without one.
        group: of a group of captures, where the files of each lie; empty for a capture.
    """

    results: Path
    work: Path
    method: str = DEFAULT_METHOD
    group: tuple[Layout, ...] = ()
    variant: str = ""

    @property
    def members(self) -> tuple[Layout, ...]:
        """The captures that an avatar is made of; a capture is its own one member."""
        return self.group or (self,)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The members with their names."""
        return tuple(Subject(layout.results.name, layout) for layout in self.members)

    @property
    def truth(self) -> Path:
        """Where the raw videos and the truth of a synthetic capture lie; absent for filmed ones."""
        return self.results / "truth.json"

    @property
    def capture(self) -> Path:
        return self.results / "capture.json"

    @property
    def frames(self) -> Path:
        return self.results / "frames"

    @property
    def frames_json(self) -> Path:
        return self.results / "frames.json"

    @property
    def sample(self) -> Path:
        return self.results / "sample.json"

    @property
    def alpha(self) -> Path:
        return self.results / "alpha"

    @property
    def alpha_json(self) -> Path:
        return self.results / "alpha.json"

    @property
    def keypoints(self) -> Path:
        return self.results / "keypoints.npz"

    @property
    def fit(self) -> Path:
        return self.results / "fit.npz"

    @property
    def overlay(self) -> Path:
        return self.results / "overlay"

    @property
    def avatar_folder(self) -> Path:
        return self.results / self.folder

    @property
    def folder(self) -> str:
        """The name of the method's folder, in results and in work."""
        return f"{self.method}-{self.variant}" if self.variant else self.method

    @property
    def settings(self) -> Path:
        """The settings that runs of this capture, group or variant were given."""
        return (self.avatar_folder if self.variant else self.results) / "config.yaml"

    @property
    def previous(self) -> Path:
        """The method's folder while a new training replaces a finished one."""
        return self.results / f".{self.folder}.previous"

    @property
    def init(self) -> Path:
        return self.avatar_folder / "init.npz"

    @property
    def avatar(self) -> Path:
        return self.avatar_folder / "avatar.npz"

    @property
    def avatar_ply(self) -> Path:
        return self.avatar_folder / "avatar.ply"

    @property
    def train_log(self) -> Path:
        return self.avatar_folder / "train.csv"

    @property
    def validation(self) -> Path:
        """Renders during training, <step>.png of held-out cameras and test_<step>.png of held-out frames."""
        return self.avatar_folder / "validation"

    @property
    def snapshots(self) -> Path:
        """The avatar as it was at some steps of its training, avatar_<step>.npz."""
        return self.avatar_folder / "snapshots"

    @property
    def render(self) -> Path:
        return self.avatar_folder / "render"

    def renders(self, subject: str) -> Path:
        """Where the renders of one capture lie: of a group in a folder of its own."""
        return self.render / subject if self.group else self.render

    @property
    def metrics(self) -> Path:
        return self.avatar_folder / "metrics.json"

    @property
    def report(self) -> Path:
        return self.avatar_folder / "report.html"

    @property
    def boards(self) -> Path:
        """TensorBoard's folder: beside the work, so that it outlives the stage, and never declared, since its bytes hold the time of day."""
        return self.scratch("train").parent / "tensorboard"

    @property
    def trained(self) -> Path:
        """The last checkpoint of a finished training, for a longer one to resume from; beside the work, so that it outlives the stage."""
        return self.scratch("train").parent / "trained.pt"

    @property
    def watch(self) -> Path:
        """Where a running training and its viewers meet (training/watch.py)."""
        return self.scratch("train").parent / "watch"

    def manifest(self, stage: str) -> Path:
        """`manifests/<stage>.json`; that of a stage which belongs to a method lies in the method's folder."""
        return (self.results if _of_capture(stage) else self.avatar_folder) / "manifests" / f"{stage}.json"

    def error(self, stage: str) -> Path:
        """What a failed stage left: stage, message, attempt, job, host, the last lines of its log."""
        return self.scratch(stage).parent / "errors" / f"{stage}.json"

    def log(self, stage: str) -> Path:
        """What a stage said, this attempt's only."""
        return self.scratch(stage).parent / "logs" / f"{stage}.log"

    def part(self, stage: str, number: int | str, count: int | str) -> Path:
        """A note that a part of a scattered stage's cameras is done; the cameras themselves wait in the stage's scratch."""
        return self.scratch(stage).parent / "parts" / f"{stage}-{number}of{count}.json"

    def running(self, stage: str) -> Path:
        """Who is at work on a stage; gone when it has ended (see io/lease.py)."""
        return self.scratch(stage).parent / "running" / f"{stage}.json"

    def progress(self, stage: str) -> Path:
        """How far a stage at work is, for `run` to show."""
        return self.scratch(stage).parent / "progress" / f"{stage}.json"

    @property
    def leases(self) -> Path:
        """Who took and released what, ever: nothing is removed from it."""
        return self.work / "leases.tsv"

    def scratch(self, stage: str) -> Path:
        """Folder for a stage's unfinished work, kept after a failure and removed when the stage is done."""
        return (self.work if _of_capture(stage) else self.work / self.folder) / stage


@dataclass(frozen=True)
class Subject:
    """A capture that an avatar is made of."""

    name: str
    layout: Layout


def _of_capture(stage: str) -> bool:
    """Whether a stage (a part of it, or `run` itself) belongs to the capture and not to a method."""
    return stage == "run" or stage.partition("-")[0] in CAPTURE_STAGES
