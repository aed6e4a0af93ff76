"""What is found beside the videos of a rig, without being named: calibration, plates, mattes, time stamps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.capture.calibration import ENDINGS
from pipeline.capture.media import images_in, is_video
from pipeline.io.errors import InputError

FLAT = "take"  # the name of the one sequence of a folder without sequence folders
PLATE_FOLDERS = ("background", "plates")
MATTE_FOLDERS = ("masks", "mattes")
_FIRST_CHOICES = ("cameras.json", "intri.yml", "intri.yaml", "intri.xml", "Calib.toml", "camera_array.toml")
_CALIBRATION = re.compile(r"calib|camera|^intri", re.IGNORECASE)  # in the name of a calibration file
_CALIBRATION_FOLDERS = ("calibration", "calib")
Looked = tuple[Path, ...]  # what would be used if it were there


def find_calibration(homes: list[Path]) -> tuple[Path, Looked, str]:
    """(calibration, what would come before it, note on others that are not used).

    In each folder: cameras.json, intri.yml with extri.yml, other files named after a calibration or cameras, a folder `calibration`, one yml per video.

    Raises InputError that lists what is there.
    """
    for number, home in enumerate(homes):
        found = _calibrations(home)
        if found:
            names = [path.name for path in found]
            first = _FIRST_CHOICES[: _FIRST_CHOICES.index(names[0])] if names[0] in _FIRST_CHOICES else _FIRST_CHOICES
            looked = [folder / name for folder in homes[:number] for name in _FIRST_CHOICES] + [home / name for name in first]
            note = f"calibration: {names[0]}; not used: {', '.join(names[1:])}" if names[1:] else ""
            return found[0], tuple(looked), note
    seen = [str(path.relative_to(homes[-1])) for home in homes for path in _files(home) if path.suffix.lower() in (*ENDINGS, ".txt", ".csv", ".npz")]
    raise InputError(
        "no calibration found",
        file=homes[0],
        found=", ".join(dict.fromkeys(seen)) or "no file that could be one",
        expected="cameras.json, intri.yml with extri.yml, or a toml, yml or xml named calib... or camera..., beside the videos or in the folder above",
        remedy="add one, or fill the column 'calibration' of captures.tsv",
    )


def _calibrations(home: Path) -> list[Path]:
    """The calibrations of a folder, the preferred one first."""
    files = [path for path in _files(home) if path.suffix.lower() in (*ENDINGS, ".calibration")]
    preferred = [home / name for name in _FIRST_CHOICES if home / name in files]
    named = [path for path in files if _CALIBRATION.search(path.stem) and path not in preferred]
    folders = [home / name for name in _CALIBRATION_FOLDERS if (home / name).is_dir()]
    inside = [calibration for folder in folders for calibration in _calibrations(folder) or _one_per_camera(folder)]
    videos = {path.stem for path in _files(home) if is_video(path)}
    single = {path.stem for path in files if path.suffix.lower() in ENDINGS[2:]}
    return [*preferred, *named, *inside, *([home] if videos and videos <= single else [])]


def _one_per_camera(folder: Path) -> list[Path]:
    return [folder] if any(path.suffix.lower() in ENDINGS[2:] for path in _files(folder)) else []


def _files(folder: Path) -> list[Path]:
    if not os.access(folder, os.R_OK | os.X_OK):  # the one above may belong to somebody else
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def find_plates(plates: str, homes: list[Path], cameras: Sequence[str]) -> tuple[dict[str, Path | None], Looked, str]:
    """({camera: plate or None}, what would be used, note). plates: the cell of captures.tsv; homes: where a folder of plates is searched if it is empty."""
    none: dict[str, Path | None] = dict.fromkeys(cameras)
    if plates == "none":
        return none, (), "plates: absent (`none` in captures.tsv)"
    folder, looked = (Path(plates), ()) if plates else _first_folder(homes, PLATE_FOLDERS)
    if folder is None:
        return none, looked, f"plates: absent (captures.tsv names no folder and there is no '{PLATE_FOLDERS[0]}')"
    images = images_in(folder)
    plate_paths: dict[str, Path | None] = {}
    for camera in cameras:
        word = re.compile(rf"{re.escape(camera)}(?![A-Za-z0-9])")
        exact = [path for path in images if path.stem == camera]
        matches = exact or [path for path in images if word.match(path.stem) and "plate" in path.stem.lower()]
        if len(matches) != 1:
            raise InputError(
                f"camera '{camera}' has {'no' if not matches else 'more than one'} plate",
                file=folder,
                found=", ".join(path.name for path in matches or images) or "no images",
                expected=f"{camera}.png or {camera}_plate.png",
                remedy="add it, or write `none` in the column 'plates' of captures.tsv",
            )
        plate_paths[camera] = matches[0]
    return plate_paths, looked, f"plates: one per camera in {folder.name}"


def find_mattes_folder(mattes: str, homes: list[Path]) -> tuple[Path | None, Looked]:
    """(the folder of the user's mattes, what would be used). mattes: the cell of captures.tsv. Raises InputError where the folder that it names is not there."""
    if mattes == "none":
        return None, ()
    if not mattes:
        return _first_folder(homes, MATTE_FOLDERS)
    if not Path(mattes).is_dir():
        remedy = "correct the column 'mattes' of captures.tsv"
        raise InputError("no such folder", file=mattes, expected="a folder with a video or a folder of images per camera", remedy=remedy)
    return Path(mattes), ()


def find_timestamps(table: Path | None, footage: Iterable[str], media: Path) -> tuple[dict[str, Path], Looked]:
    """({sequence: csv of time stamps}, what would be used). table: the user's path, or None for `timestamps.csv` beside the videos."""
    if table is None:
        flat = not (media / FLAT).is_dir()
        paths = {sequence: (media if sequence == FLAT and flat else media / sequence) / "timestamps.csv" for sequence in footage}
        found = {sequence: path for sequence, path in paths.items() if path.is_file()}
        return found, tuple(path for sequence, path in paths.items() if sequence not in found)
    names = list(footage)
    if len(names) > 1 and "{sequence}" not in str(table):
        raise InputError(
            "one table of time stamps for several sequences",
            file=table,
            found=", ".join(names),
            expected="{sequence} in the path, such as {sequence}/timestamps.csv",
            remedy="correct the column 'timestamps' of captures.tsv",
        )
    paths = {sequence: Path(str(table).replace("{sequence}", sequence)) for sequence in names}
    for path in paths.values():
        if not path.is_file():
            raise InputError(
                "no such table of time stamps",
                file=path,
                expected="a csv file",
                remedy="correct the column 'timestamps' of captures.tsv",
            )
    return paths, ()


def _first_folder(homes: list[Path], names: tuple[str, ...]) -> tuple[Path | None, Looked]:
    """(the first of the folders that exists, those before it)."""
    folders = [home / name for home in homes for name in names]
    number = next((number for number, folder in enumerate(folders) if folder.is_dir()), len(folders))
    return (folders[number] if number < len(folders) else None), tuple(folders[:number])
