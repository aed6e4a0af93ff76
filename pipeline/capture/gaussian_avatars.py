"""Reader of captures that VHAP tracked and exported for GaussianAvatars: one sequence, or a UNION of several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_camera
from pipeline.capture.forms.transforms import camera_of_entry, split_files
from pipeline.capture.source import HeldOut, Source, Tracking
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json
from pipeline.io.validation import is_name

RATE = 25.0  # images per second: what VHAP resamples to
SAME_PX, SAME_M, SAME_ROTATION = 0.01, 1e-4, 1e-4  # differences of a camera between images that are rounding
_IMAGE = re.compile(r"([0-9]{1,9})_([0-9]{1,9})")  # time step, camera
_SEQUENCE = re.compile(r"[0-9]+_(.+?)_v[0-9]+_.*")  # participant, sequence, number of views, ...


@dataclass(frozen=True, eq=False)
class _Image:
    """One image of the files. folder: of its sequence. step, number: of its name."""

    split: str
    folder: Path
    step: int
    number: str
    ending: str
    camera: Camera
    matte: bool


def read_gaussian_avatars(root: Path, sequences: tuple[str, ...] = ()) -> Source:
    """The images, mattes, cameras, splits and tracked FLAME parameters of an export.

    The world of an export is moved so that the mean head is at the origin, by another vector in every sequence: all sequences are brought into the world of the
    first by their cameras, which do not move. The stored `cy` counts from the lower edge of the image.

    Args:
        root: folder of transforms_train.json and its like. sequences: names of those to use; empty for all.

    Raises:
        InputError: a file is missing, a camera moves, or images are missing.
    """
    by_split = split_files(root)
    files = list(by_split.values())
    images = [image for split, file in by_split.items() for image in _images(file, split, root)]
    names = _names({image.folder for image in images})
    for name in sequences:
        if name not in names.values():
            raise InputError(f"no sequence '{name}'", file=root, found=", ".join(names.values()), expected="the sequences that captures.tsv names")
    folders = {name: folder for folder, name in names.items() if not sequences or name in sequences}
    images = [image for image in images if image.folder in folders.values()]
    cameras, shifts = _one_world(images, folders, files[0])
    steps = {name: sorted({image.step for image in images if image.folder == folder}) for name, folder in folders.items()}
    for name, folder in folders.items():
        _check_images([image for image in images if image.folder == folder], steps[name], files)
    numbers = {image.camera.name: (image.number, image.ending) for image in images}
    mattes = all(image.matte for image in images)
    return Source(
        calibration=files[0],
        cameras=cameras,
        footage={s: {c.name: folder / "images" / "*_{}{}".format(*numbers[c.name]) for c in cameras} for s, folder in folders.items()},
        mattes={s: {c.name: folder / "fg_masks" / f"*_{numbers[c.name][0]}.png" for c in cameras} for s, folder in folders.items()} if mattes else {},
        plates={camera.name: None for camera in cameras},
        read=tuple(files),
        looked=tuple(folder / "flame_param" for folder in folders.values()),
        held_out=_held_out(images, folders, steps, files),
        tracking={name: Tracking(_parameters(folder, steps[name]), tuple(shifts[name].tolist())) for name, folder in folders.items()},
        rate=RATE,
        notes=(f"sequences: {', '.join(folders)}; splits of {', '.join(file.name for file in files)}", "mattes: fg_masks" if mattes else "mattes: none"),
    )


def _images(file: Path, split: str, root: Path) -> Iterator[_Image]:
    """The images of one transforms file. Raises InputError naming the entry that is not as expected."""
    record = read_json(file, remedy="correct the column 'path' of captures.tsv: the folder of transforms_train.json")
    try:
        common = {name: value for name, value in record.items() if name != "frames"}
        entries = list(record["frames"])
    except MALFORMED as error:
        raise InputError("is not a transforms file", file=file, found=repr(error), expected='{"frames": [...]}') from None
    for number, entry in enumerate(entries):
        try:
            yield _image({**common, **entry}, split, root)
        except MALFORMED as error:
            expected = "file_path images/<step>_<camera>.png, transform_matrix, w, h, and fl_x or camera_angle_x"
            raise InputError(f"entry {number} of 'frames' is incomplete", file=file, found=repr(error), expected=expected) from None


def _image(entry: Mapping[str, Any], split: str, root: Path) -> _Image:
    path = (root / str(entry["file_path"])).resolve()
    path = path if path.suffix else path.with_suffix(".png")
    match = _IMAGE.fullmatch(path.stem)
    if not match or path.parent.name != "images" or not path.is_relative_to(root.resolve().parent):
        raise ValueError(f"file_path {entry['file_path']!r}")
    serial = entry.get("camera_id")
    name = serial if isinstance(serial, str) and is_name(serial) else match[2]
    camera = check_camera(camera_of_entry(entry, name, cy_from_below=True), path)
    folder = path.parents[1]
    return _Image(split, folder, int(match[1]), match[2], path.suffix, camera, "fg_mask_path" in entry and (folder / "fg_masks" / f"{path.stem}.png").is_file())


def _names(folders: set[Path]) -> dict[Path, str]:
    """A name for each sequence's folder: that of the sequence where folders are named as VHAP does and it is unique, else the folder's."""
    short = {folder: match[1] if (match := _SEQUENCE.fullmatch(folder.name)) else folder.name for folder in sorted(folders)}
    unique = len(set(short.values())) == len(short) and all(map(is_name, short.values()))
    return short if unique else {folder: folder.name for folder in short}


def _one_world(images: list[_Image], folders: Mapping[str, Path], file: Path) -> tuple[tuple[Camera, ...], dict[str, np.ndarray]]:
    """The cameras in the world of the first sequence, and what has to be subtracted from the positions of each sequence, [3] metres."""
    by_sequence: dict[str, dict[str, Camera]] = {}
    for name, folder in folders.items():
        known = by_sequence.setdefault(name, {})
        for image in images:
            if image.folder == folder:
                _check_same(known.setdefault(image.camera.name, image.camera), image.camera, np.zeros(3), file)
    first = next(iter(by_sequence.values()))
    shifts = {}
    for name, known in by_sequence.items():
        if set(known) != set(first):
            raise InputError(
                f"sequence '{name}' has other cameras",
                file=file,
                found=", ".join(sorted(known)),
                expected=", ".join(sorted(first)),
                remedy="use the column 'sequences'",
            )
        shifts[name] = np.mean([camera.centre - first[key].centre for key, camera in known.items()], axis=0)
        for key, camera in known.items():
            _check_same(first[key], camera, shifts[name], file)
    return tuple(first[name] for name in sorted(first)), shifts


def _check_same(camera: Camera, other: Camera, shift: np.ndarray, file: Path) -> None:
    """Raise InputError unless a camera is the same in another image, but for a shift of the world."""
    pixels, rotation = np.abs(camera.K - other.K).max(), np.abs(camera.R - other.R).max()
    moved = float(np.linalg.norm(other.centre - shift - camera.centre))
    if pixels > SAME_PX or rotation > SAME_ROTATION or moved > SAME_M or (camera.width, camera.height) != (other.width, other.height):
        found = f"moved by {moved:.3g} m, turned by {rotation:.3g}, K changed by {pixels:.3g} px"
        raise InputError(f"camera '{camera.name}' is not the same in all images", file=file, found=found, expected="cameras that do not move or zoom")


def _check_images(images: list[_Image], steps: list[int], files: list[Path]) -> None:
    """Raise InputError unless for every camera of a sequence the images of these time steps are listed, and no others are there."""
    listed: dict[tuple[str, str], set[int]] = {}
    for image in images:
        listed.setdefault((image.number, image.ending), set()).add(image.step)
    folder = images[0].folder
    for (number, ending), known in listed.items():
        present = sorted(int(path.stem.partition("_")[0]) for path in folder.glob(f"images/*_{number}{ending}"))
        if present != steps or known != set(steps):
            odd = sorted((set(present) ^ known) | (set(steps) ^ known))[:3]
            raise InputError(
                f"camera {number} has other time steps than {' and '.join(file.name for file in files)} list",
                file=folder / "images",
                found=f"{len(present)} images; different: {', '.join(map(str, odd))}",
                expected=f"{len(steps)} images",
                remedy="copy the folder again, or remove the images that are not listed",
            )


def _held_out(images: list[_Image], folders: Mapping[str, Path], steps: Mapping[str, list[int]], files: list[Path]) -> HeldOut:
    """Cameras that no training image has, and the time steps of the test images."""
    trained = {image.camera.name for image in images if image.split == "train"}
    val = sorted({image.camera.name for image in images if image.split == "val"} - trained)
    used = {(image.folder, image.step) for image in images if image.split in ("train", "val")}
    tested = {(image.folder, image.step) for image in images if image.split == "test"} - used
    frames = {name: tuple(i for i, step in enumerate(steps[name]) if (folder, step) in tested) for name, folder in folders.items()}
    return HeldOut(tuple(val), f"as {', '.join(file.name for file in files)} say", frames)


def _parameters(folder: Path, steps: list[int]) -> tuple[Path, ...]:
    """flame_param of each time step. Raises InputError for the first that is missing."""
    paths = tuple(folder / "flame_param" / f"{step:05d}.npz" for step in steps)
    missing = next((path for path in paths if not path.is_file()), None)
    if missing:
        raise InputError("no tracked parameters of this time step", file=missing, expected=f"{len(steps)} files", remedy="export the sequence again")
    return paths
