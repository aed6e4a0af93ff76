"""Reader of NeRSemble captures, versions 1 and 2 of the download's layout. Synthetic captures use version 1."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_camera
from pipeline.capture.color import color_files, read_color
from pipeline.capture.source import Source, pick_sequences
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json

RAW_SIZE = (2200, 3208)  # width, height of every NeRSemble video; not stated in version 1's camera_params.json
FRONTAL = "222200037"  # the camera in front of the face, the validation camera by default
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
    """Find calibration, footage and plates of one participant.

    Version 1: [raw/]camera_params/<id>/camera_params.json, [raw/]sequence_*/<id>/<SEQ>/cam_<serial>.mp4, plates in
    .../BACKGROUND/image_<serial>.jpg.
    Version 2: <id>/calibration/camera_params.json (and color_calibration.json),
    <id>/sequences/<SEQ>/images/cam_<serial>.mp4, plates in <id>/sequences/BACKGROUND.

    Args:
        root: folder of the download. participant: its id, with or without leading zeros ("18", "018").
        exclude: sequences whose name contains one of these words are left out unless `sequences` names them.
        sequences: names of the sequences to use; empty for all. plates: folder of plates, "none", or empty.
        color: colour calibration as in `color.read_color`; empty for the one of version 2, if it exists.
        truth: folder of a synthetic capture's ground truth.

    Raises InputError if calibration, footage or plates are missing.
    """
    calibration, folders, version, growing = _find(root, participant)
    cameras = _cameras(calibration)
    footage = {}
    for name, folder in folders.items():
        excluded = name not in sequences and any(word in name for word in exclude)
        if name != PLATES and not excluded:
            footage[name] = {
                match[1]: path
                for path in sorted((folder / "images" if version == 2 else folder).glob("cam_*.mp4"))
                if (match := re.fullmatch(r"cam_(.+)", path.stem))
            }
    own_color = calibration.parent / "color_calibration.json"
    looked = (own_color,) if version == 2 and not color and not own_color.is_file() else ()
    color = str(own_color) if version == 2 and not color and own_color.is_file() else color
    names = tuple(camera.name for camera in cameras)
    left_out = ", ".join(sorted(set(folders) - set(footage) - {PLATES})) or "no sequence"
    note = f"NeRSemble layout version {version}; left out by default: {left_out}"
    plate_note = "plates: absent (`none` in captures.tsv)" if plates == "none" else "plates: one per camera"
    return Source(
        calibration,
        cameras,
        footage=pick_sequences({name: videos for name, videos in footage.items() if videos}, sequences, root),
        plates=_plates(plates, folders.get(PLATES), cameras, calibration),
        color=read_color(color, participant, names),
        truth=truth,
        read=(calibration, *color_files(color, participant, names)),
        looked=looked,
        growing=() if sequences else (growing,),
        notes=(note, plate_note),
    )


def _find(root: Path, participant: str) -> tuple[Path, dict[str, Path], int, tuple[Path, str]]:
    """(camera_params.json, {sequence: folder}, version of the layout, the pattern of the sequences' folders below a folder)."""
    candidates = []
    for name in dict.fromkeys((participant, participant.zfill(3), participant.lstrip("0") or "0")):
        for base in (root / "raw", root):
            first = base / "camera_params" / name / "camera_params.json"
            second = base / name / "calibration" / "camera_params.json"
            candidates += [first, second]
            if first.is_file():
                folders = sorted(p for p in base.glob(f"sequence_*/{name}/*") if p.is_dir())
                repeated = [p for p, q in zip(folders, folders[1:]) if p.name == q.name]
                if repeated:
                    raise InputError(
                        f"two folders have the sequence '{repeated[0].name}'",
                        file=repeated[0],
                        expected="one folder per sequence",
                        remedy="delete or rename one of them",
                    )
                return first, {p.name: p for p in folders}, 1, (base, f"sequence_*/{name}/*")
            if second.is_file():
                return second, {p.name: p for p in sorted((base / name / "sequences").glob("*")) if p.is_dir()}, 2, (base / name, "sequences/*")
    raise InputError(
        f"no calibration of participant '{participant}'",
        file=root,
        found="none of " + ", ".join(str(path.relative_to(root)) for path in candidates),
        expected="the layout of the download (version 1 or 2)",
        remedy="./c2a unzip, or correct the columns 'id' and 'path' of captures.tsv",
    )


def _cameras(path: Path) -> tuple[Camera, ...]:
    """Cameras of camera_params.json: one K for all or one per serial; `world_2_cam` is 4x4, OpenCV's convention."""
    record: Any = read_json(path)
    try:
        width = int(record.get("width", RAW_SIZE[0]))
        height = int(record.get("height", RAW_SIZE[1]))
        poses = {str(serial): np.array(matrix, np.float64) for serial, matrix in record["world_2_cam"].items()}
        shared = record["intrinsics"]
        K = {serial: np.array(shared[serial] if isinstance(shared, dict) else shared, np.float64) for serial in poses}
        cameras = []
        for serial, pose in sorted(poses.items()):
            cameras.append(Camera(serial, width, height, K[serial], pose[:3, :3], pose[:3, 3]))
    except MALFORMED as error:
        raise InputError(
            "is not a camera_params.json",
            file=path,
            found=repr(error),
            expected='{"world_2_cam": {serial: 4x4}, "intrinsics": 3x3}, optional "width", "height"',
        ) from None
    if not cameras:
        raise InputError("contains no cameras", file=path, expected="at least one entry in 'world_2_cam'")
    return tuple(check_camera(camera, path) for camera in cameras)


def _plates(plates: str, folder: Path | None, cameras: tuple[Camera, ...], calibration: Path) -> dict[str, Path | None]:
    """The plate of each camera, from the folder `plates` or the dataset's own `folder`."""
    if plates == "none":
        return {camera.name: None for camera in cameras}
    folder = Path(plates) if plates else folder
    remedy = "unpack the BACKGROUND archive, or write `none` in the column 'plates' of captures.tsv"
    if folder is None or not folder.is_dir():
        raise InputError(
            "no folder of clean plates",
            file=folder or calibration,
            expected=f"a sequence {PLATES} with image_<serial>.jpg",
            remedy=remedy,
        )
    plate_paths: dict[str, Path | None] = {}
    for camera in cameras:
        paths = [folder / f"image_{camera.name}{ending}" for ending in (".jpg", ".png")]
        plate_paths[camera.name] = next((path for path in paths if path.is_file()), None)
        if plate_paths[camera.name] is None:
            expected = " or ".join(path.name for path in paths)
            raise InputError(f"camera '{camera.name}' has no plate", file=paths[0], expected=expected, remedy=remedy)
    return plate_paths
