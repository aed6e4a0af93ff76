"""Reader of any calibrated rig: a folder of videos (or of image folders) and a calibration file."""

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


def read_rig(
    root: Path,
    *,
    calibration: Path | None = None,
    plates: str = "",
    timestamps: Path | None = None,
    sequences: tuple[str, ...] = (),
) -> Source:
    """Find calibration, footage, plates and time stamps of a rig.

    Args:
        root: this folder or its subfolder `videos` contains <camera>.mp4, <camera>/*.png, <sequence>/<camera>.mp4 or
            <sequence>/<camera>/*.png.
        calibration: default: `cameras.json` in that folder or the one above.
        plates: folder of plates: images with the name of the camera, or starting with it and containing "plate";
            "none"; or empty for a folder `background` or `plates` beside the videos, if it exists.
        timestamps: a csv, may contain {sequence}; default: `timestamps.csv` beside the videos, if it exists.
        sequences: names of the sequences to use; empty for all.

    Raises InputError if something is missing or ambiguous.
    """
    if not root.is_dir():
        raise InputError(
            "no such folder",
            file=root,
            expected="a folder with one video (or image folder) per camera",
            remedy="correct the column 'path' of captures.tsv",
        )
    media = root / "videos" if (root / "videos").is_dir() else root
    homes = [media, media.parent] if root != media or media.name == "videos" else [media]
    calibration = calibration or _default_calibration(homes, root)
    cameras = read_calibration(calibration)
    footage = pick_sequences(_footage(media, {camera.name for camera in cameras}), sequences, media)
    cameras = _name_as_footage(cameras, sorted({name for videos in footage.values() for name in videos}), calibration)
    names = {camera.name for camera in cameras}
    unused = sorted({path.name for videos in footage.values() for name, path in videos.items() if name not in names})
    notes = [f"footage without a calibrated camera was left out: {', '.join(unused)}"] if unused else []
    for sequence, videos in footage.items():
        footage[sequence] = {name: path for name, path in videos.items() if name in names}
    plate_paths, note = _plates(plates, homes, cameras)
    times = _timestamps(timestamps, footage, media)
    return Source(calibration, cameras, footage, plate_paths, times, notes=(*notes, note))


def _default_calibration(homes: list[Path], root: Path) -> Path:
    for home in (*homes, root.parent):
        if (home / "cameras.json").is_file():
            return home / "cameras.json"
    raise InputError(
        "no calibration found",
        file=homes[0] / "cameras.json",
        expected="a cameras.json beside the videos or in the folder above",
        remedy="add one, or fill the column 'calibration' of captures.tsv",
    )


def _footage(media: Path, cameras: set[str]) -> dict[str, dict[str, Path]]:
    """{sequence: {camera: video or image folder}} of a folder with or without one subfolder per sequence."""
    folders = {folder.name: folder for folder in _folders(media)}
    flat = _videos(media) | {name: path for name, path in folders.items() if name in cameras and images_in(path)}
    if flat:
        return {FLAT: flat}
    footage = {}
    for name, folder in folders.items():
        views = _videos(folder) | {inner.name: inner for inner in _folders(folder) if images_in(inner)}
        if views and name not in PLATE_FOLDERS:
            footage[name] = views
    return footage


def _videos(folder: Path) -> dict[str, Path]:
    videos: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_video(path):
            if path.stem in videos:
                raise InputError(
                    f"camera '{path.stem}' has two videos",
                    file=path,
                    found=f"{path.name} and {videos[path.stem].name}",
                    expected="one video per camera",
                )
            videos[path.stem] = path
    return videos


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _name_as_footage(cameras: tuple[Camera, ...], stems: list[str], calibration: Path) -> tuple[Camera, ...]:
    """The cameras under the names of their footage: equal, or one contains the other as a word (int_cam01_img,
    cam01)."""
    named: list[Camera] = []
    for camera in cameras:
        if camera.name not in stems:
            matches = [stem for stem in stems if _contains(camera.name, stem) or _contains(stem, camera.name)]
            if len(matches) > 1:
                raise InputError(
                    f"camera '{camera.name}' matches several videos",
                    file=calibration,
                    found=", ".join(matches),
                    expected="videos named exactly like the cameras",
                )
            camera = replace(camera, name=matches[0]) if matches else camera
        if camera.name in [other.name for other in named]:
            expected = "videos named exactly like the cameras"
            raise InputError(f"two cameras match the video '{camera.name}'", file=calibration, expected=expected)
        named.append(camera)
    return tuple(named)


def _contains(text: str, word: str) -> bool:
    """Whether `text` contains `word` between non-alphanumeric characters."""
    text, word = (re.sub(r"[^A-Za-z0-9]+", "_", name) for name in (text, word))
    return f"_{word}_" in f"_{text}_"


def _plates(plates: str, homes: list[Path], cameras: tuple[Camera, ...]) -> tuple[dict[str, Path | None], str]:
    """({camera: plate or None}, note). homes: folders in which a folder of plates is searched if `plates` is empty."""
    none: dict[str, Path | None] = {camera.name: None for camera in cameras}
    if plates == "none":
        return none, "plates: absent (`none` in captures.tsv)"
    folders = (home / name for home in homes for name in PLATE_FOLDERS)
    folder = Path(plates) if plates else next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        return none, f"plates: absent (captures.tsv names no folder and there is no '{PLATE_FOLDERS[0]}')"
    images = images_in(folder)
    plate_paths: dict[str, Path | None] = {}
    for camera in cameras:
        word = re.compile(rf"{re.escape(camera.name)}(?![A-Za-z0-9])")
        exact = [path for path in images if path.stem == camera.name]
        matches = exact or [path for path in images if word.match(path.stem) and "plate" in path.stem.lower()]
        if len(matches) != 1:
            raise InputError(
                f"camera '{camera.name}' has {'no' if not matches else 'more than one'} plate",
                file=folder,
                found=", ".join(path.name for path in matches or images) or "no images",
                expected=f"{camera.name}.png or {camera.name}_plate.png",
                remedy="add it, or write `none` in the column 'plates' of captures.tsv",
            )
        plate_paths[camera.name] = matches[0]
    return plate_paths, f"plates: one per camera in {folder.name}"


def _timestamps(table: Path | None, footage: dict[str, dict[str, Path]], media: Path) -> dict[str, Path]:
    """{sequence: csv of time stamps}. table: the user's path, or None for `timestamps.csv` beside the videos."""
    if table is None:
        flat = not (media / FLAT).is_dir()
        folders = {sequence: media if sequence == FLAT and flat else media / sequence for sequence in footage}
        paths = {sequence: folder / "timestamps.csv" for sequence, folder in folders.items()}
        return {sequence: path for sequence, path in paths.items() if path.is_file()}
    if len(footage) > 1 and "{sequence}" not in str(table):
        raise InputError(
            "one table of time stamps for several sequences",
            file=table,
            found=", ".join(footage),
            expected="{sequence} in the path, such as {sequence}/timestamps.csv",
            remedy="correct the column 'timestamps' of captures.tsv",
        )
    paths = {sequence: Path(str(table).replace("{sequence}", sequence)) for sequence in footage}
    for path in paths.values():
        if not path.is_file():
            raise InputError(
                "no such table of time stamps",
                file=path,
                expected="a csv file",
                remedy="correct the column 'timestamps' of captures.tsv",
            )
    return paths
