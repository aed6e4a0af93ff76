"""Processed frames on disk: what every stage after `frames` reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.capture.camera import Camera
from pipeline.io.errors import InputError
from pipeline.io.files import read_json, sha256, write_json
from pipeline.io.packed import PackedImages


@dataclass(frozen=True)
class Frame:
    """One instant, seen by all cameras. `frame` is the index in the original video of the first camera, `time` in seconds."""

    id: str
    sequence: str
    frame: int
    time: float


def frame_id(sequence: str, frame: int) -> str:
    """The name of a frame's image in every packed zip."""
    return f"{sequence}_{frame:06d}"


@dataclass(frozen=True)
class ImageSet:
    """A folder of packed images, one zip per camera, and the json that describes it (`frames.json`, `alpha.json`).

    Attributes:
        cameras: the cameras of these very pictures (pinhole, after undistortion, crop and resize).
        frames: the frames that every zip holds. archives: size and hash of each camera's zip.
        facts: whatever else the stage has to say (JSON).
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
        """The images of one camera, after a check that the zip is the one described (size; see `verify` for the hash)."""
        path, known = self.path(camera), self.archives[camera]
        size = path.stat().st_size if path.is_file() else None
        if size != known["size"]:
            raise InputError(
                "is not the file its description speaks of", file=path, found=f"{size} bytes", expected=f"{known['size']} bytes", remedy=_remake(self.folder)
            )
        return PackedImages(path)

    def verify(self, part: slice | None = None) -> None:
        """Compare every zip, or those of a part of the cameras, with its recorded hash. Raises InputError naming the first that differs."""
        for camera in self.cameras[part or slice(None)]:
            path, known = self.path(camera.name), self.archives[camera.name]
            found = sha256(path) if path.is_file() else "no such file"
            if found != known["sha256"]:
                raise InputError("was changed after it was written", file=path, found=found, expected=known["sha256"], remedy=_remake(self.folder))

    @property
    def by_name(self) -> dict[str, Camera]:
        return {camera.name: camera for camera in self.cameras}


def write_image_set(description: Path, folder: Path, cameras: tuple[Camera, ...], frames: tuple[Frame, ...], facts: dict[str, Any]) -> None:
    """Describe the zips that stand in `folder` (one per camera) in the file `description`."""
    archives = {c.name: {"size": (folder / f"{c.name}.zip").stat().st_size, "sha256": sha256(folder / f"{c.name}.zip")} for c in cameras}
    write_json(description, {"cameras": [c.to_json() for c in cameras], "frames": [asdict(f) for f in frames], "archives": archives, "facts": facts})


def read_image_set(description: Path, folder: Path) -> ImageSet:
    """Inverse of `write_image_set`. Raises InputError where the file is missing or is not such a description."""
    record = read_json(description, remedy=_remake(folder))
    try:
        cameras = tuple(Camera.from_json(c) for c in record["cameras"])
        frames = tuple(Frame(**f) for f in record["frames"])
        return ImageSet(folder, cameras, frames, record["archives"], record["facts"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("does not describe packed images", file=description, found=repr(error), remedy=_remake(folder)) from None


def _remake(folder: Path) -> str:
    stage = {"frames": "frames", "alpha": "matte"}.get(folder.name, folder.name)
    return f"./c2a run {folder.parent.name} --from {stage}"
