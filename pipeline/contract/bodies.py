"""Parametric models by name: those that come with the project, and those that the user imported into the folder `bodies`. Light to import."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.io.files import ROOT

EMBEDDED = ROOT / "pipeline" / "body" / "data"
VARIABLE = "C2A_BODIES"  # of the environment, so that worker processes look where their parent does
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
RESERVED = ("head", "body", "auto", "none")  # words that mean other things where a model is named


def use_folder(folder: str | Path) -> None:
    """From now on imported models lie in this folder (config key `bodies`; relative to the checkout)."""
    os.environ[VARIABLE] = str(ROOT / folder)


def bodies_folder() -> Path:
    """Where imported models lie."""
    return Path(os.environ.get(VARIABLE, ROOT / "bodies"))


def imported_bodies() -> dict[str, Path]:
    """Name -> file of the imported models."""
    return {path.stem: path for path in sorted(bodies_folder().glob("*.npz")) if NAME.fullmatch(path.stem)}


def bodies() -> dict[str, Path]:
    """Name -> file of all models; a name of the project's own is never another's."""
    return imported_bodies() | {path.stem: path for path in sorted(EMBEDDED.glob("*.npz"))}


def body_path(name: str) -> Path:
    """The file of a model by name. Raises InputError that lists the names there are."""
    known = bodies()
    if name not in known:
        remedy = "correct the name, or ./c2a body import"
        raise InputError(f"no body model '{name}'", file=bodies_folder(), found=repr(name), expected=" | ".join(known), remedy=remedy)
    return known[name]


def body_kind(name: str) -> str:
    """ "head" or "body": what a model by name is, without loading it. Raises InputError."""
    path = body_path(name)
    try:
        with zipfile.ZipFile(path) as archive, archive.open("facts.npy") as file:
            from pipeline.io.arrays import read_array

            kind = json.loads(str(read_array(file, archive.getinfo("facts.npy").file_size)))["traits"]["kind"]
    except Exception as error:
        raise InputError("is no model of this version", file=path, found=error, expected="a file of ./c2a body import", remedy="import it again") from None
    if kind not in ("head", "body"):
        raise InputError("is no model of this version", file=path, found=repr(kind), expected="head or body", remedy="import it again")
    return str(kind)
