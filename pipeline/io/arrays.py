"""Arrays on disk: npz files with the same bytes for the same content, read with a check of what is in them."""

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
    """Write named arrays atomically, with a fixed date in every entry (np.savez writes the time of day)."""
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", method) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.compress_type = method
            archive.writestr(entry, buffer.getvalue())


def load_npz(path: str | Path, expected: Mapping[str, tuple[int | None, ...] | None] | None = None, *, remedy: str = "") -> dict[str, np.ndarray]:
    """Read an npz without pickles.

    Args:
        expected: shape of each array that must be there (None in a shape: any length; None for a shape: any array).

    Raises:
        InputError: the file is missing, damaged, lacks an array or holds one of another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError("cannot be read as arrays", file=path, found=error, expected="an npz file", remedy=remedy) from None
    for name, shape in (expected or {}).items():
        if name not in arrays:
            raise InputError(f"lacks the array '{name}'", file=path, found=", ".join(arrays), remedy=remedy)
        found = arrays[name].shape
        if shape is not None and (len(found) != len(shape) or any(want not in (None, got) for want, got in zip(shape, found))):
            raise InputError(f"array '{name}' has another shape", file=path, found=found, expected=shape, remedy=remedy)
    return arrays
