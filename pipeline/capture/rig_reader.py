"""Reader of any calibrated rig: a folder of videos (or of image folders) and a calibration file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pipeline.capture.calibration import calibration_files, read_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.media import has_alpha, images_in, is_video
from pipeline.capture.rig_files import FLAT, MATTE_FOLDERS, PLATE_FOLDERS, find_calibration, find_mattes_folder, find_plates, find_timestamps
from pipeline.capture.source import Footage, Source, pick_sequences
from pipeline.io.errors import InputError


def read_rig(
    root: Path,
    *,
    calibration: Path | None = None,
    plates: str = "",
    mattes: str = "",
    timestamps: Path | None = None,
    sequences: tuple[str, ...] = (),
    convention: str = "",
    units: str = "",
) -> Source:
    """Find calibration, footage, plates, mattes and time stamps of a rig.

    Args:
        root: this folder or its subfolder `videos` contains <camera>.mp4, <camera>/*.png, <sequence>/<camera>.mp4 or
            <sequence>/<camera>/*.png.
        calibration: default: searched in that folder or the one above, see `rig_files.find_calibration`.
        plates: folder of plates: images with the name of the camera, or starting with it and containing "plate";
            "none"; or empty for a folder `background` or `plates` beside the videos, if it exists.
        mattes: folder of mattes, laid out as the footage; "none"; or empty for a folder `masks` or `mattes` beside the
            videos and for the alpha of RGBA images, where there are such.
        timestamps: a csv, may contain {sequence}; default: `timestamps.csv` beside the videos, if it exists.
        sequences: names of the sequences to use; empty for all.
        convention, units: of the calibration, see `read_calibration`.

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
    looked: tuple[Path, ...] = ()
    notes: list[str] = []
    if calibration is None:
        calibration, looked, note = find_calibration(list(dict.fromkeys((*homes, root.parent))))
        notes += [note] if note else []
    cameras = read_calibration(calibration, convention=convention, units=units)
    cameras, footage, note = _matched(cameras, _footage(media, {camera.name for camera in cameras}), sequences, calibration, media)
    notes += [note] if note else []
    filmed = {name for videos in footage.values() for name in videos}  # that a camera has no video is said first
    plate_paths, plates_looked, note = find_plates(plates, homes, [camera.name for camera in cameras if camera.name in filmed])
    matte_paths, mattes_looked, matte_note = _mattes(mattes, homes, footage)
    times, times_looked = find_timestamps(timestamps, footage, media)
    return Source(
        calibration,
        cameras,
        footage,
        dict.fromkeys(camera.name for camera in cameras) | plate_paths,
        times,
        mattes=matte_paths,
        read=(*calibration_files(calibration), *times.values()),
        looked=(*looked, *plates_looked, *mattes_looked, *times_looked),
        growing=() if sequences or FLAT in footage else ((media, "*"),),
        notes=(*notes, note, matte_note),
    )


def _matched(
    cameras: tuple[Camera, ...], found: Footage, sequences: tuple[str, ...], calibration: Path, media: Path
) -> tuple[tuple[Camera, ...], Footage, str]:
    """The cameras under the names of their footage, the footage of calibrated cameras, and a note on what is left out."""
    footage = pick_sequences(found, sequences, media)
    cameras = _name_as_footage(cameras, sorted({name for videos in footage.values() for name in videos}), calibration)
    names = {camera.name for camera in cameras}
    unused = sorted({path.name for videos in footage.values() for name, path in videos.items() if name not in names})
    note = f"footage without a calibrated camera was left out: {', '.join(unused)}" if unused else ""
    return cameras, {sequence: {name: path for name, path in videos.items() if name in names} for sequence, videos in footage.items()}, note


def _mattes(cell: str, homes: list[Path], footage: dict[str, dict[str, Path]]) -> tuple[Footage, tuple[Path, ...], str]:
    """({sequence: {camera: video or image folder}}, what would be used, note). Raises InputError where a camera lacks its mattes."""
    folder, looked = find_mattes_folder(cell, homes)
    if folder is None:
        own = {} if cell == "none" else {sequence: {name: path for name, path in videos.items() if has_alpha(path)} for sequence, videos in footage.items()}
        cameras = {name for paths in own.values() for name in paths}
        return own, looked, f"mattes: the alpha of the images of {len(cameras)} cameras" if cameras else "mattes: none given"
    found = _footage(folder, {name for videos in footage.values() for name in videos})
    for sequence, videos in footage.items():
        for name in sorted(set(videos) - set(found.get(sequence, {}))):
            raise InputError(
                f"camera '{name}' has no mattes in sequence '{sequence}'",
                file=folder,
                found=", ".join(sorted(found.get(sequence, found))) or "no videos and no folders of images",
                expected="a video or a folder of images for every camera, laid out as the footage",
                remedy="add it, or write `none` in the column 'mattes' of captures.tsv",
            )
    return {s: {name: found[s][name] for name in videos} for s, videos in footage.items()}, looked, f"mattes: one per camera in {folder.name}"


def _footage(media: Path, cameras: set[str]) -> dict[str, dict[str, Path]]:
    """{sequence: {camera: video or image folder}} of a folder with or without one subfolder per sequence."""
    folders = {folder.name: folder for folder in _folders(media)}
    flat = _videos(media) | {name: path for name, path in folders.items() if name in cameras and images_in(path)}
    if flat:
        return {FLAT: flat}
    footage = {}
    for name, folder in folders.items():
        views = _videos(folder) | {inner.name: inner for inner in _folders(folder) if images_in(inner)}
        if views and name not in (*PLATE_FOLDERS, *MATTE_FOLDERS):
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
