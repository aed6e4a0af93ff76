"""Readers of photographed scenes, COLMAP's and Blender's: every image is a camera of its own, all of one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_cameras
from pipeline.capture.forms.colmap import Model, colmap_cameras, find_model
from pipeline.capture.forms.transforms import SPLITS, split_files, transforms_cameras
from pipeline.capture.media import IMAGE_ENDINGS, has_alpha, image_size
from pipeline.capture.rig_files import FLAT, find_mattes_folder
from pipeline.capture.source import HeldOut, Source
from pipeline.io.errors import InputError

MOST_IMAGES = 10_000
EVERY = 8  # of the images sorted by name, the first and then every EVERY-th is held out, as 3DGS does
_MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")


def read_colmap(root: Path, *, mattes: str = "", model: Path | None = None) -> Source:
    """A COLMAP project: images/ and sparse/0/ (text or binary).

    Args:
        mattes: folder of masks, named as the images (or with .png behind, as COLMAP has them); "none"; or empty for a folder `masks` beside the images and for
            the alpha of RGBA images, where there are such.
        model: folder of the sparse model, where it is none of the usual ones.

    Raises InputError if something is missing.
    """
    sparse = _model(root, model)
    cameras, images = colmap_cameras(sparse)
    folder = root / "images" if (root / "images").is_dir() else root
    paths = [folder / image for image in images]
    masks, looked, note = _mattes(mattes, [root], cameras, images, paths)
    every = tuple(camera.name for camera in cameras[::EVERY])
    held_out = HeldOut(every if len(cameras) > EVERY else (), f"every {EVERY}th image, sorted by name")
    notes = (note, "points: none" if sparse.points is None else f"points: {sparse.points.name}")
    return _source(sparse.images, cameras, paths, masks, held_out, sparse.files, looked, notes, sparse.points)


def read_blender(root: Path, *, mattes: str = "", splits: tuple[str, ...] = ()) -> Source:
    """A scene with transforms_train.json, and transforms_val.json and transforms_test.json where there are such; or with one transforms.json.

    Images without an ending are PNGs. Those of val and test are held out; of one transforms.json every 8th image, sorted by name.

    Args:
        mattes: as `read_colmap`. splits: of train, val, test, those to read; empty for all.

    Raises InputError if something is missing.
    """
    files = split_files(root, [split for split in SPLITS if not splits or split in splits])
    if "train" not in files or not files["train"].is_file():
        raise InputError(
            "no transforms of training images",
            file=root,
            expected="transforms_train.json or transforms.json",
            remedy="correct the column 'path' or 'sequences'",
        )
    cameras: list[Camera] = []
    paths: list[Path] = []
    images: list[str] = []
    held_out: list[str] = []
    for split, path in files.items():
        own, names = transforms_cameras(path, partial(_size, path))
        taken = {camera.name for camera in cameras}
        own = [replace(camera, name=f"{split}_{camera.name}") if taken & {c.name for c in own} else camera for camera in own]
        cameras += own
        images += names
        paths += [_image(path, name) for name in names]
        held_out += [camera.name for camera in own] if split != "train" else []
    why = "the images of " + ", ".join(path.name for split, path in files.items() if split != "train")
    if len(files) == 1:
        ordered = sorted(zip(images, cameras), key=lambda pair: pair[0])
        held_out, why = [camera.name for _, camera in ordered[::EVERY] if len(ordered) > EVERY], f"every {EVERY}th image, sorted by name"
    masks, looked, note = _mattes(mattes, [root], cameras, images, paths)
    return _source(files["train"], cameras, paths, masks, HeldOut(tuple(held_out), why), tuple(files.values()), looked, (note,), None)


def _source(
    calibration: Path, cameras: Sequence[Camera], paths: Sequence[Path], mattes: dict[str, Path], held_out: HeldOut,
    read: tuple[Path, ...], looked: tuple[Path, ...], notes: tuple[str, ...], points: Path | None,
) -> Source:  # fmt: skip
    checked = check_cameras(list(cameras), calibration, MOST_IMAGES)
    footage = {camera.name: path for camera, path in zip(cameras, paths)}
    plates: dict[str, Path | None] = dict.fromkeys(footage)
    return Source(
        calibration, checked, {FLAT: footage}, plates, mattes={FLAT: mattes} if mattes else {}, read=read, looked=looked, notes=notes,
        held_out=held_out, points=points, whole=True,
    )  # fmt: skip


def _model(root: Path, folder: Path | None) -> Model:
    folders = [folder] if folder else [root / name for name in _MODEL_FOLDERS]
    for place in folders:
        if model := find_model(place):
            return model
    expected = "cameras and images as .bin or .txt in " + ", ".join(str(place) for place in folders)
    raise InputError(
        "no sparse model of COLMAP", file=root, expected=expected, remedy="correct the column 'path' of captures.tsv, or name the folder in 'calibration'"
    )


def _image(transforms: Path, name: str) -> Path:
    """The image of a frame: `file_path` is relative to the file, and may lack the ending."""
    path = transforms.parent / name
    return path if path.suffix.lower() in IMAGE_ENDINGS else path.with_name(path.name + ".png")


def _size(transforms: Path, name: str) -> tuple[int, int]:
    return image_size(_image(transforms, name))


def _mattes(
    cell: str, homes: list[Path], cameras: Sequence[Camera], images: Sequence[str], paths: Sequence[Path]
) -> tuple[dict[str, Path], tuple[Path, ...], str]:
    """(matte of each camera, what would be used, note)."""
    folder, looked = find_mattes_folder(cell, homes)
    names = [camera.name for camera in cameras]
    if folder is None:
        own = {} if cell == "none" else {name: path for name, path in zip(names, paths) if path.is_file() and has_alpha(path)}
        return own, looked, f"mattes: the alpha of {len(own)} images" if own else "mattes: none, whole images are used"
    masks = {}
    for name, image in zip(names, images):
        candidates = [folder / f"{image}.png", folder / image, (folder / image).with_suffix(".png"), folder / f"{name}.png"]
        masks[name] = next((path for path in candidates if path.is_file()), candidates[0])
        if not masks[name].is_file():
            expected = " or ".join(path.name for path in candidates[:3])
            raise InputError(
                f"image '{image}' has no matte", file=folder, expected=expected, remedy="add it, or write `none` in the column 'mattes' of captures.tsv"
            )
    return masks, looked, f"mattes: one per image in {folder.name}"
