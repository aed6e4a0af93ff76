"""unzip: a folder of dataset archives becomes a folder of files."""

from __future__ import annotations

from pathlib import Path


def run(source: Path, target: Path, threads: int) -> dict:
    """Unpack every zip below `source` to a folder of its name below `target` (see `unzip_folder`). Raises InputError."""
    from pipeline.io.archives import unzip_folder

    return unzip_folder(source, target, threads)
