"""Names of cameras out of the names of images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pipeline.capture.media import IMAGE_ENDINGS
from pipeline.io.errors import InputError

_OUTER = ("", ".", "images", "image", "rgb")  # leading folders that say nothing about a camera


def camera_names(images: Sequence[str], file: Path) -> list[str]:
    """A name for each image's camera: its path without the ending, folders joined by _; with the ending where two would be alike.

    Raises InputError where two are alike all the same.
    """
    short = [_joined(image[: image.rindex(".")] if image.lower().endswith(IMAGE_ENDINGS) else image) for image in images]
    count = Counter(short)
    names = [name if count[name] == 1 else _joined(image) for name, image in zip(short, images)]
    for name, number in Counter(names).items():
        if number > 1:
            raise InputError(f"two images would be the camera '{name}'", file=file, found=f"{number} images", expected="images with names of their own")
    return names


def _joined(image: str) -> str:
    parts = list(PurePosixPath(image.replace("\\", "/")).parts)
    while len(parts) > 1 and parts[0] in _OUTER:
        parts.pop(0)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", "_".join(part for part in parts if part not in (".", "..", "/"))).lstrip(".-_")[-90:] or "camera"
