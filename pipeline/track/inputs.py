"""Inputs of the fit from the files of a capture: observations, silhouettes, grey images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from pipeline.capture.processed import Frame, ImageSet
from pipeline.io.arrays import Numbers, Shape, Text
from pipeline.io.errors import InputError
from pipeline.track.contour import Contour, trace_contour
from pipeline.track.observations import Observations, observe
from pipeline.vision.mediapipe_indices import FACE_POINTS, POSE_POINTS

KEYPOINT_SHAPES: dict[str, Shape] = {
    "cameras": Text(("cameras",)),
    "frames": Text(("frames",)),
    "face": Numbers(("frames", "cameras", FACE_POINTS, 3)),
    "pose": Numbers(("frames", "cameras", POSE_POINTS, 3)),
}
GREY_BLUR_PX = 0.7


def observe_capture(
    arrays: dict[str, np.ndarray],
    images: ImageSet,
    frame_ids: tuple[str, ...],
    train_cameras: tuple[str, ...],
    gate: float,
    remedy: str,
    threads: int = 1,
) -> Observations:
    """Observations of the training cameras at the sampled frames, from the arrays of keypoints.npz.

    Raises:
        InputError: a frame or camera has no keypoints, or there are fewer than two training cameras.
    """
    by_id = {frame.id: frame for frame in images.frames}
    for name in (*frame_ids, *train_cameras):
        if name not in by_id and name not in images.by_name:
            raise InputError(f"'{name}' of sample.json is no frame and no camera", file=images.folder, expected="those of frames.json", remedy=remedy)
    frames = tuple(by_id[name] for name in frame_ids)
    if len(train_cameras) < 2:
        raise InputError(
            "a fit needs at least two cameras",
            found=", ".join(train_cameras) or "none",
            expected="two or more training cameras",
            remedy="add calibrated cameras, or shorten the column 'val_cameras' of captures.tsv",
        )
    rows = _indices(arrays["frames"], frame_ids, "frames", remedy)
    columns = _indices(arrays["cameras"], train_cameras, "cameras", remedy)
    face, pose = (arrays[key][rows][:, columns] for key in ("face", "pose"))
    return observe(tuple(images.by_name[name] for name in train_cameras), frames, face, pose, gate, threads)


def _indices(available: np.ndarray, names: tuple[str, ...], what: str, remedy: str) -> list[int]:
    index = {str(name): number for number, name in enumerate(available)}
    missing = [name for name in names if name not in index]
    if missing:
        problem = f"no keypoints for {what} {', '.join(missing[:5])}"
        raise InputError(problem, found=f"{len(index)} {what}", expected=f"{len(names)} {what}", remedy=remedy)
    return [index[name] for name in names]


def silhouettes(
    mattes: ImageSet,
    images: ImageSet,
    frames: tuple[Frame, ...],
    cameras: tuple[str, ...],
    most: int,
) -> Callable[[int], list[Contour]]:
    """A cached function from a frame index to one silhouette per camera, of at most `most` evenly picked points."""
    archives = {name: mattes.open(name) for name in cameras}
    visible = {name: _visible(images, name) for name in cameras}

    @cache
    def of_frame(index: int) -> list[Contour]:
        name = frames[index].id
        contours = [trace_contour(archives[c].read(name)[..., 3] / 255.0, visible[c]) for c in cameras]
        return [contour[_evenly(len(contour), most)] for contour in contours]

    return of_frame


def grey_images(
    images: ImageSet,
    frames: tuple[Frame, ...],
    cameras: tuple[str, ...],
) -> Callable[[int], list[np.ndarray]]:
    """A cached function from a frame index to one slightly smoothed grey image [H, W] float32 per camera."""

    @cache
    def of_frame(index: int) -> list[np.ndarray]:
        colours = [images.open(name).read(frames[index].id)[..., :3] for name in cameras]
        greys = [cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(np.float32) for colour in colours]
        return [cv2.GaussianBlur(grey, (0, 0), GREY_BLUR_PX) for grey in greys]

    return of_frame


def _visible(images: ImageSet, camera: str) -> np.ndarray | None:
    """[H, W] bool, False in padding; None without padding."""
    archive = images.open(camera)
    return archive.read("visible") > 127 if "visible" in archive else None


def _evenly(count: int, most: int) -> np.ndarray:
    """At most `most` evenly spread indices below `count`."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)
