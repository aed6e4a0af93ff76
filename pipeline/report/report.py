"""The report of an avatar, of a capture or a group: a page with a section per stage. Missing results leave a note in their section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import MALFORMED, InputError
from pipeline.report import page, sections_input, sections_result, sections_run
from pipeline.report.context import Context
from pipeline.report.settings import ReportSettings


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        stage: whose results it shows.
        draw: returns its markup, or raises where they are missing.
        each: it shows one subject; of a group it is drawn for each of them.
    """

    stage: str
    title: str
    lead: str
    draw: Callable[[Context], str]
    each: bool = False


CAPTURE_SECTIONS = (
    Section("ingest", "Capture", "Videos, camera positions and the checks of the input.", sections_input.capture),
    Section("frames", "Frames", "One frame of the cameras, undistorted, cropped, resized and colour-corrected.", sections_input.frames),
    Section("sample", "Sample", "Training and test frames.", sections_input.sample),
    Section("matte", "Mattes", "Foreground of the subject.", sections_input.matte),
    Section("keypoints", "Keypoints", "2D detections: face in blue, body in orange.", sections_input.keypoints),
    Section("fit", "Mesh", "The tracked parametric mesh over the frames.", sections_result.fit),
)
GROUP_SECTIONS = (
    Section("sample", "Captures", "The captures of the group in brief.", sections_input.member, each=True),
    Section("fit", "Mesh", "The tracked parametric mesh over the frames.", sections_result.fit, each=True),
)
AVATAR_SECTIONS = (
    Section("init", "Initialisation", "Gaussians before training, with colours from the frames.", sections_result.init, each=True),
    Section("train", "Training", "Loss and other values over the training steps.", sections_result.train),
    Section("evaluate", "Renders and truth", "Renders of images that training never saw.", sections_result.renders, each=True),
    Section("render", "Videos", "The trained avatar in motion.", sections_result.videos, each=True),
    Section("evaluate", "Metrics", "Renders compared with the truth, over white.", sections_result.metrics),
)

RUN_SECTIONS = (
    Section("", "Settings", "What this run changed.", sections_run.settings),
    Section("", "Run", "Time and memory of every stage, and versions.", sections_run.run),
)


def sections_of(layout: Layout) -> tuple[Section, ...]:
    """The sections about the results of stages, in order."""
    return (GROUP_SECTIONS if layout.group else CAPTURE_SECTIONS) + AVATAR_SECTIONS


def make_report(layout: Layout, settings: ReportSettings) -> tuple[str, list[str]]:
    """The page, and the titles of sections without content."""
    contexts, bodies, missing = [Context(layout, settings, number) for number in range(len(layout.members))], [], []
    for part in sections_of(layout):
        body, drawn = _drawn_for_each(part, contexts) if part.each and layout.group else _drawn(part, contexts[0])
        bodies.append(page.section(_anchor(part.title), part.title, part.lead, body))
        missing += [] if drawn else [part.title]
    for part in RUN_SECTIONS:
        bodies.append(page.section(_anchor(part.title), part.title, part.lead, _drawn(part, contexts[0])[0]))
    titles = [part.title for part in (*sections_of(layout), *RUN_SECTIONS)]
    links = "".join(f'<a href="#{_anchor(title)}">{page.escape(title)}</a>' for title in titles)
    return page.page(f"{contexts[0].id}: capture2avatar", _top(contexts[0]) + f"<nav>{links}</nav>" + "\n".join(bodies)), missing


def _drawn_for_each(part: Section, contexts: Sequence[Context]) -> tuple[str, bool]:
    bodies = [_drawn(part, context) for context in contexts]
    return "".join(page.heading(context.subject.name) + body for context, (body, _) in zip(contexts, bodies)), all(drawn for _, drawn in bodies)


def _drawn(part: Section, context: Context) -> tuple[str, bool]:
    stage = f"{context.subject.name}/{part.stage}" if context.layout.group and part.stage in CAPTURE_STAGES else part.stage
    failed = context.errors.get(stage)
    before = page.note(f"The last attempt at the stage '{stage}' failed.", failed, _command(context)) if failed else ""
    try:
        return before + part.draw(context), True
    except InputError as error:
        why = "" if failed else "\n".join(line for line in str(error).splitlines() if not line.startswith("  next:"))  # the note has the command
        command = "" if failed else _command(context, part.stage if stage in context.manifests else "")
        return before + page.note(f"No results of the stage '{stage}', or not as expected.", why, command), False
    except Exception as error:  # noqa: BLE001  (a page with one empty section is more useful than none)
        return before + page.note("This section could not be drawn.", f"{type(error).__name__}: {error}", _command(context, part.stage)), False


def _top(context: Context) -> str:
    layout, method = context.layout, method_of(context.layout.method)
    done, failed = [stage for stage in context.manifests if stage != "report"], list(context.errors)
    expected = len(method.avatar_stages) - 1 + (len(CAPTURE_STAGES) - 1) * len(layout.members)
    expected += sum(member.truth.is_file() for member in layout.members)  # that synthesise made
    state = f"{len(done)} of {expected} stages have results" + (f"; failed: {', '.join(failed)}" if failed else "")
    what = f"An avatar of {', '.join(subject.name for subject in layout.subjects)}" if layout.group else "An avatar"
    about = f"{what} by the method '{method.name}': {method.about}. {state}."
    return f"<header>\n<h1>{page.escape(context.id)}</h1>\n<p class=soft>{page.escape(about)}</p>\n{_cards(context)}</header>"


def _cards(context: Context) -> str:
    try:
        return page.cards(_figures(context.metrics))
    except (InputError, *MALFORMED):
        return ""


def _figures(record: dict[str, Any]) -> list[tuple[str, str]]:
    items = []
    for split, what in (("val", "validation camera"), ("novel", "novel camera"), ("test", "test frames")):
        figures: dict[str, Any] | None = record.get(split)
        if figures and figures.get("psnr_box") is not None:
            items.append((f"{figures['psnr_box']:.2f} dB", f"PSNR, {what}, box; SSIM {figures['ssim_box']:.3f}"))
    items += [(f"{record['splats']:,}", "Gaussians")] if record["splats"] else []
    items += [
        (_duration(record[name]), what)
        for name, what in (("train_seconds", "training"), ("pipeline_seconds", "capture to renders"))
        if record.get(name) is not None
    ]
    return items


def _command(context: Context, stage: str = "") -> str:
    return f"./c2a run {context.id}" + (f" --from {stage}" if stage else "")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
