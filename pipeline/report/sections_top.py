"""What the report begins with: the avatar, its figures, warnings, and at the end its files. Each returns markup; what is missing is left out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.contract.layout import Layout
from pipeline.contract.stages import LAST_STAGE
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.progress import clock
from pipeline.io.words import counted
from pipeline.report import page, records
from pipeline.report.context import Context
from pipeline.report.records import SPLITS
from pipeline.report.sections_input import photo
from pipeline.report.sections_render import GROUP_EDGE, TOP_SUBJECTS, by_split, pair, video

MOST_PAIRS = 2  # splits of each capture


def state(context: Context) -> str:
    """Method, and which stages are missing or failed, in a sentence or two."""
    layout, method = context.layout, method_of(context.layout.method)
    of = f" Captures: {', '.join(subject.name for subject in layout.subjects)}." if layout.group else ""
    variant = f", variant {layout.variant}" if layout.variant else ""
    missing = [stage for stage in _expected(layout) if stage not in context.manifests]
    complete = f"Not complete: {', '.join(missing)}." if missing else "All stages complete."
    failed = f" Failed: {', '.join(context.errors)}." if context.errors else ""
    return f"Method: {method.name} ({method.about}){variant}.{of} {complete}{failed}"


def avatar(contexts: Sequence[Context]) -> str:
    """Renders with median PSNR beside the ground truth, and the orbit video."""
    parts: list[str] = []
    for context in contexts[:TOP_SUBJECTS]:
        with contextlib.suppress(InputError, OSError, *MALFORMED):
            own = [row for row in context.metrics["images"] if row["subject"] == context.subject.name]
            found = by_split(own)
            parts += [_pair(context, split, found[split]) for split in [split for split in SPLITS if split in found][:MOST_PAIRS]]
        if (orbit := context.orbit).is_file():
            parts.append(video(context, orbit))
    return f'<div class="strip hero">{"".join(parts)}</div>' if parts else ""


def figures(context: Context) -> str:
    """PSNR and SSIM of each split, why there are none, size and time."""
    with contextlib.suppress(InputError, OSError, *MALFORMED):
        record = context.metrics
        absent = [
            f"{split} ({SPLITS[split]}) has no figure: {_why(context, split, why)}." for split, why in record["missing"].items() if split in ("val", "test")
        ]
        return page.cards(_cards(record)) + (page.bullets(absent) if absent else "")
    return ""


def warnings(layout: Layout) -> str:
    """What the stages warn of."""
    found = [f"{stage}: {text}" for stage, text in records.warnings(layout)]
    return page.note(f"{counted(len(found), 'warning')}: the results exist, and may be wrong.", "\n".join(found)) if found else ""


def files(context: Context) -> str:
    """Links to the files of the results."""
    rows = [(what, [path for path in paths if path.exists()]) for what, paths in _files(context)]
    return page.table(("what", "files"), [(what, page.Markup(", ".join(page.link(path, context.folder) for path in paths))) for what, paths in rows if paths])


def _expected(layout: Layout) -> list[str]:
    table, places = method_of(layout.method).table, records.stage_places(layout).items()
    return [name for name, (place, stage) in places if stage != LAST_STAGE and table[stage].is_for(records.kind_of(place))]


def _pair(context: Context, split: str, rows: list[dict[str, Any]]) -> str:
    row = records.median_render(rows)
    (truth, render, _), box = pair(context, row)
    shown = f"{context.subject.name}: {SPLITS[split]}" if context.layout.group else SPLITS[split].capitalize()
    width = min(2 * truth.shape[1], context.settings.image_width)
    both = [photo(context, truth, "ground truth"), photo(context, render, "render")]
    return page.group(both, f"{shown} {row['camera']}, {row['frame']}: the render with median PSNR{box}", 2 * width + GROUP_EDGE)


def _cards(record: dict[str, Any]) -> list[tuple[str, str]]:
    items = []
    for split, what in SPLITS.items():
        found: dict[str, Any] | None = record.get(split)
        if found and found.get("psnr_box") is not None:
            items.append((f"{found['psnr_box']:.2f} dB", f"PSNR, {what} ({split}), in the person's bounding box; SSIM {found['ssim_box']:.3f}"))
    items += [(f"{record['splats']:,}", "splats")] if record["splats"] else []
    times = (("train_seconds", "training"), ("pipeline_seconds", "all stages up to render"))
    return items + [(clock(record[name]), f"time, {what}") for name, what in times if record.get(name) is not None]


def _why(context: Context, split: str, otherwise: str) -> str:
    """Why a split has no images: of val, sample.json says it."""
    return context.sample["rules"][0] if split == "val" else otherwise


def _files(context: Context) -> list[tuple[str, list[Path]]]:
    """What there is, and the paths, existing or not."""
    layout = context.layout
    found = [
        ("the avatar, for other programs", [layout.avatar_folder / name for name in method_of(layout.method).outputs.values()]),
        ("the animatable avatar (docs/avatar-files.md)", [layout.avatar]),
        ("figures, with definitions", [layout.metrics]),
        ("training curves, held-out images during training", [layout.train_log, layout.validation]),
        ("the avatar during training (./c2a render --snapshot STEP)", sorted(layout.snapshots.glob("*.npz"))),
        ("the avatar before training", [layout.init]),
        ("settings that runs of this capture were given", [layout.settings]),
        ("settings, times and checksums of each stage", [layout.manifest("ingest").parent, layout.manifest("train").parent]),
    ]
    for subject in layout.subjects:
        files, renders, of = subject.layout, layout.renders(subject.name), f"{subject.name}: " if layout.group else ""
        found += [
            (of + "videos of renders", sorted(renders.glob("*.mp4"))),
            (of + "renders, a zip of PNG with alpha per camera", sorted(renders.glob("*.zip"))),
            (of + "the fitted model over the images", sorted(files.overlay.glob("*.mp4"))),
            (of + "the fitted model per frame, keypoints", [files.fit, files.keypoints]),
            (of + "processed images and mattes, a zip of PNG per camera", [files.frames, files.alpha]),
            (of + "cameras, checks of the input, train/test split", [files.capture, files.frames_json, files.sample]),
            (of + "where the ground truth of this synthetic capture lies", [files.truth]),
        ]
    return found
