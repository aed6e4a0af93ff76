"""Archives of a dataset's download, unpacked in parallel and safely."""

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
    """Unpack every *.zip below `source`, each into a folder of its own name at the same place below `target`.

    What is there already with the right size and CRC is kept. Every archive is checked before the first file is written.

    Returns: {"archives", "files", "written", "kept"}.
    Raises InputError where there is no archive, one is damaged, or a name in it would leave its folder.
    """
    archives = sorted(path for path in source.rglob("*.zip") if path.is_file() and not path.name.startswith("."))
    if not archives:
        raise InputError("no archives here", file=source, expected="a folder that holds .zip files")
    jobs = [(path, target / path.relative_to(source).with_suffix("")) for path in archives]
    for path, folder in jobs:
        safe_entries(path, folder)
    counts = map_processes(unzip, jobs, threads, "unpacking")
    written, kept = (sum(count[index] for count in counts) for index in (0, 1))
    return {"archives": len(archives), "files": written + kept, "written": written, "kept": kept}


def unzip(archive: Path, folder: Path) -> tuple[int, int]:
    """Unpack one archive into `folder`; every file appears only when its size and CRC are right. Returns (written, kept).

    Raises InputError where the archive is damaged or a name in it would leave the folder.
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
    """(entry, where it goes) for every entry. Raises InputError where a name is absolute, climbs out, has a drive letter, or is a link."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError("cannot be read as a zip", file=archive, found=error, remedy="download the archive again") from None
    placed, root = [], folder.resolve()
    for entry in entries:
        name = entry.orig_filename  # zipfile cuts `filename` at a null byte
        parts = PurePosixPath(name).parts
        escapes = not parts or name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or re.match(r"[A-Za-z]:", name) is not None
        if escapes or stat.S_ISLNK(entry.external_attr >> 16) or entry.flag_bits & 1:
            raise InputError(
                "an entry that we refuse to unpack",
                file=archive,
                found=repr(name),
                expected="plain files below the archive's own folder, not encrypted",
                remedy="do not trust this archive",
            )
        path = folder.joinpath(*parts)
        # a link that already stands in the target could still lead out of it
        if not path.resolve().is_relative_to(root):
            raise InputError(
                "an entry would be written through a link out of its folder",
                file=archive,
                found=path,
                expected=f"a place below {root}",
                remedy="remove the link",
            )
        placed.append((entry, path))
    return placed


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
        raise InputError("the archive is damaged", file=archive, found=f"{entry.filename}: {error}", remedy="download the archive again") from None
    finally:
        temporary.unlink(missing_ok=True)
