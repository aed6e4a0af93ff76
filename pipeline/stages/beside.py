"""The images of the capture that drives an avatar, for the left of every rendered image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.capture.processed import read_image_set
from pipeline.contract.layout import Layout
from pipeline.stages.render_cameras import CaptureImages

if TYPE_CHECKING:
    from pipeline.avatars.shots import Shot


@dataclass(frozen=True, eq=False)
class DriverImages:
    """Called with the names of a shot and an instant: the driver's image, of the avatar's height.

    Attributes:
        images: of the driver. frames: {instant: id of the frame}. cameras: {shot: the driver's camera of that name, or its middle one}. heights: {shot: pixels}.
    """

    images: CaptureImages
    frames: Mapping[str, str]
    cameras: Mapping[str, str]
    heights: Mapping[str, int]

    @staticmethod
    def of(driver: Path, frames: Mapping[str, str], background: tuple[int, int, int], shots: Sequence[Shot]) -> DriverImages | None:
        """Of the capture whose results lie in the folder `driver`; None where its mattes are not there."""
        layout = Layout(driver, driver)
        if not layout.alpha_json.is_file():
            return None
        images = read_image_set(layout.alpha_json, layout.alpha)
        axes = np.stack([camera.R[2] for camera in images.cameras])
        middle = images.cameras[int((axes @ axes.sum(0)).argmax())].name
        cameras = {shot.name: shot.name if shot.name in images.by_name else middle for shot in shots}
        heights = {shot.name: shot.instants[0].camera.height for shot in shots}
        return DriverImages(CaptureImages(images, background), frames, cameras, heights)

    def __call__(self, shot: str, instant: str) -> np.ndarray:
        """uint8 [H, W, 3]."""
        image = self.images(self.cameras[shot], self.frames[instant])
        width = max(round(image.shape[1] * self.heights[shot] / image.shape[0]), 1)
        return cv2.resize(image, (width, self.heights[shot]), interpolation=cv2.INTER_AREA)
