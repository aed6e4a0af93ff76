"""Unpack the zip archives of a dataset, in parallel and safely."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from pipeline.io.errors import InputError
from pipeline.io.files import atomic_path
from pipeline.io.parallel import map_processes

_CHUNK = 1 << 20
_MOST_ENTRIES, _MOST_RATIO, _PLAIN_BYTES = 200_000, 100, 1 << 30  # videos and images hardly shrink: what unpacks to more is a bomb
_DISTRUST = "do not use this archive; download it again from its source"


def unzip_folder(source: Path, target: Path, threads: int) -> dict[str, int]:
    """Unpack every *.zip below `source` into a folder of the archive's name at the same relative path below `target`.

    Files that exist with the right size and CRC are kept. Every archive is checked before the first file is written.

    Returns:
        {"archives", "files", "written", "kept"}.

    Raises:
        InputError: no archive found, an archive is damaged, or an entry's name leads out of its folder.
    """
    archives = sorted(path for path in source.rglob("*.zip") if path.is_file() and not path.name.startswith("."))
    if not archives:
        raise InputError(
            "contains no archives",
            file=source,
            expected="a folder with .zip files",
            remedy="./c2a unzip FOLDER, the folder of the download",
        )
    jobs = [(path, target / path.relative_to(source).with_suffix("")) for path in archives]
    for path, folder in jobs:
        safe_entries(path, folder)
    counts = map_processes(unzip, jobs, threads, "archives")
    written, kept = (sum(count[index] for count in counts) for index in (0, 1))
    return {"archives": len(archives), "files": written + kept, "written": written, "kept": kept}


def unzip(archive: Path, folder: Path) -> tuple[int, int]:
    """Unpack one archive into `folder`; a file appears only once its size and CRC are right. Returns (written, kept).

    Raises InputError if the archive is damaged or an entry's name leads out of the folder.
    """
    written = kept = 0
    entries = safe_entries(archive, folder)
    with zipfile.ZipFile(archive) as opened:
        for entry, path in entries:
            if entry.is_dir():
                path.mkdir(parents=True, exist_ok=True)
            elif _complete(entry, path):
                kept += 1
            else:
                _extract(opened, entry, path, archive)
                written += 1
    return written, kept


def safe_entries(archive: Path, folder: Path) -> list[tuple[zipfile.ZipInfo, Path]]:
    """(entry, output path) of every entry.

    Raises InputError for unsafe names, links, encrypted entries, entries that collide, and archives that unpack to many times their size.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(
            "cannot be read as a zip",
            file=archive,
            found=error,
            expected="a complete zip archive",
            remedy="download the archive again",
        ) from None
    size, packed = sum(entry.file_size for entry in entries), archive.stat().st_size
    if size > max(_PLAIN_BYTES, _MOST_RATIO * packed) or len(entries) > _MOST_ENTRIES:
        found = f"{len(entries)} entries, {packed} bytes that unpack to {size}"
        expected = f"at most {_MOST_ENTRIES} entries, and {_MOST_RATIO} times the archive's size"
        raise InputError("unpacks to too much", file=archive, found=found, expected=expected, remedy=_DISTRUST)
    root = folder.resolve()
    outputs: dict[Path, zipfile.ZipInfo] = {}
    for entry in entries:
        path = _output(entry, folder, archive)
        # an existing link in the target folder could still lead out of it
        if not path.resolve().is_relative_to(root):
            raise InputError(
                "an entry would be written through a link outside the output folder",
                file=archive,
                found=path,
                expected=f"a path below {root}",
                remedy="remove the link",
            )
        if path in outputs or path.is_dir() is not entry.is_dir() and path.exists():
            expected = "every name once, and no file where a folder is"
            raise InputError("contains an entry in the place of another", file=archive, found=repr(entry.filename), expected=expected, remedy=_DISTRUST)
        outputs[path] = entry
    for path, entry in outputs.items():
        for parent in path.relative_to(folder).parents:
            above = folder / parent
            if (above in outputs and not outputs[above].is_dir()) or above.is_file():
                expected = "folders alone above it"
                raise InputError("contains a file below a file", file=archive, found=repr(entry.filename), expected=expected, remedy=_DISTRUST)
    return [(entry, path) for path, entry in outputs.items()]


def _output(entry: zipfile.ZipInfo, folder: Path, archive: Path) -> Path:
    """Where an entry is written. Raises InputError where that is no plain file or folder below `folder`."""
    name = entry.orig_filename  # zipfile cuts `filename` at a null byte
    parts = PurePosixPath(name).parts
    letters = "\\" not in name and name.isprintable() and len(name.encode()) <= 1000 and all(len(part.encode()) <= 200 for part in parts)
    absolute = name.startswith("/") or re.match(r"[A-Za-z]:", name) is not None
    plain = stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
    readable = not entry.flag_bits & 1 and entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not parts or not letters or absolute or ".." in parts or not plain or not readable:
        raise InputError(
            "contains an unsafe entry",
            file=archive,
            found=repr(name),
            expected="plain files, unencrypted, stored or deflated, with relative paths of at most 200 letters a part",
            remedy=_DISTRUST,
        )
    return folder.joinpath(*parts)


def _complete(entry: zipfile.ZipInfo, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != entry.file_size:
        return False
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc == entry.CRC


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, archive: Path) -> None:
    try:
        with atomic_path(path) as temporary:
            with opened.open(entry) as source, open(temporary, "wb") as file:
                shutil.copyfileobj(source, file, _CHUNK)
            if (size := temporary.stat().st_size) != entry.file_size:
                raise zipfile.BadZipFile(f"{size} bytes instead of {entry.file_size}")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            "is damaged",
            file=archive,
            found=f"{entry.filename}: {error}",
            expected="a complete zip archive",
            remedy="download the archive again",
        ) from None
