"""Atomic file writes: an output is either complete or does not exist."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any

from pipeline.io.documents import parse_json, read_document
from pipeline.io.errors import InputError

ROOT = Path(__file__).resolve().parents[2]  # the checkout
TEMPORARY = ".partial-"  # prefix of every unfinished file, so that leftovers can be found


def portable(path: Path) -> str:
    """A path as a key: relative to the checkout where it is written as one inside, so that the checkout may move; absolute elsewhere."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else os.path.normpath(path)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`. On success it is fsynced and renamed to `path`, on any error removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        _fsync(temporary)
        os.replace(temporary, path)
        _fsync(path.parent)
    except OSError as error:
        if error.errno and not error.filename:  # a write or a close that fails does not say where
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. Raises ValueError for NaN and infinity, which JSON lacks."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def check_writable(folder: Path, option: str) -> None:
    """Create `folder` if necessary and write a test file in it. option: the CLI option that names the folder.

    Raises:
        InputError: the folder cannot be created.
        OSError: the folder is not writable; `stages.failure.explain` turns this into a message.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            "cannot be created",
            file=folder,
            found=error.strerror,
            expected="a path where a folder can be created",
            remedy=f"correct {option}",
        ) from None
    probe = folder / f"{TEMPORARY}{os.getpid()}-probe"
    try:
        probe.write_text("write test")
    finally:
        probe.unlink(missing_ok=True)


def read_json(path: str | Path, *, remedy: str = "") -> Any:
    """Read a JSON file. Raises InputError if it is missing or not JSON."""
    return read_document(Path(path), parse_json, what="JSON", expected="a JSON file", remedy=remedy)


def read_record(path: Path, kinds: Mapping[str, type | UnionType] | None = None) -> dict[str, Any] | None:
    """A JSON object that the pipeline wrote; None where the file is missing or unreadable.

    kinds: of its entries, and of those of its objects: what is of another kind is left out.
    """
    try:
        record = parse_json(path.read_text())
    except (OSError, ValueError):
        return None
    return _of_kinds(record, kinds or {}) if isinstance(record, dict) else None


def _of_kinds(record: dict[str, Any], kinds: Mapping[str, type | UnionType]) -> dict[str, Any]:
    kept = {name: value for name, value in record.items() if isinstance(value, kinds.get(name, object))}
    return {name: _of_kinds(value, kinds) if isinstance(value, dict) and name in kinds else value for name, value in kept.items()}


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a JSON value; the same in every process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def move_file(source: str | Path, target: str | Path) -> None:
    """Move a finished file; atomic across file systems too."""
    with contextlib.suppress(OSError):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        return
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    Path(source).unlink()


def publish_folder(files: Iterable[str | Path], folder: str | Path, base: Path | None = None) -> None:
    """Make `folder` hold exactly these finished files: they are moved into a new folder, which then takes the old one's place.

    base: files keep their paths below this folder; None = they lie flat.
    """
    folder = Path(folder)
    fresh = folder.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{folder.name}")
    try:
        fresh.mkdir(parents=True)
        for file in files:
            move_file(file, fresh / (Path(file).relative_to(base) if base else Path(file).name))
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(fresh, folder)
        _fsync(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
