"""Fingerprints of input files: what changed, appeared or was removed since they were taken.

Light to import, and cheap to compare: bytes are hashed only where size or time of a file differ.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.io.files import ROOT, digest, sha256

Fingerprint = dict[str, Any] | None  # None: there was no such file


def fingerprint(path: Path, *, content: bool = False) -> Fingerprint:
    """A file by size and time (`content`: and by its bytes, so that a new time alone is no change), a folder by the same of its files, None where nothing is."""
    found = _stat(path)
    if found is None:
        return None
    if stat.S_ISDIR(found.st_mode):
        return {"files": _listing(path)}
    return {**_size_and_time(found), **({"sha256": sha256(path)} if content else {})}


def folders(folder: Path, pattern: str) -> Fingerprint:
    """The folders that match a pattern below a folder, so that a new one is noticed."""
    return {"pattern": pattern, "names": _matches(folder, pattern)}


def first_change(known: Mapping[str, Any], home: Path) -> str:
    """What changed first, such as "cameras.json changed" or "background/ was added"; empty where everything is as it was.

    Args:
        known: `io.files.portable` path -> fingerprint (a number: its size alone). home: paths are named relative to this folder or the one above.
    """
    for name, value in known.items():
        path = os.path.join(ROOT, name)
        if value is not None and "pattern" in (value if isinstance(value, dict) else ()):
            names = set(_matches(Path(path), value["pattern"]))
            changed = sorted(names ^ set(value["names"]))
            if changed:
                return f"{_named(Path(path, changed[0]), home)} was {'added' if changed[0] in names else 'removed'}"
            continue
        found = _stat(path)
        if (found is None) != (value is None):
            return f"{_named(Path(path), home)} was {'added' if value is None else 'removed'}"
        if found is not None and _differs(path, found, {"size": value} if isinstance(value, int) else value):
            return f"{_named(Path(path), home)} changed"
    return ""


def _differs(path: str, found: os.stat_result, known: Mapping[str, Any]) -> bool:
    if stat.S_ISDIR(found.st_mode) or "files" in known:
        return not stat.S_ISDIR(found.st_mode) or known.get("files") != _listing(Path(path))
    if found.st_size != known["size"] or found.st_mtime_ns == known.get("mtime_ns", found.st_mtime_ns):
        return found.st_size != known["size"]
    return "sha256" not in known or sha256(path) != known["sha256"]


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _size_and_time(found: os.stat_result) -> dict[str, int]:
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _listing(folder: Path) -> str:
    with os.scandir(folder) as entries:
        files = sorted((entry.name, entry.stat()) for entry in entries if entry.is_file() and not entry.name.startswith("."))
    return digest([[name, *_size_and_time(found).values()] for name, found in files])


def _matches(folder: Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern) if path.is_dir() and not path.name.startswith("."))


def _named(path: Path, home: Path) -> str:
    near = next((folder for folder in (home, home.parent) if path.is_relative_to(folder)), None)
    return str(path.relative_to(near) if near else path) + "/" * path.is_dir()
