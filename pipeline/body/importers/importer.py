"""From the files of a model's authors to a file of ours: read, landmarks found, written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.body import store
from pipeline.body.bake.landmark_views import detections
from pipeline.body.bake.landmarks import face_table, landmark_arrays
from pipeline.body.importers.bfm import read_bfm
from pipeline.body.importers.flame import read_flame
from pipeline.body.importers.gnm import read_gnm
from pipeline.body.importers.ict import read_ict
from pipeline.body.importers.smpl import read_smpl, read_smplx
from pipeline.body.importers.source import SourceModel, model_arrays
from pipeline.body.model import model_of
from pipeline.io.errors import InputError
from pipeline.io.files import sha256

READERS: dict[str, Callable[[Path], SourceModel]] = {"smpl": read_smpl, "smplx": read_smplx, "bfm": read_bfm, "ict": read_ict, "gnm": read_gnm}
FORMATS = ("flame", *READERS)


def import_model(kind: str, files: list[Path], out: Path, masks: Path | None = None, teeth: bool = False) -> dict[str, Any]:
    """Write the model of the authors' files to `out`, complete or not at all. Returns facts about it.

    Args:
        kind: one of FORMATS. masks, teeth: of FLAME, see `read_flame`.

    Raises:
        InputError: a file is not as expected.
    """
    source = read_flame(files, masks, teeth) if kind == "flame" else READERS[kind](files[0])
    arrays, facts = model_arrays(source, files[0])
    facts["files"] = {file.name: _digest(file) for file in (*files, *([masks] if masks else []))}
    checked = store.checked_arrays(store.with_facts(dict(arrays), facts), files[0])
    model = model_of(checked, out)
    landmarks, about = landmark_arrays(model, face_table(model, detections(model)))
    store.write_arrays(out, arrays | landmarks, facts | about)
    return facts | about


def check_request(kind: str, files: list[Path], masks: Path | None, teeth: bool) -> None:
    """Raise InputError where a format does not take these files and options."""
    most = 2 if kind == "flame" else 1
    if kind not in FORMATS:
        raise InputError(f"no model format '{kind}'", expected=" | ".join(FORMATS), remedy="./c2a body import FORMAT FILE ... --name NAME")
    if not 1 <= len(files) <= most:
        expected = {"flame": "the model's pickle, and its template as OBJ if you like", "ict": "the folder FaceXModel"}.get(kind, "the model's file")
        raise InputError(f"wrong number of files for {kind}", found=len(files), expected=expected, remedy=f"./c2a body import {kind} FILE --name NAME")
    if kind != "flame" and (masks or teeth):
        raise InputError("--masks and --teeth are FLAME's", found=kind, expected="flame", remedy="leave them out")


def _digest(file: Path) -> str:
    if file.is_dir():
        return hashlib.sha256("".join(f"{path.name} {sha256(path)}" for path in sorted(file.glob("*.obj"))).encode()).hexdigest()
    return sha256(file)
