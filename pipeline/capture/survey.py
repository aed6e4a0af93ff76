"""Full check of a capture: decode all footage once and compare the cameras of each sequence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.capture.media import Media, inspect
from pipeline.capture.source import Source
from pipeline.capture.sync import Sync, match_times, read_timestamps
from pipeline.io.errors import InputError
from pipeline.io.parallel import map_processes

IMAGE_RATE = 30.0  # frames per second assumed for image folders without time stamps


@dataclass
class Survey:
    """Result: `sequences` and `checks` as in capture.json, `fps` of the first camera of the first sequence."""

    sequences: dict[str, dict[str, Any]] = field(default_factory=dict)
    fps: float = 0.0
    checks: list[dict[str, Any]] = field(default_factory=list)

    def note(self, what: str, detail: str, ok: bool = True) -> None:
        """Add an entry to `checks`."""
        self.checks.append({"what": what, "ok": ok, "detail": detail})


def survey(source: Source, threads: int, image_rate: float = IMAGE_RATE) -> Survey:
    """Decode all footage in parallel and compare the cameras of each sequence.

    Videos without time stamps may differ in length: the stage `frames` checks which frames are used.

    Args:
        threads: number of worker processes.
        image_rate: frames per second of image folders without time stamps.

    Raises InputError if footage is truncated, if frame rates differ and there are no time stamps, or if mattes do not belong to their footage.
    """
    paths = [path for footage in (source.footage, source.mattes) for videos in footage.values() for path in videos.values()]
    paths = list(dict.fromkeys(paths))
    results = map_processes(inspect, [(path,) for path in paths], threads, "videos")
    by_path = dict(zip(paths, results))
    report = Survey()
    images = sum(media.frames for media in results)
    report.note("decoding", f"{len(results)} videos or image folders fully decoded, {images} images")
    for sequence in source.footage:
        media = {camera.name: by_path[source.footage[sequence][camera.name]] for camera in source.cameras}
        mattes = {camera: by_path[path] for camera, path in source.mattes.get(sequence, {}).items()}
        check_mattes(media, mattes)
        stamps = source.timestamps.get(sequence)
        sync = _with_timestamps(sequence, media, stamps, report) if stamps else _without_timestamps(sequence, media, image_rate, report)
        videos = {
            camera: {
                "path": str(m.path),
                "size": m.size,
                "sha256": m.sha256,
                "width": m.width,
                "height": m.height,
                "frames": m.frames,
                "fps": round(m.fps, 6),
                **({"matte": {"path": str(mattes[camera].path), "sha256": mattes[camera].sha256}} if camera in mattes else {}),
            }
            for camera, m in media.items()
        }
        report.sequences[sequence] = {
            "frames": min(m.frames for m in media.values()) if not stamps else next(iter(media.values())).frames,
            "videos": videos,
            "sync": sync,
        }
    return report


def check_mattes(media: dict[str, Media], mattes: dict[str, Media]) -> None:
    """Check that mattes have the number of frames and the size of their camera's footage. Raises InputError for the first that have not."""
    for camera, matte in mattes.items():
        found, expected = ((m.frames, m.width, m.height) for m in (matte, media[camera]))
        if found != expected:
            raise InputError(
                f"the mattes of camera '{camera}' do not belong to its footage",
                file=matte.path,
                found="{} frames of {}x{}".format(*found),
                expected="{} frames of {}x{}, as in {}".format(*expected, media[camera].path),
                remedy="correct the mattes, or write `none` in the column 'mattes' of captures.tsv",
            )


def _with_timestamps(sequence: str, media: dict[str, Media], stamps: Path, report: Survey) -> dict[str, Any]:
    """Match the frames of the cameras by a csv of time stamps; returns "sync" of capture.json."""
    sync = match_times(read_timestamps(stamps, {camera: m.frames for camera, m in media.items()}))
    report.fps = report.fps or round(1 / sync.interval, 6) if sync.interval else report.fps
    _note_sync(sequence, sync, report, f"time stamps of {stamps.name}")
    return sync.to_json(whole=True)


def _without_timestamps(sequence: str, media: dict[str, Media], image_rate: float, report: Survey) -> dict[str, Any]:
    """Compare the cameras of a sequence by frame index; returns "sync" of capture.json."""
    counts = {camera: m.frames for camera, m in media.items()}
    shortest = min(counts, key=counts.__getitem__)
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{camera} {n}" for camera, n in counts.items())
        report.note("frame counts", f"{sequence}: {lengths}; only the first {counts[shortest]} can be used", ok=False)
    else:
        report.note("frame counts", f"{sequence}: {counts[shortest]} in each of {len(counts)} cameras")
    count = counts[shortest]
    times = {camera: np.array(m.timestamps[:count]) - m.timestamps[0] for camera, m in media.items() if m.timestamps}
    if len(times) < len(media):
        report.fps = report.fps or image_rate
        report.note("time stamps", f"{sequence}: images have none; assumed simultaneous, {report.fps:g} frames per second")
        return {}
    lead = next(iter(times.values()))
    sync = Sync(lead, {}, np.max([np.abs(other - lead) for other in times.values()], axis=0))
    report.fps = report.fps or next(iter(media.values())).fps
    if sync.interval and np.median(sync.error) > sync.interval / 2:
        raise InputError(
            f"the cameras of sequence '{sequence}' have different frame rates",
            file=next(iter(media.values())).path,
            found=", ".join(f"{camera} {m.fps:g} fps" for camera, m in media.items()),
            expected="the same rate, or a csv of time stamps",
            remedy="convert the videos to one frame rate, or fill the column 'timestamps' of captures.tsv",
        )
    _note_sync(sequence, sync, report, "the videos' own time stamps")
    return sync.to_json(whole=False)


def _note_sync(sequence: str, sync: Sync, report: Survey, source: str) -> None:
    error = sync.error * 1000
    flagged = len(sync.flagged)
    difference = f"{np.median(error):.1f} ms (median), {error.max():.1f} ms (largest)"
    detail = f"{sequence}: {source} differ by {difference}; {flagged} of {len(error)} frames by more than half a frame"
    report.note("time stamps", detail, ok=flagged == 0)
