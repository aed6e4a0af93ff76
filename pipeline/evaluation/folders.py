"""Comparison of two folders of images, of any origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.evaluation.metrics import WINDOW, channel_psnr, l1, psnr, ssim
from pipeline.io.errors import InputError
from pipeline.io.packed import decode_png, over_background, read_image
from pipeline.io.progress import progress
from pipeline.io.words import listed

if TYPE_CHECKING:
    from pipeline.evaluation.lpips import Lpips

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MOST_NAMED = 4
DEFINITIONS = {
    "psnr": "dB, -10 log10 of the mean squared error over pixels and channels together; at most 100",
    "psnr_channels": "dB, the mean of the three channels' own; never below psnr",
    "ssim": "Gaussian window of 11 pixels, sigma 1.5, whole windows only, mean over channels",
    "l1": "mean absolute difference, colours 0 to 1",
    "lpips": "LPIPS v0.1, images scaled to -1..1, by network",
    "image": "8 bits, whole images; those with alpha over white",
}


def compare_folders(first: Path, second: Path, common: bool = False, perceptual: Sequence[Lpips] = (), threads: int = 2) -> dict[str, Any]:
    """Metrics of every pair of images that have the same name, without its ending, in the same subfolder.

    Args:
        common: leave out images that only one of the folders has; otherwise these are an error.

    Returns:
        mean: of every metric, with the number of images; images: {name: metrics}; definitions.

    Raises:
        InputError: a folder has no images, an image is in one folder alone, or the sizes of a pair differ.
    """
    files = [images_of(folder) for folder in (first, second)]
    names = sorted(files[0].keys() & files[1].keys())
    for own, other, folder in ((files[0], files[1], second), (files[1], files[0], first)):
        lacking = sorted(own.keys() - other.keys())
        if lacking and not (common and names):
            raise _lacks(folder, lacking, bool(names))
    with ThreadPoolExecutor(threads) as pool:
        pairs = pool.map(lambda name: compare_files(files[0][name], files[1][name], perceptual), names)
        images = dict(zip(names, progress(pairs, "images", len(names))))
    keys = list(next(iter(images.values())))
    mean = {key: round(float(np.mean([row[key] for row in images.values()])), 5) for key in keys}
    return {"first": str(first), "second": str(second), "mean": {**mean, "images": len(images)}, "images": images, "definitions": DEFINITIONS}


def _lacks(folder: Path, lacking: Sequence[str], some: bool) -> InputError:
    remedy = "--common compares the images that both folders have" if some else "name two folders with the same images"
    found = "no " + listed(lacking, MOST_NAMED)
    return InputError(f"lacks {len(lacking)} images of the other folder", file=folder, found=found, expected="pairs of images", remedy=remedy)


def images_of(folder: Path) -> Mapping[str, Path]:
    """The images in a folder and below, by their relative path without the ending. Raises InputError where there are none, or two of one name."""
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, expected="a folder of images", remedy="correct its name")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in ENDINGS and path.is_file():
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise InputError(f"two images are named '{name}'", file=folder, found=f"{found[name].name}, {path.name}", expected="one of each name")
            found[name] = path
    if not found:
        raise InputError("contains no images", file=folder, expected="files " + ", ".join(ENDINGS))
    return found


def compare_files(first: Path, second: Path, perceptual: Sequence[Lpips] = ()) -> dict[str, float]:
    """All metrics of one pair. Raises InputError where the sizes differ or are too small."""
    a, b = (_colors(path) for path in (first, second))
    if a.shape != b.shape:
        sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (a, b))
        raise InputError(f"has another size than {first}", file=second, found=sizes, expected="images of one size", remedy="render with --size, or resize one")
    if min(a.shape[:2]) < WINDOW:
        raise InputError("is too small to compare", file=first, found=f"{a.shape[1]}x{a.shape[0]}", expected=f"at least {WINDOW}x{WINDOW} pixels")
    metrics: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"psnr": psnr, "psnr_channels": channel_psnr, "ssim": ssim, "l1": l1}
    metrics |= {f"lpips_{network.name}": network.distance for network in perceptual}
    return {name: round(metric(a, b), 5) for name, metric in metrics.items()}


def _colors(path: Path) -> np.ndarray:
    """An image as float32 RGB [H, W, 3] in 0..1, over white."""
    image = read_image(path, decode_png)
    image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else over_background(image) if image.shape[2] == 4 else image
    return image.astype(np.float32) / 255
