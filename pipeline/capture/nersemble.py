"""NeRSemble captures, versions 1 and 2 of the download's layout (and our synthetic ones, which are version 1)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.calibration import check_camera
from pipeline.capture.camera import Camera
from pipeline.capture.color import read_color
from pipeline.capture.source import Source, pick_sequences
from pipeline.io.errors import InputError
from pipeline.io.files import read_json

RAW_SIZE = (2200, 3208)  # width, height of every NeRSemble video; camera_params.json of version 1 does not say it
FRONTAL = "222200037"  # the camera in front of the face, held out as `val` by default
PLATES = "BACKGROUND"


def read_nersemble(
    root: Path,
    participant: str,
    *,
    exclude: tuple[str, ...] = (),
    sequences: tuple[str, ...] = (),
    plates: str = "",
    color: str = "",
    truth: Path | None = None,
) -> Source:
    """Find the footage of one participant.

    Version 1: [raw/]camera_params/<id>/camera_params.json, [raw/]sequence_*/<id>/<SEQ>/cam_<serial>.mp4, plates in .../BACKGROUND/image_<serial>.jpg.
    Version 2: <id>/calibration/camera_params.json (and color_calibration.json), <id>/sequences/<SEQ>/images/cam_<serial>.mp4, plates in
    <id>/sequences/BACKGROUND.
    The participant is looked for as given and padded with zeros ("18", "018").

    Args:
        exclude: sequences whose name contains one of these words are left out unless `sequences` names them.

    Raises InputError where calibration, footage or plates are missing.
    """
    calibration, folders, second = _find(root, participant)
    cameras = _cameras(calibration)
    found = {}
    for name, folder in folders.items():
        left_out = name != PLATES and name not in sequences and any(word in name for word in exclude)
        if name != PLATES and not left_out:
            found[name] = {
                match[1]: path
                for path in sorted((folder / "images" if second else folder).glob("cam_*.mp4"))
                if (match := re.fullmatch(r"cam_(.+)", path.stem))
            }
    chosen = pick_sequences({name: videos for name, videos in found.items() if videos}, sequences, root)
    plate_paths = _plates(plates, folders.get(PLATES), cameras, calibration)
    own = calibration.parent / "color_calibration.json"
    color = str(own) if second and not color and own.is_file() else color
    corrections = read_color(color, participant, tuple(camera.name for camera in cameras))
    note = f"NeRSemble layout version {2 if second else 1}; left out by default: {', '.join(sorted(set(folders) - set(found) - {PLATES})) or 'no sequence'}"
    plate_note = "plates: absent on purpose (`none` in captures.tsv)" if plates == "none" else "plates: one per camera"
    return Source(calibration, cameras, chosen, plate_paths, color=corrections, truth=truth, notes=(note, plate_note))


def _find(root: Path, participant: str) -> tuple[Path, dict[str, Path], bool]:
    """(camera_params.json, {sequence: folder}, whether the layout is version 2)."""
    tried = []
    for name in dict.fromkeys((participant, participant.zfill(3), participant.lstrip("0") or "0")):
        for base in (root / "raw", root):
            first, second = base / "camera_params" / name / "camera_params.json", base / name / "calibration" / "camera_params.json"
            tried += [first, second]
            if first.is_file():
                folders = sorted(p for p in base.glob(f"sequence_*/{name}/*") if p.is_dir())
                repeated = [p for p, q in zip(folders, folders[1:]) if p.name == q.name]
                if repeated:
                    raise InputError(f"the sequence '{repeated[0].name}' stands in two folders", file=repeated[0], expected="every sequence once")
                return first, {p.name: p for p in folders}, False
            if second.is_file():
                return second, {p.name: p for p in sorted((base / name / "sequences").glob("*")) if p.is_dir()}, True
    raise InputError(
        f"no calibration of participant '{participant}'",
        file=root,
        found="none of " + ", ".join(str(path.relative_to(root)) for path in tried),
        expected="the download's own layout (version 1 or 2)",
        remedy="./c2a unzip, or correct the columns 'id' and 'path' of captures.tsv",
    )


def _cameras(path: Path) -> tuple[Camera, ...]:
    """One K for all cameras or one per serial; `world_2_cam` is OpenCV's world to camera, 4x4."""
    record: Any = read_json(path)
    try:
        width, height = int(record.get("width", RAW_SIZE[0])), int(record.get("height", RAW_SIZE[1]))
        poses = {str(serial): np.array(matrix, np.float64) for serial, matrix in record["world_2_cam"].items()}
        shared = record["intrinsics"]
        K = {serial: np.array(shared[serial] if isinstance(shared, dict) else shared, np.float64) for serial in poses}
        cameras = [Camera(serial, width, height, K[serial], poses[serial][:3, :3], poses[serial][:3, 3]) for serial in sorted(poses)]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            "is no camera_params.json", file=path, found=repr(error), expected='{"world_2_cam": {serial: 4x4}, "intrinsics": 3x3}, optional "width", "height"'
        ) from None
    if not cameras:
        raise InputError("describes no camera", file=path)
    return tuple(check_camera(camera, path) for camera in cameras)


def _plates(plates: str, folder: Path | None, cameras: tuple[Camera, ...], calibration: Path) -> dict[str, Path | None]:
    if plates == "none":
        return {camera.name: None for camera in cameras}
    folder = Path(plates) if plates else folder
    remedy = "unpack the BACKGROUND archive, or write `none` in the column 'plates' of captures.tsv"
    if folder is None or not folder.is_dir():
        raise InputError(
            "there is no folder of clean plates", file=folder or calibration, expected=f"a sequence {PLATES} with image_<serial>.jpg", remedy=remedy
        )
    found: dict[str, Path | None] = {}
    for camera in cameras:
        paths = [folder / f"image_{camera.name}{ending}" for ending in (".jpg", ".png")]
        found[camera.name] = next((path for path in paths if path.is_file()), None)
        if found[camera.name] is None:
            raise InputError(f"camera '{camera.name}' has no plate", file=paths[0], remedy=remedy)
    return found
