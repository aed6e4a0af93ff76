"""Targets of the evaluation: the processed image of a camera over white, and its alpha."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.capture.calibration import read_calibration
from pipeline.capture.camera import Camera, distort
from pipeline.capture.processed import read_image_set
from pipeline.capture.record import read_capture
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.packed import PackedImages


@dataclass(frozen=True)
class Target:
    """image: float32 [H, W, 3] over white, 0..1. alpha: float32 [H, W]. visible: bool [H, W], False in padding."""

    image: np.ndarray
    alpha: np.ndarray
    visible: np.ndarray


def truth_folder(layout: Layout) -> Path | None:
    """The folder of a synthetic capture's ground truth; None for real captures. Raises InputError where it is missing."""
    truth = read_capture(layout.capture).truth
    if truth is not None and not truth.is_dir():
        raise InputError("the ground truth of this synthetic capture is missing", file=truth, remedy=f"./c2a run {layout.results.name} --from synthesise")
    return truth


class CameraTargets:
    """Targets of one camera of the rig. Alpha is the ground truth's where there is one, else the matte."""

    def __init__(self, layout: Layout, camera: str):
        self._frames, self._matte = (read_image_set(*files).open(camera) for files in ((layout.frames_json, layout.frames), (layout.alpha_json, layout.alpha)))
        self._plate = _unit(self._frames.read("plate")) if "plate" in self._frames else None
        self._visible = self._frames.read("visible") > 0 if "visible" in self._frames else None
        truth = truth_folder(layout)
        self._truth = PackedImages(truth / "alpha" / f"{camera}.zip") if truth else None
        if truth:
            raw = next(c for c in read_capture(layout.capture).cameras if c.name == camera)
            self._warp = Warp(raw, read_image_set(layout.frames_json, layout.frames).by_name[camera])

    def read(self, frame: str) -> Target:
        """The target at one frame. Raises InputError where an image is missing."""
        if self._truth is None:
            matte = _unit(self._matte.read(frame))
            image, alpha = over_white(matte[..., :3], matte[..., 3]), matte[..., 3]
        else:
            image, alpha = _unit(self._frames.read(frame)), self._warp(_unit(self._truth.read(frame)))
            image = self._true_foreground(frame, image, alpha)
        visible = np.ones(alpha.shape, bool) if self._visible is None else self._visible
        return Target(np.where(visible[..., None], image, np.float32(1)), alpha * visible, visible)

    def _true_foreground(self, frame: str, image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        if self._plate is not None:
            return exchange_plate(image, self._plate, alpha)
        matte = _unit(self._matte.read(frame))  # its colours are the best estimate without a plate
        return over_white(np.where(matte[..., 3:] > 0, matte[..., :3], image), alpha)


class NovelTargets:
    """Targets of a camera that the pipeline never saw: RGBA images of the ground truth."""

    def __init__(self, layout: Layout, camera: str):
        folder = truth_folder(layout)
        if folder is None:
            raise InputError("a real capture has no novel camera", file=layout.capture)
        self._images = PackedImages(folder / "novel" / f"{camera}.zip")

    def read(self, frame: str) -> Target:
        """The target at one frame, at the ground truth's size."""
        image = _unit(self._images.read(frame))
        return Target(over_white(image[..., :3], image[..., 3]), image[..., 3], np.ones(image.shape[:2], bool))


def novel_cameras(layout: Layout) -> list[str]:
    """Names of the ground truth's novel cameras; empty for real captures."""
    folder = truth_folder(layout)
    if folder is None or not (folder / "novel.json").is_file():
        return []
    return [camera.name for camera in read_calibration(folder / "novel.json")]


def over_white(foreground: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Foreground colour [H, W, 3] over white by alpha [H, W]."""
    return foreground * alpha[..., None] + (1 - alpha[..., None])


def exchange_plate(image: np.ndarray, plate: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The image [H, W, 3] with white in place of its clean plate [H, W, 3], by alpha [H, W], without the foreground colour.

    C = aF + (1 - a)B gives aF + (1 - a) = C + (1 - a)(1 - B). The result is clipped to what a foreground in [0, 1] allows,
    which removes the plate's noise where alpha is 0.
    """
    rest = 1 - alpha[..., None]
    return np.clip(image + rest * (1 - plate), rest, 1)


class Warp:
    """Maps a raw image of a camera to its processed geometry (undistorted, cropped, resized), averaging where it shrinks."""

    def __init__(self, raw: Camera, processed: Camera):
        scale = np.linalg.det(raw.K[:2, :2] @ np.linalg.inv(processed.K[:2, :2])) ** 0.5  # raw pixels per processed pixel
        self._parts = max(1, round(scale))
        self._raw, self._size = raw, (processed.width, processed.height)
        fine = processed.resized(processed.width * self._parts, processed.height * self._parts)
        y, x = np.mgrid[: fine.height, : fine.width] + 0.5
        rays = (np.stack([x, y], -1) - fine.K[:2, 2]) @ np.linalg.inv(fine.K[:2, :2]).T
        pixels = distort(rays, raw.dist) @ raw.K[:2, :2].T + raw.K[:2, 2]
        self._map = (pixels - 0.5).astype(np.float32)  # cv2 places pixel centres at integers

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Image of the raw size to one of the processed size; 0 outside. Raises InputError for an image of another size."""
        if image.shape[:2] != (self._raw.height, self._raw.width):
            raise InputError(
                f"truth of camera '{self._raw.name}' has another size than its camera", found=image.shape[1::-1], expected=(self._raw.width, self._raw.height)
            )
        fine = cv2.remap(image, self._map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return fine if self._parts == 1 else cv2.resize(fine, self._size, interpolation=cv2.INTER_AREA)


def _unit(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255
