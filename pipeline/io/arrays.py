"""npz files: deterministic bytes when written, names and shapes checked when read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.io.errors import InputError
from pipeline.io.files import atomic_path

_EPOCH = (1980, 1, 1, 0, 0, 0)


def save_npz(path: str | Path, arrays: Mapping[str, np.ndarray], *, compress: bool = True) -> None:
    """Write named arrays atomically. Entries have a fixed date, so that equal arrays give equal bytes."""
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", method) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.compress_type = method
            archive.writestr(entry, buffer.getvalue())


def load_npz(
    path: str | Path,
    expected: Mapping[str, tuple[int | None, ...] | None] | None = None,
    *,
    remedy: str = "",
) -> dict[str, np.ndarray]:
    """Read an npz; pickled objects are refused.

    Args:
        expected: shape of each required array (None in a shape: any length; None as the shape: any shape).
        remedy: what the user should do next if the file is bad.

    Raises:
        InputError: the file is missing or damaged, or an array is missing or has a wrong shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError("cannot be read as arrays", file=path, found=error, expected="an npz file", remedy=remedy) from None
    for name, shape in (expected or {}).items():
        if name not in arrays:
            raise InputError(
                f"lacks the array '{name}'",
                file=path,
                found=", ".join(arrays),
                expected=", ".join(expected or ()),
                remedy=remedy,
            )
        actual = arrays[name].shape
        if shape is not None and not _matches(actual, shape):
            raise InputError(f"array '{name}' has a wrong shape", file=path, found=actual, expected=shape, remedy=remedy)
    return arrays


def _matches(actual: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(actual) == len(shape) and all(side in (None, length) for side, length in zip(shape, actual))
