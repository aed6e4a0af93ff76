"""Sets of packed images on disk (processed frames, mattes), as every stage after `frames` reads them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_camera
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json, sha256, write_json
from pipeline.io.packed import PackedImages
from pipeline.io.validation import is_name


@dataclass(frozen=True)
class Frame:
    """One instant, captured by all cameras. frame: index in the original video of the first camera. time: seconds."""

    id: str
    sequence: str
    frame: int
    time: float


def frame_id(sequence: str, frame: int) -> str:
    """The name of a frame's image in every packed zip."""
    return f"{sequence}_{frame:06d}"


@dataclass(frozen=True)
class ImageSet:
    """A folder of packed images, one zip per camera, and its description (`frames.json`, `alpha.json`).

    Attributes:
        cameras: the cameras of these images: pinhole, after undistortion, crop and resize.
        frames: the frames in every zip. archives: {camera: {"size", "sha256"}} of its zip.
        facts: further JSON entries of the stage.
    """

    folder: Path
    cameras: tuple[Camera, ...]
    frames: tuple[Frame, ...]
    archives: dict[str, dict[str, Any]]
    facts: dict[str, Any]

    def path(self, camera: str) -> Path:
        """The zip of one camera."""
        return self.folder / f"{camera}.zip"

    def open(self, camera: str) -> PackedImages:
        """The images of one camera. Raises InputError if the zip does not have the size in the description."""
        path = self.path(camera)
        size = path.stat().st_size if path.is_file() else None
        expected = self.archives[camera]["size"]
        if size != expected:
            raise InputError(
                "differs from its description",
                file=path,
                found="no such file" if size is None else f"{size} bytes",
                expected=f"{expected} bytes",
                remedy=_rerun(self.folder),
            )
        return PackedImages(path, remedy=_rerun(self.folder))

    def verify(self, part: slice | None = None) -> None:
        """Compare the hash of every zip, or those of a slice of the cameras, with the description.

        Raises InputError for the first zip that differs.
        """
        for camera in self.cameras[part or slice(None)]:
            path = self.path(camera.name)
            actual = sha256(path) if path.is_file() else "no such file"
            expected = self.archives[camera.name]["sha256"]
            if actual != expected:
                raise InputError(
                    "was changed after it was written",
                    file=path,
                    found=actual,
                    expected=expected,
                    remedy=_rerun(self.folder),
                )

    @property
    def by_name(self) -> dict[str, Camera]:
        """{name: camera}."""
        return {camera.name: camera for camera in self.cameras}


def write_image_set(
    description: Path,
    folder: Path,
    cameras: tuple[Camera, ...],
    frames: tuple[Frame, ...],
    facts: dict[str, Any],
) -> None:
    """Write the file `description` of the zips in `folder`, one per camera."""
    paths = {camera.name: folder / f"{camera.name}.zip" for camera in cameras}
    record = {
        "cameras": [camera.to_json() for camera in cameras],
        "frames": [asdict(frame) for frame in frames],
        "archives": {name: {"size": path.stat().st_size, "sha256": sha256(path)} for name, path in paths.items()},
        "facts": facts,
    }
    write_json(description, record)


def read_image_set(description: Path, folder: Path) -> ImageSet:
    """Inverse of `write_image_set`. Raises InputError if the file is missing or not such a description."""
    record = read_json(description, remedy=_rerun(folder))
    try:
        cameras = tuple(check_camera(Camera.from_json(c), description) for c in record["cameras"])
        frames = tuple(Frame(str(f["id"]), str(f["sequence"]), int(f["frame"]), float(f["time"])) for f in record["frames"])
        archives = {c.name: {"size": int(record["archives"][c.name]["size"]), "sha256": str(record["archives"][c.name]["sha256"])} for c in cameras}
        if wrong := [frame.id for frame in frames if not is_name(frame.id)]:
            raise ValueError(f"a frame named {wrong[0]!r}")
        return ImageSet(folder, cameras, frames, archives, dict(record["facts"]))
    except MALFORMED as error:
        raise InputError(
            "is not a description of packed images",
            file=description,
            found=repr(error),
            expected="the entries cameras, frames, archives and facts",
            remedy=_rerun(folder),
        ) from None


def _rerun(folder: Path) -> str:
    """The command that writes the images of this folder again."""
    stage = {"frames": "frames", "alpha": "matte"}.get(folder.name, folder.name)
    return f"./c2a run {folder.parent.name} --from {stage}"
