"""Any motion file, or another capture's fit, as a motion: the form is known by its content."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.motion.arkit import read_arkit
from pipeline.motion.bvh import read_bvh
from pipeline.motion.fit import read_fit
from pipeline.motion.flame import read_flame
from pipeline.motion.livelink import read_livelink
from pipeline.motion.motion import Motion, load_motion
from pipeline.motion.smpl import read_aist, read_amass

FORMS = "a capture's id, fit.npz, BVH, AMASS npz, AIST++ pkl, FLAME npz (or a folder of them), Live Link Face CSV, ARKit or MediaPipe json"
_NPZ: dict[frozenset[str], Callable[[Path], Motion]] = {
    frozenset(("joints", "rotations", "expressions")): load_motion,
    frozenset(("model", "pose", "identity", "offsets")): read_fit,
    frozenset(("jaw_pose", "expr")): read_flame,
    frozenset(("poses", "trans")): read_amass,
    frozenset(("root_orient", "trans")): read_amass,
}
_HEAD = 4096


def read_motion(source: str | Path, results: Path | None = None) -> Motion:
    """A motion file, or the fit of the capture of this id.

    Args:
        results: folder of the captures' results; None: files alone.

    Raises:
        InputError: there is no such file or capture, it is of no known form, or its form's reader refuses it.
    """
    if results is not None and (results / str(source) / "fit.npz").is_file():
        return read_fit(results / str(source) / "fit.npz")
    path = Path(source)
    if path.is_dir():
        inner = path / "flame_param"
        return read_flame(inner if inner.is_dir() else path)
    if not path.is_file():
        raise InputError("no such motion", file=path, expected=FORMS, remedy="correct the path, or ./c2a status for the ids of captures")
    return _reader(path)(path)


def _reader(path: Path) -> Callable[[Path], Motion]:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    text = head.decode("utf-8-sig", "replace").lstrip()
    if head[:2] == b"PK":
        try:
            with zipfile.ZipFile(path) as archive:
                names = {name.removesuffix(".npy") for name in archive.namelist()}
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InputError("cannot be read as an npz", file=path, found=error, expected=FORMS, remedy="copy or download the file again") from None
        for needed, reader in _NPZ.items():
            if needed <= names:
                return reader
        raise InputError("an npz with other arrays", file=path, found=", ".join(sorted(names)[:12]), expected=FORMS)
    if text.startswith("HIERARCHY"):
        return read_bvh
    if text.startswith(("{", "[")):
        return read_arkit
    if head[:1] == b"\x80" or path.suffix.lower() in (".pkl", ".pickle"):
        return read_aist
    if "," in text.partition("\n")[0] and path.suffix.lower() == ".csv":
        return read_livelink
    raise InputError("a motion of no known form", file=path, found=ascii(text[:40]), expected=FORMS, remedy="see docs/motion.md")
