"""Lazy access to the files that the report shows; each is read once, when first used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.processed import ImageSet, read_image_set
from pipeline.capture.record import Capture, read_capture
from pipeline.contract.layout import Layout, Subject
from pipeline.io.arrays import Numbers, Shape, Text, load_npz
from pipeline.io.errors import InputError
from pipeline.io.files import read_json
from pipeline.report import records
from pipeline.report.images import even_choice
from pipeline.report.settings import ReportSettings

METRICS = ("val", "test", "novel", "splats", "alpha_source", "lpips", "missing", "per_subject", "per_camera", "worst", "images", "definitions")
MOST_IMAGES = 8  # cameras shown in a strip
KEYPOINTS: dict[str, Shape] = {
    "cameras": Text(("cameras",)),
    "frames": Text(("frames",)),
    "face": Numbers(("frames", "cameras", None, 3)),
    "pose": Numbers(("frames", "cameras", None, 3)),
}
FIT: dict[str, Shape] = {
    "frames": Text((None,)),
    "cameras": Text(("cameras",)),
    "points3d": Numbers((None, None, 3)),
    "residual_px": Numbers(("cameras",)),
}


@dataclass
class Context:
    """Results of one subject of an avatar. Every property raises InputError where its file is missing or is not as expected.

    Attributes:
        layout: the files of the avatar, of a capture or of a group.
        folder: where the page will lie: its links are relative to it. command: the one that resumes.
        number: which of its subjects.
    """

    layout: Layout
    settings: ReportSettings
    folder: Path
    command: str
    number: int = 0

    @property
    def id(self) -> str:
        """The capture, or the group."""
        return self.layout.results.name

    @property
    def subject(self) -> Subject:
        return self.layout.subjects[self.number]

    @property
    def files(self) -> Layout:
        """The files of the subject's capture."""
        return self.subject.layout

    @property
    def renders(self) -> Path:
        return self.layout.renders(self.subject.name)

    @property
    def orbit(self) -> Path:
        return self.renders / "orbit.mp4"

    @cached_property
    def capture(self) -> Capture:
        return read_capture(self.files.capture)

    @cached_property
    def images(self) -> ImageSet:
        return read_image_set(self.files.frames_json, self.files.frames)

    @cached_property
    def mattes(self) -> ImageSet:
        return read_image_set(self.files.alpha_json, self.files.alpha)

    @cached_property
    def sample(self) -> dict[str, Any]:
        return read_json(self.files.sample)

    @cached_property
    def keypoints(self) -> dict[str, np.ndarray]:
        return load_npz(self.files.keypoints, KEYPOINTS)

    @cached_property
    def fit(self) -> dict[str, np.ndarray]:
        return load_npz(self.files.fit, FIT)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        record = read_json(self.layout.metrics)
        lacking = [name for name in METRICS if name not in record]
        if lacking:
            raise InputError(
                "contains no metrics", file=self.layout.metrics, found=f"no {', '.join(lacking)}", expected="a file that the stage 'evaluate' wrote"
            )
        return record

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        return records.manifests(self.layout)

    @cached_property
    def errors(self) -> dict[str, str]:
        return records.errors(self.layout)

    @property
    def roles(self) -> dict[str, str]:
        """camera -> train or val; empty before `sample`."""
        return self.sample["cameras"] if self.files.sample.is_file() else {}

    @property
    def frame_ids(self) -> list[str]:
        """The sampled frames in time order, or all of them before `sample`."""
        if self.files.sample.is_file():
            return [frame["id"] for frame in self.sample["frames"]]
        return [frame.id for frame in self.images.frames]

    @property
    def shown_frame(self) -> str:
        """The frame shown for every stage: the middle training frame."""
        if self.files.sample.is_file():
            train = [frame["id"] for frame in self.sample["frames"] if frame["split"] == "train"]
            return train[len(train) // 2] if train else self.frame_ids[0]
        return self.frame_ids[len(self.frame_ids) // 2]

    def shown_cameras(self, most: int = MOST_IMAGES) -> list[str]:
        """The cameras to show, evenly spread over the rig."""
        names = [camera.name for camera in self.images.cameras]
        return [names[i] for i in even_choice(len(names), most)]

    def label(self, camera: str) -> str:
        """A camera's name, marked if it is held out."""
        return f"{camera} (held out)" if self.roles.get(camera) == "val" else camera
