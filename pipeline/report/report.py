"""The report of an avatar, of a capture or a group: the avatar, its figures and warnings, then a section per stage.

Missing results leave a note in their section.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES, DEFAULT_METHOD
from pipeline.io.errors import InputError
from pipeline.report import page, sections_input, sections_render, sections_result, sections_run, sections_top
from pipeline.report.context import Context
from pipeline.report.records import capture_stages
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
    Section("ingest", "Capture", "Videos, cameras and the checks of the input.", sections_input.capture),
    Section("frames", "Frames", "One frame of each camera, undistorted, cropped, resized and colour-corrected.", sections_input.frames),
    Section("sample", "Train/test split", "Which frames train, and which are kept for test.", sections_input.sample),
    Section("matte", "Mattes", "Foreground of the subject.", sections_input.matte),
    Section("keypoints", "Keypoints", "2D keypoints detected in each image: face in blue, body in orange.", sections_input.keypoints),
    Section("fit", "Model fit", "The parametric model in all frames.", sections_result.fit),
)
GROUP_SECTIONS = (
    Section("sample", "Captures", "The captures of the group in brief.", sections_input.member, each=True),
    Section("fit", "Model fit", "The parametric model in all frames.", sections_result.fit, each=True),
)
AVATAR_SECTIONS = (
    Section("init", "Initialisation", "The splats before training, with colours from the images.", sections_result.init, each=True),
    Section("train", "Training", "Training curves.", sections_result.train),
    Section("evaluate", "Renders vs. ground truth", "Renders of images that training never saw.", sections_render.renders, each=True),
    Section("render", "Videos", "Renders of the held-out cameras and of the test frames.", sections_render.videos, each=True),
    Section("evaluate", "Metrics", "Renders compared with the ground truth, over white.", sections_render.metrics),
)

RUN_SECTIONS = (
    Section("", "Files", "Links into the folder of results.", sections_top.files),
    Section("", "Settings", "The settings that were used.", sections_run.settings),
    Section("", "Run", "Version, machine and command; time and memory of every stage.", sections_run.run),
)


def sections_of(layout: Layout) -> tuple[Section, ...]:
    """The sections about the results of stages, in order; none of a stage that is not run."""
    run = {stage for member in layout.members for stage in capture_stages(member)}
    return tuple(part for part in (GROUP_SECTIONS if layout.group else CAPTURE_SECTIONS) if part.stage in run) + AVATAR_SECTIONS


def make_report(layout: Layout, settings: ReportSettings, folder: Path | None = None, command: str = "") -> tuple[str, list[str]]:
    """The page, and the titles of sections without content.

    Args:
        folder: where the page will lie; default: where the stage writes it. command: the one that resumes; default: with the method and variant alone.
    """
    folder, command = folder or layout.report.parent, command or _resume(layout)
    contexts, bodies, missing = [Context(layout, settings, folder, command, number) for number in range(len(layout.members))], [], []
    for part in sections_of(layout):
        body, drawn = _drawn_for_each(part, contexts) if part.each and layout.group else _drawn(part, contexts[0])
        bodies.append(page.section(_anchor(part.title), part.title, part.lead, body))
        missing += [] if drawn else [part.title]
    for part in RUN_SECTIONS:
        bodies.append(page.section(_anchor(part.title), part.title, part.lead, _drawn(part, contexts[0])[0]))
    titles = [part.title for part in (*sections_of(layout), *RUN_SECTIONS)]
    links = "".join(f'<a href="#{_anchor(title)}">{page.escape(title)}</a>' for title in titles)
    return page.page(f"{contexts[0].id}: capture2avatar", f"{_top(contexts)}<nav>{links}</nav>" + "\n".join(bodies)), missing


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


def _top(contexts: Sequence[Context]) -> str:
    first, variant = contexts[0], contexts[0].layout.variant
    title = page.escape(first.id + (f" ({variant})" if variant else ""))
    head = f"<h1>{title}</h1>\n<p class=soft>{page.escape(sections_top.state(first))}</p>"
    return f"<header>\n{head}\n{sections_top.avatar(contexts)}{sections_top.figures(first)}{sections_top.warnings(first.layout)}</header>"


def _resume(layout: Layout) -> str:
    options = [*(["--method", layout.method] if layout.method != DEFAULT_METHOD else []), *(["--name", layout.variant] if layout.variant else [])]
    return shlex.join(["./c2a", "run", layout.results.name, *options])


def _command(context: Context, stage: str = "") -> str:
    return context.command + (f" --from {stage}" if stage else "")


def _anchor(title: str) -> str:
    return re.sub("[^a-z]+", "-", title.lower())
