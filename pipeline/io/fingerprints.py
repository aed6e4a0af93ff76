"""Fingerprints of input files: what changed, appeared or was removed since they were taken.

Light to import, and cheap to compare: bytes are hashed only where size or time of a file differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.io.files import ROOT, digest, sha256

Fingerprint = dict[str, Any] | None  # None: there was no such file


def fingerprint(path: Path, *, content: bool = False) -> Fingerprint:
    """A file by size and time (`content`: and by its bytes, so that a new time alone is no change), a folder by the same of its files, None where nothing is."""
    if path.is_dir():
        return {"files": _listing(path)}
    if not path.is_file():
        return None
    found = _size_and_time(path)
    return {**found, "sha256": sha256(path)} if content else found


def folders(folder: Path, pattern: str) -> Fingerprint:
    """The folders that match a pattern below a folder, so that a new one is noticed."""
    return {"pattern": pattern, "names": _matches(folder, pattern)}


def portable(path: Path) -> str:
    """The path as a key: relative to the checkout where it lies inside, so that the checkout may move."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def first_change(known: Mapping[str, Any], home: Path) -> str:
    """What changed first, such as "cameras.json changed" or "background was added"; empty where everything is as it was.

    Args:
        known: `portable` path -> fingerprint (a number: its size alone). home: paths are named relative to this folder or the one above.
    """
    for name, value in known.items():
        if change := _change(ROOT / name, value, home):
            return change
    return ""


def _change(path: Path, known: Any, home: Path) -> str:
    if isinstance(known, dict) and "pattern" in known:
        names = _matches(path, known["pattern"])
        added, removed = sorted(set(names) - set(known["names"])), sorted(set(known["names"]) - set(names))
        return f"{_named(path / (added or removed)[0], home)} was {'added' if added else 'removed'}" if added or removed else ""
    if not path.exists():
        return f"{_named(path, home)} was removed" if known is not None else ""
    if known is None:
        return f"{_named(path, home)} was added"
    return f"{_named(path, home)} changed" if _differs(path, {"size": known} if isinstance(known, int) else known) else ""


def _differs(path: Path, known: Mapping[str, Any]) -> bool:
    if path.is_dir() or "files" in known:
        return not path.is_dir() or known.get("files") != _listing(path)
    found = _size_and_time(path)
    if found["size"] != known["size"] or found["time"] == known.get("time", found["time"]):
        return found["size"] != known["size"]
    return "sha256" not in known or sha256(path) != known["sha256"]


def _size_and_time(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "time": stat.st_mtime_ns}


def _listing(folder: Path) -> str:
    return digest([[path.name, *_size_and_time(path).values()] for path in _visible(folder.iterdir()) if path.is_file()])


def _matches(folder: Path, pattern: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in _visible(folder.glob(pattern)) if path.is_dir()]


def _visible(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if not path.name.startswith("."))


def _named(path: Path, home: Path) -> str:
    near = next((folder for folder in (home, home.parent) if path.is_relative_to(folder)), None)
    return str(path.relative_to(near) if near else path) + "/" * path.is_dir()
