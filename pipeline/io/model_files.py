"""Model files of users as dictionaries: pickles, npz archives (also with pickled members) and MATLAB 5 files; nothing in them is executed."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.io.arrays import DAMAGED, read_array
from pipeline.io.documents import check_file
from pipeline.io.errors import InputError
from pipeline.io.pickled_values import MOST_BYTES, read_pickle, values_of_pickle

_REMEDY = "give the model file as it was downloaded"
_NUMERIC = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))  # classes of MATLAB variables
_HEADER, _COMPRESSED, _BLOCK = 128, 15, 1 << 20  # of MATLAB 5: bytes of the header; the type of a compressed element; bytes unpacked at once
_OBJECTS = b"'descr': '|O'"


def read_model_file(path: Path, expected: str) -> dict[str, Any]:
    """Name -> number, text, list, array or sparse matrix of a .pkl, .npz or .mat file; a pickle's other suffixes do not matter.

    Args:
        expected: what the file should be, for the messages.

    Raises:
        InputError: the file is missing, too large, damaged, or refers to code, which is named and not executed.
    """
    check_file(path, MOST_BYTES, expected, f"correct its path, or {_REMEDY}")
    readers = {".npz": _read_npz, ".mat": _read_mat}
    if path.suffix.lower() not in readers:
        values = read_pickle(path, expected=expected)
    else:
        try:
            values = readers[path.suffix.lower()](path)
        except (*DAMAGED, NotImplementedError, MemoryError) as error:
            raise InputError(f"cannot be read as {path.suffix.lower()[1:]}", file=path, found=error, expected=expected, remedy=_REMEDY) from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise InputError("holds no named values", file=path, found=type(values).__name__, expected=expected, remedy=_REMEDY)
    return values


def _read_npz(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        if (size := sum(entry.file_size for entry in entries)) > MOST_BYTES:
            raise ValueError(f"unpacks to {size} bytes, more than {MOST_BYTES}")
        values = {}
        for entry in entries:
            with archive.open(entry) as file:
                values[entry.filename[:-4]] = _member(file.read(entry.file_size), entry.file_size)
        return values


def _member(data: bytes, size: int) -> Any:
    """An npy file; where it holds objects they follow its header as a pickle."""
    start = 10 + int.from_bytes(data[8:10], "little")
    if data[:8] == b"\x93NUMPY\1\0" and _OBJECTS in data[10:start]:
        return values_of_pickle(data[start:])
    return read_array(io.BytesIO(data), size)


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    data = path.read_bytes()
    if data[:10] == b"MATLAB 7.3" or data[:8] == b"\x89HDF\r\n\x1a\n":
        raise ValueError("MATLAB 7.3, which is not read; in MATLAB: save('model.mat', '-struct', 'x', '-v7'), where x = load('model.mat')")
    if data[124:128] not in (b"\0\1IM", b"\1\0MI"):
        raise ValueError("not the header of MATLAB 5")
    _check_unpacked_size(data)
    try:
        tables = [(name, shape) for name, shape, kind in whosmat(io.BytesIO(data)) if kind in _NUMERIC]
        if sum(int(np.prod(shape, dtype=object)) for _, shape in tables) * 8 > MOST_BYTES:
            raise ValueError(f"arrays of more than {MOST_BYTES} bytes")
        values = loadmat(io.BytesIO(data), variable_names=[name for name, _ in tables])
    except (MatReadError, zlib.error) as error:
        raise ValueError(error) from None
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _check_unpacked_size(data: bytes) -> None:
    """Raise ValueError where the elements of a MATLAB 5 file unpack to too much, before they are."""
    order = "little" if data[126:128] == b"IM" else "big"
    place, total = _HEADER, 0
    while place + 8 <= len(data):
        kind, count = (int.from_bytes(data[at : at + 4], order) for at in (place, place + 4))  # type: ignore[arg-type]
        content = memoryview(data)[place + 8 : place + 8 + count]
        place += 8 + count
        if kind != _COMPRESSED:
            continue
        unpacker = zlib.decompressobj()
        rest: Any = content
        while rest and not unpacker.eof:
            total += len(unpacker.decompress(rest, _BLOCK))
            rest = unpacker.unconsumed_tail
            if total > MOST_BYTES:
                raise ValueError(f"unpacks to more than {MOST_BYTES} bytes")
