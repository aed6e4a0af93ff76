"""Where every file of a capture lies: the contract between stages, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

METHOD_STAGES = ("init", "train", "render", "evaluate", "report")  # what follows `fit` belongs to an avatar method


@dataclass(frozen=True)
class Layout:
    """Paths of one capture (and, for what follows `fit`, one method).

    Args:
        results: `results/<capture>`, declared outputs.
        work: `work/<capture>`, scratch that outlives a failure: never a declared output.
    """

    results: Path
    work: Path
    method: str = "rigged"

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
        return self.results / self.method

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
    def render(self) -> Path:
        return self.avatar_folder / "render"

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
        """The last checkpoint of a finished training, for a longer one to go on from; beside the work, so that it outlives the stage."""
        return self.scratch("train").parent / "trained.pt"

    def outputs(self, stage: str) -> list[Path]:
        """Every file and folder that a stage promises to write, its manifest excluded; `synthesise` writes into the capture's own folder."""
        table = {
            "ingest": [self.capture],
            "frames": [self.frames, self.frames_json],
            "sample": [self.sample],
            "matte": [self.alpha, self.alpha_json],
            "keypoints": [self.keypoints],
            "fit": [self.fit, self.overlay],
            "init": [self.init],
            "train": [self.avatar, self.avatar_ply, self.train_log],
            "render": [self.render],
            "evaluate": [self.metrics],
            "report": [self.report],
        }
        return table.get(stage, [])

    def manifest(self, stage: str) -> Path:
        """`manifests/<stage>.json`; that of a stage which belongs to a method lies in the method's folder."""
        return (self.avatar_folder if stage in METHOD_STAGES else self.results) / "manifests" / f"{stage}.json"

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

    @property
    def leases(self) -> Path:
        """Who took and released what, ever: nothing is removed from it."""
        return self.work / "leases.tsv"

    def scratch(self, stage: str) -> Path:
        """Folder for a stage's unfinished work, kept after a failure and removed when the stage is done."""
        return (self.work / self.method if stage in METHOD_STAGES else self.work) / stage
