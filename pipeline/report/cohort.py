"""Table and page over many captures: quality, time, memory and a render of each, and the errors of failed ones."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contract.layout import Layout
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.packed import PackedImages
from pipeline.io.validation import is_name
from pipeline.io.words import counted
from pipeline.report import page, records
from pipeline.report.records import SPLITS, median_render

COLUMNS = (
    *("id", "variant", "state", "reached", "warnings", "failed_stage", "reason", "attempt", "job", "host"),
    *(f"{split}_{what}" for split in SPLITS for what in ("psnr_box", "ssim_box")),
    *("splats", "train_seconds", "total_seconds", "peak_memory_mb", "slowest_stage"),
)
_SHOWN = {
    **{"state": "state", "reached": "last stage", "warnings": "warnings"},
    **{f"{split}_{what}_box": f"{split} {what.upper()}" for split in SPLITS for what in ("psnr", "ssim")},
    **{"splats": "splats", "train_seconds": "training, s", "total_seconds": "all stages, s", "peak_memory_mb": "memory, MB"},
}
"""Columns of the page, and their titles."""
IMAGE_WIDTH = 150


@dataclass
class Member:
    """One capture or group, or a variant of it.

    Attributes:
        state: done, running, failed, interrupted or unfinished.
        reached: the last stage with results.
        failed, error: stage and record of a failure.
        report: its report, where that is current. command: the one that resumes it.
    """

    layout: Layout
    state: str
    reached: str = ""
    failed: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    report: Path | None = None
    command: str = ""

    @property
    def id(self) -> str:
        return self.layout.results.name

    @property
    def title(self) -> str:
        return self.id + (f" ({self.layout.variant})" if self.layout.variant else "")

    @cached_property
    def warnings(self) -> list[tuple[str, str]]:
        return records.warnings(self.layout)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return records.read_record(self.layout.metrics) or {}

    @cached_property
    def seconds(self) -> dict[str, float]:
        return {stage: float(m.get("timing", {}).get("seconds", 0)) for stage, m in self.manifests.items()}

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        return records.manifests(self.layout)

    def values(self) -> dict[str, Any]:
        """The cells of the table by column; None for empty cells, and in all but the first where a file was changed by hand."""
        try:
            return self._values()
        except MALFORMED as error:
            return dict.fromkeys(COLUMNS) | {"id": self.id, "state": self.state, "reason": f"its results cannot be read: {error}"}

    def _values(self) -> dict[str, Any]:
        memory = [m["timing"]["peak_memory_mb"] for m in self.manifests.values() if m.get("timing", {}).get("peak_memory_mb")]
        found: dict[str, Any] = {name: None for name in COLUMNS}
        found |= {
            "id": self.id,
            "variant": self.layout.variant or None,
            "warnings": len(self.warnings) or None,
            "state": self.state,
            "reached": self.reached or None,
            "failed_stage": self.failed or None,
        }
        found |= {
            "reason": " ".join(str(self.error.get("message", "")).split()) or None,
            **{name: self.error.get(name) or None for name in ("attempt", "job", "host")},
        }
        for split in SPLITS:
            found |= {f"{split}_{what}": _number((self.metrics.get(split) or {}).get(what)) for what in ("psnr_box", "ssim_box")}
        found |= {name: _number(self.metrics.get(name)) for name in ("splats", "train_seconds")}
        found |= {"total_seconds": round(sum(self.seconds.values()), 1) or None, "peak_memory_mb": max(memory, default=None)}
        found["slowest_stage"] = max(self.seconds, key=lambda stage: self.seconds[stage], default=None)
        return found

    def image(self) -> np.ndarray | None:
        """The render of median quality of the first split that has any, uint8 RGB."""
        with contextlib.suppress(InputError, OSError, *MALFORMED):
            for split in SPLITS:
                if rows := [row for row in self.metrics.get("images", []) if row["split"] == split]:
                    row = median_render(rows)
                    if not is_name(row["subject"]) or not is_name(row["camera"]):
                        raise ValueError("an image of another folder")
                    return PackedImages(self.layout.renders(row["subject"]) / f"{row['camera']}.zip").read(row["frame"])[..., :3]
        return None


def cohort_table(members: Sequence[Member]) -> str:
    """Tab-separated table, one line per capture; unknown cells are empty."""
    rows = (member.values() for member in members)
    return "\n".join(["\t".join(COLUMNS), *("\t".join(_cell(row[name]) for name in COLUMNS) for row in rows)]) + "\n"


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    text = " ".join(value.encode("utf-8", "replace").decode().split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text  # a spreadsheet would run it as a formula


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def cohort_page(members: Sequence[Member], folder: Path) -> str:
    """Self-contained HTML page. folder: where it will lie; links to reports are relative to it."""
    values = [member.values() for member in members]
    body = f"<header>\n<h1>{_count(members)}</h1>\n{page.cards(_cards(values))}</header>"
    failures = [member for member in members if member.failed]
    if failures:
        notes = "".join(_failure(member) for member in failures)
        body += page.section("failed", "Failures", "Stage, message and the last lines of the log.", notes)
    rows = [[page.link(m.report, folder, m.title) if m.report else m.title, *(row[name] for name in _SHOWN)] for m, row in zip(members, values)]
    lead = "PSNR (dB) and SSIM in the person's bounding box, over white. A click on a title sorts. cohort.tsv has more columns."
    body += page.section("table", "Table", lead, page.table(("capture or group", *_SHOWN.values()), rows, sortable=True))
    warned = [(member.title, f"{stage}: {text}") for member in members for stage, text in member.warnings]
    if warned:
        body += page.section("warnings", "Warnings", "The results exist, and may be wrong.", page.table(("capture or group", "warning"), warned))
    shape = next((image.shape for member in members if (image := member.image()) is not None), (IMAGE_WIDTH, IMAGE_WIDTH, 3))
    images = page.strip(_image(member, shape, folder) for member in members)
    lead = "The render with median PSNR of each capture, from a held-out camera where there is one; a click opens the report."
    return page.page("Cohort: capture2avatar", body + page.section("renders", "Contact sheet", lead, images), wide=True)


def _count(members: Sequence[Member]) -> str:
    captures, groups = ({member.id for member in members if bool(member.layout.group) == of_group} for of_group in (False, True))
    variants = sum(bool(member.layout.variant) for member in members)
    parts = [counted(len(groups), "group")] if groups else []
    parts += [counted(len(captures), "capture")] if captures or not groups else []
    return " and ".join(parts) + (f", {counted(variants, 'variant')}" if variants else "")


def _cards(values: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    states = [row["state"] for row in values]
    cards = [(str(states.count(state)), state) for state in ("done", "failed", "interrupted", "running", "unfinished") if state in states]
    for split in SPLITS:
        found = [row[f"{split}_psnr_box"] for row in values if row[f"{split}_psnr_box"] is not None]
        if found:
            cards.append((f"{np.median(found):.2f} dB", f"median PSNR, {split}; worst {min(found):.2f}"))
    hours = sum(row["total_seconds"] or 0 for row in values) / 3600
    return [*cards, (f"{hours:.1f} h", "work in all stages")]


def _failure(member: Member) -> str:
    return page.note(f"{member.title}: {member.failed} failed", records.failure_text(member.error), member.command)


def _image(member: Member, shape: tuple[int, ...], folder: Path) -> str:
    image = member.image()
    if image is None:
        image = np.full(shape, 235, np.uint8)
    state = f"{member.failed} failed" if member.failed else member.state
    figure = page.figure(image, member.title if member.state == "done" else f"{member.title}: {state}", widest=IMAGE_WIDTH)
    return f'<a href="{page.address(member.report, folder)}">{figure}</a>' if member.report else figure
