"""Any calibrated rig: a folder of videos (or of image folders) and a calibration."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pipeline.capture.calibration import read_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.media import images_in, is_video
from pipeline.capture.source import Source, pick_sequences
from pipeline.io.errors import InputError

FLAT = "take"  # the name of the one sequence of a folder without sequence folders
PLATE_FOLDERS = ("background", "plates")


def read_rig(root: Path, *, calibration: Path | None = None, plates: str = "", timestamps: Path | None = None, sequences: tuple[str, ...] = ()) -> Source:
    """Find the footage of a rig.

    `root` (or `root`/videos) holds <camera>.mp4, <camera>/*.png, <sequence>/<camera>.mp4 or <sequence>/<camera>/*.png. The calibration is
    `cameras.json` there or in the folder above, unless given. Plates: pictures whose name is the camera's, or starts with it and holds
    "plate". Timestamps: `timestamps.csv` beside the videos, unless given ({sequence} in the name stands for each sequence's).

    Raises InputError where something is missing or ambiguous.
    """
    if not root.is_dir():
        raise InputError(
            "no such folder", file=root, expected="a folder with one video (or image folder) per camera", remedy="correct the column 'path' of captures.tsv"
        )
    media = root / "videos" if (root / "videos").is_dir() else root
    homes = [media, media.parent] if root != media or media.name == "videos" else [media]
    calibration = calibration or _default_calibration(homes, root)
    cameras = read_calibration(calibration)
    found = _footage(media, {camera.name for camera in cameras})
    chosen = pick_sequences(found, sequences, media)
    cameras = _name_as_footage(cameras, sorted({name for videos in chosen.values() for name in videos}), calibration)
    names = {camera.name for camera in cameras}
    unused = sorted({str(path.name) for videos in chosen.values() for name, path in videos.items() if name not in names})
    notes = [f"footage of no calibrated camera was left out: {', '.join(unused)}"] if unused else []
    chosen = {sequence: {name: path for name, path in videos.items() if name in names} for sequence, videos in chosen.items()}
    plate_paths, note = _plates(plates, homes, cameras)
    return Source(calibration, cameras, chosen, plate_paths, _timestamps(timestamps, chosen, media), notes=(*notes, note))


def _default_calibration(homes: list[Path], root: Path) -> Path:
    for home in (*homes, root.parent):
        if (home / "cameras.json").is_file():
            return home / "cameras.json"
    raise InputError(
        "no calibration found",
        file=homes[0] / "cameras.json",
        expected="a cameras.json beside the videos or in the folder above, or the column 'calibration' in captures.tsv",
    )


def _footage(media: Path, cameras: set[str]) -> dict[str, dict[str, Path]]:
    flat = _videos(media) | {folder.name: folder for folder in _folders(media) if folder.name in cameras and images_in(folder)}
    if flat:
        return {FLAT: flat}
    found = {}
    for folder in _folders(media):
        views = _videos(folder) | {inner.name: inner for inner in _folders(folder) if images_in(inner)}
        if views and folder.name not in PLATE_FOLDERS:
            found[folder.name] = views
    return found


def _videos(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_video(path):
            if path.stem in found:
                raise InputError(f"two videos of one camera '{path.stem}'", file=path, found=found[path.stem].name, expected="one video per camera")
            found[path.stem] = path
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _name_as_footage(cameras: tuple[Camera, ...], stems: list[str], calibration: Path) -> tuple[Camera, ...]:
    """Cameras under their footage's names: the same name, or one that holds it as a word (int_cam01_img is cam01)."""
    named = []
    for camera in cameras:
        if camera.name not in stems:
            alike = [stem for stem in stems if _holds(camera.name, stem) or _holds(stem, camera.name)]
            if len(alike) > 1:
                raise InputError(
                    f"camera '{camera.name}' fits several videos",
                    file=calibration,
                    found=", ".join(alike),
                    expected="names of videos that are the cameras' names",
                )
            camera = replace(camera, name=alike[0]) if alike else camera
        if camera.name in [other.name for other in named]:
            raise InputError(f"two cameras fit the video '{camera.name}'", file=calibration, expected="names of videos that are the cameras' names")
        named.append(camera)
    return tuple(named)


def _holds(text: str, word: str) -> bool:
    text, word = (re.sub(r"[^A-Za-z0-9]+", "_", name) for name in (text, word))
    return f"_{word}_" in f"_{text}_"


def _plates(plates: str, homes: list[Path], cameras: tuple[Camera, ...]) -> tuple[dict[str, Path | None], str]:
    if plates == "none":
        return {camera.name: None for camera in cameras}, "plates: absent on purpose (`none` in captures.tsv)"
    folder = Path(plates) if plates else next((home / name for home in homes for name in PLATE_FOLDERS if (home / name).is_dir()), None)
    if folder is None:
        return {camera.name: None for camera in cameras}, f"plates: absent (captures.tsv names no folder and there is no '{PLATE_FOLDERS[0]}')"
    images = images_in(folder)
    found: dict[str, Path | None] = {}
    for camera in cameras:
        fitting = [p for p in images if p.stem == camera.name] or [
            p for p in images if re.match(rf"{re.escape(camera.name)}(?![A-Za-z0-9])", p.stem) and "plate" in p.stem.lower()
        ]
        if len(fitting) != 1:
            raise InputError(
                f"camera '{camera.name}' has {'no' if not fitting else 'more than one'} plate",
                file=folder,
                found=", ".join(p.name for p in fitting or images) or "no pictures",
                expected=f"{camera.name}.png or {camera.name}_plate.png",
                remedy="add it, or write `none` in the column 'plates' of captures.tsv",
            )
        found[camera.name] = fitting[0]
    return found, f"plates: one per camera in {folder.name}"


def _timestamps(given: Path | None, footage: dict[str, dict[str, Path]], media: Path) -> dict[str, Path]:
    if given is None:
        beside = {sequence: (media if sequence == FLAT and not (media / FLAT).is_dir() else media / sequence) / "timestamps.csv" for sequence in footage}
        return {sequence: path for sequence, path in beside.items() if path.is_file()}
    if len(footage) > 1 and "{sequence}" not in str(given):
        raise InputError(
            "one table of time stamps for several sequences",
            file=given,
            found=", ".join(footage),
            expected="{sequence} in the name, such as {sequence}/timestamps.csv",
        )
    paths = {sequence: Path(str(given).replace("{sequence}", sequence)) for sequence in footage}
    for path in paths.values():
        if not path.is_file():
            raise InputError("no such table of time stamps", file=path, remedy="correct the column 'timestamps' of captures.tsv")
    return paths
