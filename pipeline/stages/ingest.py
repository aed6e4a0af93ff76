"""ingest: a raw capture becomes capture.json, with every check that was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.capture.settings import IngestSettings
from pipeline.contract.layout import Layout

if TYPE_CHECKING:
    from pipeline.capture.source import Source
    from pipeline.contract.captures_table import CaptureRow


def run(settings: IngestSettings, layout: Layout, threads: int, row: CaptureRow) -> dict:
    """Read, check, decode and hash everything of one capture. Raises InputError naming what is wrong."""
    from pipeline.capture.record import Capture, write_capture
    from pipeline.capture.survey import survey

    source, decisions = _examine(settings, row)
    report = survey(source, row.last, threads)
    for what, detail in decisions:
        report.note(what, detail)
    val, test = _roles(source, row)
    report.note("val cameras", val[1])
    report.note("test sequences", test[1])
    capture = Capture(
        row.id,
        row.kind,
        row.model,
        report.fps,
        source.cameras,
        report.sequences,
        source.plates,
        source.color,
        val[0],
        test[0],
        source.truth,
        tuple(report.checks),
    )
    write_capture(layout.capture, capture)
    frames = sum(sequence["frames"] for sequence in report.sequences.values())
    return {
        "cameras": len(source.cameras),
        "sequences": len(report.sequences),
        "frames": frames,
        "fps": report.fps,
        "failed_checks": [c for c in report.checks if not c["ok"]],
    }


def preflight(row: CaptureRow, settings: IngestSettings | None = None) -> None:
    """The checks that take no decoding of whole videos: files, calibration, sizes, plates, names of cameras and sequences.

    A synthetic capture that is not there yet passes. Raises InputError.
    """
    if row.kind == "synthetic" and not (row.path / "raw").is_dir():
        return
    source, _ = _examine(settings or IngestSettings(), row)
    _roles(source, row)


def _examine(settings: IngestSettings, row: CaptureRow) -> tuple[Source, list[tuple[str, str]]]:
    from pipeline.capture import source as checks

    source = _open(settings, row)
    checks.check_complete(source)
    source = checks.check_sizes(source)
    checks.check_plates(source)
    sizes = f"the pictures of {len(source.cameras)} cameras are as big as {source.calibration.name} says"
    corrected = f"{len(source.color)} cameras have a colour calibration" if source.color else "no colour calibration"
    return source, [("calibration", sizes), ("color", corrected), *(("reading", note) for note in source.notes)]


def _open(settings: IngestSettings, row: CaptureRow) -> Source:
    from dataclasses import replace

    from pipeline.capture.color import read_color
    from pipeline.capture.nersemble import read_nersemble
    from pipeline.capture.rig_reader import read_rig

    if row.kind == "rig":
        source = read_rig(row.path, calibration=row.calibration, plates=row.plates, timestamps=row.timestamps, sequences=row.sequences)
        return replace(source, color=read_color(row.color, row.id, tuple(camera.name for camera in source.cameras)))
    synthetic = row.kind == "synthetic"
    root, truth = (row.path / "raw", row.path / "truth") if synthetic else (row.path, None)
    exclude = () if synthetic else settings.exclude
    return read_nersemble(root, row.id, exclude=exclude, sequences=row.sequences, plates=row.plates, color=row.color, truth=truth)


def _roles(source: Source, row: CaptureRow) -> tuple[tuple[tuple[str, ...], str], tuple[tuple[str, ...], str]]:
    from pipeline.capture.roles import choose_test_sequences, choose_val_cameras

    return choose_val_cameras(source.cameras, row.val_cameras), choose_test_sequences(sorted(source.footage), row.test_sequences)
