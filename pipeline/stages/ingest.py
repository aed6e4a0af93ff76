"""Stage `ingest`: a raw capture to capture.json, with every check that was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.capture.settings import IngestSettings
from pipeline.stages.job import Declared, Job

if TYPE_CHECKING:
    from pipeline.capture.source import Source
    from pipeline.contract.captures_table import CaptureRow


_FILMED = ("nersemble", "rig", "synthetic")
USERS = {  # column of captures.tsv -> the kinds of dataset that use it, of those that not all use
    **dict.fromkeys(("units", "convention", "timestamps"), ("rig",)),
    "calibration": ("rig", "colmap"),
    "mattes": ("rig", "colmap", "blender"),
    **dict.fromkeys(("plates", "color"), _FILMED),
    "sequences": (*_FILMED, "blender", "gaussian_avatars"),
}


def run(job: Job) -> dict:
    """Read, check, decode and hash everything of one capture. Raises InputError naming what is wrong."""
    from pipeline.capture.aim import axis_warnings
    from pipeline.capture.intrinsics import principal_point_warnings
    from pipeline.capture.record import Capture, write_capture
    from pipeline.capture.survey import IMAGE_RATE, survey
    from pipeline.io.files import sha256

    source, decisions = _examine(job.settings, job.cells)
    sources = source.fingerprints()  # before anything is decoded: what changes meanwhile is noticed the next time
    report = survey(source, job.threads, job.cells.fps or source.rate or IMAGE_RATE)
    for what, detail in decisions:
        report.note(what, detail)
    capture = Capture(
        job.cells.id,
        job.cells.kind,
        report.fps,
        source.cameras,
        report.sequences,
        source.plates,
        source.color,
        source.truth,
        tuple(report.checks),
        {name: sha256(path) for name, path in source.plates.items() if path},
        source.held_out,
        source.points,
        sha256(source.points) if source.points else "",
        source.whole,
    )
    for sequence, tracking in source.tracking.items():
        capture.sequences[sequence]["tracking"] = {"files": [str(file) for file in tracking.files], "shift": list(tracking.shift)}
    write_capture(job.outputs.capture, capture)
    frames = sum(sequence["frames"] for sequence in report.sequences.values())
    return {
        "cameras": len(source.cameras),
        "sequences": len(report.sequences),
        "frames": frames,
        "fps": report.fps,
        "failed_checks": [c for c in report.checks if not c["ok"]],
        "sources": sources,
        "warnings": _unused_cells(job.cells, source) + ([] if source.whole else principal_point_warnings(source.cameras) + axis_warnings(source.cameras)),
    }


def _unused_cells(cells: Declared, source: Source) -> list[str]:
    """Warnings about cells of captures.tsv that change nothing."""
    filled = [name for name, kinds in USERS.items() if cells.kind not in kinds and getattr(cells, name)]
    texts = [
        f"captures.tsv: the column '{name}' is not used by the kind '{cells.kind}', only by {' and '.join(USERS[name])}; remove the value" for name in filled
    ]
    if cells.fps and all(path.is_file() for videos in source.footage.values() for path in videos.values()):
        texts.append(
            "captures.tsv: the column 'fps' is not used: videos have their own time stamps. Remove the value; for other times use the column 'timestamps'"
        )
    return texts


def preflight(row: CaptureRow, settings: IngestSettings | None = None, *, single: bool = False) -> None:
    """The checks that take no decoding of whole videos: files, calibration, sizes, plates, names of cameras and sequences, and cameras enough for a fit.

    A synthetic capture that is not there yet passes. Raises InputError.

    Args:
        single: one camera is enough, since nothing is to be fitted.
    """
    from pipeline.capture.roles import check_enough, choose_test_sequences, choose_val_cameras

    if row.kind == "synthetic" and not (row.path / "raw").is_dir():
        return
    source, _ = _examine(settings or IngestSettings(), row)
    val_cameras, _ = choose_val_cameras(source.cameras, row.val_cameras, source.held_out)
    if not single and not source.tracking:
        check_enough(source.cameras, val_cameras, source.calibration)
    choose_test_sequences(sorted(source.footage), row.test_sequences, source.held_out)


def _examine(settings: IngestSettings, cells: CaptureRow | Declared) -> tuple[Source, list[tuple[str, str]]]:
    from pipeline.capture import source as checks

    source = _open(settings, cells)
    checks.check_complete(source)
    source = checks.check_sizes(source)
    checks.check_plates(source)
    sizes = f"the images of {len(source.cameras)} cameras have the size that {source.calibration.name} says"
    corrected = f"{len(source.color)} cameras have a colour calibration" if source.color else "no colour calibration"
    return source, [("calibration", sizes), ("color", corrected), *(("reading", note) for note in source.notes)]


def _open(settings: IngestSettings, cells: CaptureRow | Declared) -> Source:
    from dataclasses import replace

    from pipeline.capture.color import color_files, read_color
    from pipeline.capture.gaussian_avatars import read_gaussian_avatars
    from pipeline.capture.nersemble import read_nersemble
    from pipeline.capture.rig_reader import read_rig
    from pipeline.capture.scene_reader import read_blender, read_colmap

    if cells.kind == "rig":
        names = ("calibration", "units", "convention", "plates", "mattes", "timestamps", "sequences")
        source = read_rig(cells.path, **{name: getattr(cells, name) for name in names})
        cameras = tuple(camera.name for camera in source.cameras)
        color, files = read_color(cells.color, cells.id, cameras), color_files(cells.color, cells.id, cameras)
        return replace(source, color=color, read=(*source.read, *files))
    if cells.kind == "gaussian_avatars":
        return read_gaussian_avatars(cells.path, cells.sequences)
    if cells.kind == "colmap":
        return read_colmap(cells.path, mattes=cells.mattes, model=cells.calibration)
    if cells.kind == "blender":
        return read_blender(cells.path, mattes=cells.mattes, splits=cells.sequences)
    synthetic = cells.kind == "synthetic"
    root, truth = (cells.path / "raw", cells.path / "truth") if synthetic else (cells.path, None)
    exclude = () if synthetic else settings.exclude
    return read_nersemble(root, cells.id, exclude=exclude, sequences=cells.sequences, plates=cells.plates, color=cells.color, truth=truth)
