"""The report of one capture: a page with a section per stage. Missing results leave a note in their section."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.report import page, sections_input, sections_result
from pipeline.report.context import Context
from pipeline.report.settings import ReportSettings

PACKAGES = ("numpy", "scipy", "torch", "numba", "opencv-python-headless", "av", "mediapipe", "matplotlib", "snakemake")


@dataclass(frozen=True)
class Section:
    """A section of the page. stage: whose results it shows; draw: returns its markup, or raises where they are missing."""

    stage: str
    title: str
    lead: str
    draw: Callable[[Context], str]


SECTIONS = (
    Section("ingest", "Capture", "Videos, camera positions and the checks of the input.", sections_input.capture),
    Section("frames", "Frames", "One frame of the cameras, undistorted, cropped, resized and colour-corrected.", sections_input.frames),
    Section("sample", "Sample", "Training and test frames.", sections_input.sample),
    Section("matte", "Mattes", "Foreground of the subject.", sections_input.matte),
    Section("keypoints", "Keypoints", "2D detections: face in blue, body in orange.", sections_input.keypoints),
    Section("fit", "Mesh", "The tracked parametric mesh over the frames.", sections_result.fit),
    Section("init", "Initialisation", "Gaussians before training, with colours from the frames.", sections_result.init),
    Section("train", "Training", "Loss and other values over the training steps.", sections_result.train),
    Section("evaluate", "Renders and truth", "Renders of images that training never saw.", sections_result.renders),
    Section("render", "Videos", "The trained avatar in motion.", sections_result.videos),
    Section("evaluate", "Metrics", "Renders compared with the truth, over white.", sections_result.metrics),
)


def make_report(layout: Layout, settings: ReportSettings) -> tuple[str, list[str]]:
    """The page, and the titles of sections without content."""
    context, bodies, missing = Context(layout, settings), [], []
    for part in SECTIONS:
        body, drawn = _drawn(part, context)
        bodies.append(page.section(_anchor(part.title), part.title, part.lead, body))
        missing += [] if drawn else [part.title]
    bodies.append(page.section("run", "Run", "Time and memory of every stage, and versions.", _run(context)))
    links = "".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in [*(part.title for part in SECTIONS), "Run"])
    return page.page(f"{context.id}: capture2avatar", _top(context) + f"<nav>{links}</nav>" + "\n".join(bodies)), missing


def _drawn(part: Section, context: Context) -> tuple[str, bool]:
    failed = context.errors.get(part.stage)
    before = page.note(f"The last attempt at the stage '{part.stage}' failed.", failed, _command(context)) if failed else ""
    try:
        return before + part.draw(context), True
    except InputError as error:
        why = "" if failed else "\n".join(line for line in str(error).splitlines() if not line.startswith("  next:"))  # the note has the command
        command = "" if failed else _command(context, part.stage if part.stage in context.manifests else "")
        return before + page.note(f"No results of the stage '{part.stage}', or not as expected.", why, command), False
    except Exception as error:  # noqa: BLE001  (a page with one empty section is more useful than none)
        return before + page.note("This section could not be drawn.", f"{type(error).__name__}: {error}", _command(context, part.stage)), False


def _top(context: Context) -> str:
    done, failed = len([stage for stage in context.manifests if stage != "report"]), list(context.errors)
    state = f"{done} of {len(method_of(context.layout.method).table) - 1} stages have results" + (f"; failed: {', '.join(failed)}" if failed else "")
    return f"<header>\n<h1>{page.escape(context.id)}</h1>\n<p class=soft>An avatar by the method '{page.escape(context.layout.method)}'. {page.escape(state)}.</p>\n{_cards(context)}</header>"


def _cards(context: Context) -> str:
    try:
        record = context.metrics
    except InputError:
        return ""
    items = []
    for split, what in (("val", "validation camera"), ("novel", "novel camera"), ("test", "test frames")):
        figures: dict[str, Any] | None = record.get(split)
        if figures and figures.get("psnr_box") is not None:
            items.append((f"{figures['psnr_box']:.2f} dB", f"PSNR, {what}, box; SSIM {figures['ssim_box']:.3f}"))
    items.append((f"{record['splats']:,}", "Gaussians"))
    items += [
        (_duration(record[name]), what)
        for name, what in (("train_seconds", "training"), ("pipeline_seconds", "capture to renders"))
        if record.get(name) is not None
    ]
    return page.cards(items)


def _run(context: Context) -> str:
    manifests = {stage: manifest for stage, manifest in context.manifests.items() if stage != "report"}
    rows = [
        (stage, m.get("version"), m["timing"].get("seconds"), m["timing"].get("peak_memory_mb"), _facts(m.get("facts", {})))
        for stage, m in manifests.items()
        if "timing" in m
    ]
    longest = max((row[2] for row in rows if row[2]), default=0.0)
    timings = page.table(("stage", "version", "seconds", "peak memory, MB", "facts"), rows, bars={2: longest or 1.0})
    pythons = sorted({m["timing"]["python"] for m in manifests.values() if "python" in m.get("timing", {})})
    versions = [("Python", ", ".join(pythons) or platform.python_version()), *((name, found) for name in PACKAGES if (found := _version(name)))]
    command = page.paragraph("Packages installed where this page was written:")
    return timings + command + page.table(("package", "version"), versions)


def _facts(facts: dict[str, Any]) -> str:
    short = {name: value for name, value in facts.items() if isinstance(value, str | int | float | bool)}
    return ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in list(short.items())[:6])[:160]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _command(context: Context, stage: str = "") -> str:
    return f"./c2a run {context.id}" + (f" --from {stage}" if stage else "")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
