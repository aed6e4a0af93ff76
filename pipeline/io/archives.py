"""Unpack the zip archives of a dataset, in parallel and safely."""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from pipeline.io.errors import InputError
from pipeline.io.files import TEMPORARY
from pipeline.io.parallel import map_processes

_CHUNK = 1 << 20


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
    """(entry, output path) of every entry. Raises InputError for unsafe names, links and encrypted entries."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(
            "cannot be read as a zip",
            file=archive,
            found=error,
            expected="a complete zip archive",
            remedy="download the archive again",
        ) from None
    root = folder.resolve()
    outputs = []
    for entry in entries:
        name = entry.orig_filename  # zipfile cuts `filename` at a null byte
        parts = PurePosixPath(name).parts
        bad_character = "\\" in name or "\0" in name
        absolute = name.startswith("/") or re.match(r"[A-Za-z]:", name) is not None
        link = stat.S_ISLNK(entry.external_attr >> 16)
        encrypted = entry.flag_bits & 1
        if not parts or bad_character or absolute or ".." in parts or link or encrypted:
            raise InputError(
                "contains an unsafe entry",
                file=archive,
                found=repr(name),
                expected="plain, unencrypted files with relative paths",
                remedy="do not use this archive; download it again from its source",
            )
        path = folder.joinpath(*parts)
        # an existing link in the target folder could still lead out of it
        if not path.resolve().is_relative_to(root):
            raise InputError(
                "an entry would be written through a link outside the output folder",
                file=archive,
                found=path,
                expected=f"a path below {root}",
                remedy="remove the link",
            )
        outputs.append((entry, path))
    return outputs


def _complete(entry: zipfile.ZipInfo, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != entry.file_size:
        return False
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc == entry.CRC


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, archive: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}")
    try:
        with opened.open(entry) as source, open(temporary, "wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            "is damaged",
            file=archive,
            found=f"{entry.filename}: {error}",
            expected="a complete zip archive",
            remedy="download the archive again",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
