"""From the files of a capture to the fit and back: what the stage `fit` does, without its paths."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.capture.processed import Frame, ImageSet
from pipeline.io.errors import InputError
from pipeline.track.contour import Contour, trace
from pipeline.track.fit import Fitted
from pipeline.track.observe import Observations, observe

SHAPES = {"cameras": (None,), "frames": (None,), "face": (None, None, 478, 3), "pose": (None, None, 33, 3)}
GREY_BLUR_PX = 0.7


def observe_capture(
    arrays: dict[str, np.ndarray], images: ImageSet, frame_ids: tuple[str, ...], train_cameras: tuple[str, ...], gate: float, remedy: str, threads: int = 1
) -> Observations:
    """Detections (arrays of keypoints.npz) of the cameras that take part, at the sampled frames, gated.

    Raises:
        InputError: a frame or camera has no keypoints, or fewer than two cameras take part.
    """
    by_id = {frame.id: frame for frame in images.frames}
    frames = tuple(by_id[name] for name in frame_ids)
    if len(train_cameras) < 2:
        raise InputError(
            "a fit needs at least two cameras",
            found=", ".join(train_cameras) or "none",
            expected="two or more training cameras",
            remedy="take cameras off val_cameras in captures.tsv",
        )
    rows, columns = (_index(arrays[key], names, key, remedy) for key, names in (("frames", frame_ids), ("cameras", train_cameras)))
    face, pose = (arrays[key][rows][:, columns] for key in ("face", "pose"))
    return observe(tuple(images.by_name[name] for name in train_cameras), frames, face, pose, gate, threads)


def _index(present: np.ndarray, wanted: tuple[str, ...], what: str, remedy: str) -> list[int]:
    place = {str(name): number for number, name in enumerate(present)}
    lost = [name for name in wanted if name not in place]
    if lost:
        raise InputError(f"no keypoints for {what} {', '.join(lost[:5])}", found=f"{len(place)} {what}", expected=f"{len(wanted)} {what}", remedy=remedy)
    return [place[name] for name in wanted]


def outlines(alpha: ImageSet, images: ImageSet, frames: tuple[Frame, ...], cameras: tuple[str, ...], most: int) -> Callable[[int], list[Contour]]:
    """A function from the number of a frame to one outline per camera, read and traced when first asked for, at most `most` points each, evenly picked."""
    archives = {name: alpha.open(name) for name in cameras}
    visible = {name: _visible(images, name) for name in cameras}
    known: dict[int, list[Contour]] = {}

    def of(number: int) -> list[Contour]:
        if number not in known:
            name = frames[number].id
            traced = (trace(archives[c].read(name)[..., 3] / 255.0, visible[c]) for c in cameras)
            known[number] = [contour[_spread(len(contour), most)] for contour in traced]
        return known[number]

    return of


def grey_pictures(images: ImageSet, frames: tuple[Frame, ...], cameras: tuple[str, ...]) -> Callable[[int], list[np.ndarray]]:
    """A function from the number of a frame to one slightly smoothed grey picture [H, W] float32 per camera, read when first asked for."""
    known: dict[int, list[np.ndarray]] = {}

    def of(number: int) -> list[np.ndarray]:
        if number not in known:
            colors = (images.open(name).read(frames[number].id)[..., :3] for name in cameras)
            known[number] = [cv2.GaussianBlur(cv2.cvtColor(color, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), GREY_BLUR_PX) for color in colors]
        return known[number]

    return of


def _visible(images: ImageSet, camera: str) -> np.ndarray | None:
    packed = images.open(camera)
    return packed.read("visible") > 127 if "visible" in packed else None


def _spread(count: int, most: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def fit_arrays(model: str, seen: Observations, fitted: Fitted) -> dict[str, np.ndarray]:
    """The content of fit.npz; points3d [F, 511, 3] are the 478 face and then the 33 body points."""
    state = fitted.state
    return {
        "model": np.array(model),
        "frames": np.array([frame.id for frame in seen.frames]),
        "cameras": np.array([camera.name for camera in seen.cameras]),
        "identity": state.identity.astype(np.float32),
        "offsets": state.offsets.astype(np.float32),
        "scale": np.float32(state.scale),
        "pose": fitted.rig.full_pose(state.rotations),
        "expression": state.expression.astype(np.float32),
        "translation": state.translation.astype(np.float32),
        "points3d": seen.points3d.astype(np.float32),
        "residual_px": fitted.residual_px.astype(np.float32),
    }


def fit_facts(seen: Observations, fitted: Fitted) -> dict:
    """What the manifest and the report say about a fit (JSON)."""
    cameras = [camera.name for camera in seen.cameras]
    unused = np.setdiff1d(np.arange(478), fitted.landmarks.rows).tolist()
    residual = [None if np.isnan(value) else round(float(value), 3) for value in fitted.residual_px]
    return {
        "residual_px": dict(zip(cameras, residual)),
        "residual_px_all": round(fitted.residual_px_all, 3) if np.isfinite(fitted.residual_px_all) else None,
        "triangulation_px": {name: None if np.isnan(v) else round(float(v), 3) for name, v in zip(cameras, seen.triangulation_px)},
        "noise_px": {name: [None if np.isnan(v) else round(float(v), 3) for v in sigma] for name, sigma in zip(cameras, seen.sigma)},
        "detections": {name: {"seen": int(a), "kept": int(b)} for name, a, b in zip(cameras, seen.seen, seen.kept)},
        "landmarks": fitted.landmarks.count,
        "face_points_not_on_the_model": unused,
        "scale": round(float(fitted.state.scale), 4),
        "free_joints": list(fitted.rig.names),
        **fitted.reached,
    }
