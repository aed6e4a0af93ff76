"""npz and npy files: deterministic bytes when written; names, shapes and types checked when read, never more memory than they say."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import atomic_path

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MOST_RATIO, _PLAIN_BYTES = 100, 1 << 30  # what unpacks to more than both is no result of measurements
DAMAGED = (*MALFORMED, OSError, EOFError, SyntaxError, RuntimeError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)

Side = int | str | None
Shape = tuple[Side, ...]
"""Sides of an array: a length, None for any, or a word for a length that all arrays with this word share."""


class Numbers(tuple[Side, ...]):
    """Shape of an array of numbers; a plain tuple is that of any array."""

    kinds, what = "biuf", "numbers"


class Integers(Numbers):
    """Shape of an array of integers."""

    kinds, what = "biu", "integers"


class Text(Numbers):
    """Shape of an array of text."""

    kinds, what = "U", "text"


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
    path: str | Path, expected: Mapping[str, Shape | None] | None = None, *, only: Collection[str] | None = None, remedy: str = ""
) -> dict[str, np.ndarray]:
    """Read an npz; pickled objects are refused.

    Args:
        expected: shape and kind of each required array; None: any. See `Shape`, `Numbers`, `Integers`, `Text`.
        only: names of the arrays to read; None: all. What the others are does not matter.
        remedy: what the user should do next if the file is bad.

    Raises:
        InputError: the file is missing or damaged, or an array is missing or has a wrong shape.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy") and (only is None or entry.filename[:-4] in only)]
            size, packed = sum(entry.file_size for entry in entries), path.stat().st_size
            if size > max(_PLAIN_BYTES, _MOST_RATIO * packed):
                raise ValueError(f"{packed} bytes that unpack to {size}")
            arrays = {}
            for entry in entries:
                with archive.open(entry) as file:
                    arrays[entry.filename[:-4]] = read_array(file, entry.file_size)
    except DAMAGED as error:
        raise InputError("cannot be read as arrays", file=path, found=error, expected="an npz file", remedy=remedy) from None
    check_arrays(arrays, expected or {}, path, remedy)
    return arrays


def load_npy(path: Path, expected: str) -> np.ndarray:
    """The array of a .npy file. expected: what it should be, for the message. Raises InputError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return read_array(file, path.stat().st_size)
    except DAMAGED as error:
        raise InputError("cannot be read as an array", file=path, found=error, expected=expected) from None


def read_array(file: IO[bytes], size: int) -> np.ndarray:
    """One array of numbers, booleans or text in the npy format.

    numpy's own reader allocates what the header says before it reads, and takes text without a header as bytes.

    Args:
        size: bytes up to the end of the file.

    Raises:
        ValueError and what else Python and zipfile raise for damaged files.
    """
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"npy version {version}")
    try:
        shape, by_columns, kind = readers[version](file)
    except (MemoryError, RecursionError):  # of Python's parser
        raise ValueError("a header nested too deep") from None
    plain = kind.kind in "biu" or (kind.kind == "f" and kind.itemsize <= 8) or (kind.kind == "U" and kind.itemsize > 0)
    if not plain or not all(type(side) is int and side >= 0 for side in shape) or len(shape) > 8:
        raise ValueError(f"an array of type {kind} and shape {shape}")
    count = math.prod(shape)
    header = {(1, 0): 10, (2, 0): 12}[version]
    if count * kind.itemsize > size - header:
        raise ValueError(f"{size} bytes for an array of type {kind} and shape {shape}")
    data = file.read(count * kind.itemsize)
    if len(data) != count * kind.itemsize or file.read(1):
        raise ValueError(f"too few or too many bytes for shape {shape}")
    array = np.frombuffer(data, kind).astype(kind.newbyteorder("="))
    return array.reshape(shape, order="F" if by_columns else "C")


def check_indices(values: np.ndarray, count: int, name: str, path: str | Path, remedy: str = "") -> None:
    """Raise InputError unless all values index one of `count` things."""
    if values.size and not (0 <= values.min() and values.max() < count):
        found = f"{values.min()} to {values.max()}"
        raise InputError(f"array '{name}' points at what is not there", file=path, found=found, expected=f"0 to {count - 1}", remedy=remedy)


def check_finite(arrays: Mapping[str, np.ndarray], largest: float, path: str | Path, remedy: str = "") -> None:
    """Raise InputError unless the floats of all arrays are finite and at most `largest`."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not (np.abs(array) <= largest).all():
            raise InputError(f"array '{name}' is not finite", file=path, expected=f"numbers, none above {largest:g}", remedy=remedy)


def check_arrays(arrays: Mapping[str, np.ndarray], expected: Mapping[str, Shape | None], path: str | Path, remedy: str = "") -> None:
    """Raise InputError unless all expected arrays are there, in their shapes and kinds."""
    sides: dict[str, int] = {}
    for name, shape in expected.items():
        if name not in arrays:
            raise InputError(f"lacks the array '{name}'", file=path, found=", ".join(arrays) or None, expected=", ".join(expected), remedy=remedy)
        if shape is None:
            continue
        array = arrays[name]
        if isinstance(shape, Numbers) and array.dtype.kind not in shape.kinds:
            raise InputError(f"array '{name}' has a wrong type", file=path, found=array.dtype, expected=shape.what, remedy=remedy)
        known = tuple(sides.get(side, side) if isinstance(side, str) else side for side in shape)
        if len(array.shape) != len(known) or not all(side is None or isinstance(side, str) or side == length for side, length in zip(known, array.shape)):
            raise InputError(f"array '{name}' has a wrong shape", file=path, found=array.shape, expected=known, remedy=remedy)
        sides |= {side: length for side, length in zip(shape, array.shape) if isinstance(side, str)}
