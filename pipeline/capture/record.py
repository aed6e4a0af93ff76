"""capture.json: the description of a capture, written by `ingest` and read by the stages after it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.capture.camera import Camera
from pipeline.capture.camera_checks import check_camera
from pipeline.capture.color import ColorCalibration
from pipeline.capture.source import HeldOut, Tracking
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json, write_json
from pipeline.io.validation import is_name


@dataclass(frozen=True)
class Capture:
    """The content of capture.json.

    Attributes:
        cameras: as calibrated, with distortion.
        sequences: {name: {"frames", "videos": {camera: {"path", "size", "sha256", "width", "height", "frames", "fps"}},
            "sync"}}; a video with mattes of the user's has "matte": {"path", "sha256"}, a tracked sequence "tracking": {"files", "shift"}.
        plates: {camera: image or None}. plates_sha256: of those that there are. color: {camera: correction}, empty without a colour calibration.
        truth: folder of a synthetic capture's ground truth. checks: [{"what", "ok", "detail"}].
        held_out, whole: as in `Source`. points: the file of a sparse model's points, points_sha256 its hash.
    """

    id: str
    kind: str
    fps: float
    cameras: tuple[Camera, ...]
    sequences: dict[str, dict[str, Any]]
    plates: dict[str, Path | None]
    color: dict[str, ColorCalibration]
    truth: Path | None
    checks: tuple[dict[str, Any], ...]
    plates_sha256: dict[str, str] = field(default_factory=dict)
    held_out: HeldOut | None = None
    points: Path | None = None
    points_sha256: str = ""
    whole: bool = False

    def footage(self, sequence: str, camera: str) -> Path:
        """The video or image folder of a camera."""
        return Path(self.sequences[sequence]["videos"][camera]["path"])

    def matte(self, sequence: str, camera: str) -> Path | None:
        """The video or image folder of the mattes that the user gave for a camera; None where there is none."""
        record = self.sequences[sequence]["videos"][camera].get("matte")
        return Path(record["path"]) if record else None

    def tracking(self, sequence: str) -> Tracking | None:
        """The model parameters that the dataset brings; None where it has none."""
        record = self.sequences[sequence].get("tracking")
        return Tracking(tuple(Path(file) for file in record["files"]), tuple(float(x) for x in record["shift"])) if record else None

    def index(self, sequence: str, camera: str, frame: int) -> int:
        """Index in `camera`'s footage of the frame that is simultaneous with `frame` of the first camera."""
        indices = self.sequences[sequence]["sync"].get("indices")
        return frame if indices is None else int(indices[camera][frame])

    def time(self, sequence: str, frame: int) -> float:
        """Seconds from the first frame of the sequence."""
        times = self.sequences[sequence]["sync"].get("times")
        return round(frame / self.fps, 6) if times is None else float(times[frame])

    def flagged(self, sequence: str) -> set[int]:
        """Frames whose cameras are more than half a frame apart."""
        return set(self.sequences[sequence]["sync"].get("flagged", ()))

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "fps": self.fps,
            "cameras": [camera.to_json() for camera in self.cameras],
            "sequences": self.sequences,
            "plates": {name: None if path is None else str(path) for name, path in self.plates.items()},
            "plates_sha256": self.plates_sha256,
            "color": {name: color.to_json() for name, color in self.color.items()},
            "truth": None if self.truth is None else str(self.truth),
            "checks": list(self.checks),
            **({"held_out": asdict(self.held_out)} if self.held_out else {}),
            **({"points": {"path": str(self.points), "sha256": self.points_sha256}} if self.points else {}),
            **({"whole": True} if self.whole else {}),
        }


def write_capture(path: Path, capture: Capture) -> None:
    """Write capture.json."""
    write_json(path, capture.to_json())


def read_capture(path: Path) -> Capture:
    """Inverse of `write_capture`. Raises InputError if the file is missing or not a capture.json."""
    remedy = f"./c2a run {path.parent.name} --from ingest"
    record = read_json(path, remedy=remedy)
    try:
        return Capture(
            id=record["id"],
            kind=record["kind"],
            fps=float(record["fps"]),
            cameras=tuple(check_camera(Camera.from_json(camera), path) for camera in record["cameras"]),
            sequences=_checked(record["sequences"]),
            plates={name: None if plate is None else Path(plate) for name, plate in record["plates"].items()},
            color={name: ColorCalibration.from_json(color) for name, color in record["color"].items()},
            truth=None if record["truth"] is None else Path(record["truth"]),
            checks=tuple(record["checks"]),
            plates_sha256=dict(record.get("plates_sha256", {})),
            held_out=_held_out(record.get("held_out")),
            points=Path(record["points"]["path"]) if "points" in record else None,
            points_sha256=str(record["points"]["sha256"]) if "points" in record else "",
            whole=bool(record.get("whole", False)),
        )
    except MALFORMED as error:
        raise InputError(
            "is not a capture.json",
            file=path,
            found=repr(error),
            expected="the file that `ingest` writes",
            remedy=remedy,
        ) from None


def _held_out(record: Any) -> HeldOut | None:
    """The entry `held_out`; raises one of MALFORMED where it is another thing."""
    if record is None:
        return None
    frames = record.get("frames")
    tested = None if frames is None else {str(name): tuple(int(index) for index in indices) for name, indices in frames.items()}
    return HeldOut(tuple(map(str, record["cameras"])), str(record["why"]), tested)


def _checked(sequences: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entry `sequences`; raises one of MALFORMED where it lacks what is read of it."""
    for name, sequence in sequences.items():
        if not is_name(name) or not isinstance(sequence["sync"], dict):
            raise ValueError(f"sequence {name!r}")
        int(sequence["frames"]), [Path(video["path"]) for video in sequence["videos"].values()]
    return sequences
