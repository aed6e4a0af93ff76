"""Writes config.yaml and the tables of docs/configuration.md from the settings classes: `python docs/settings.py` (with the checkout on PYTHONPATH)."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import Any

from pipeline.avatars.registry import METHODS
from pipeline.config import Config, settings_class
from pipeline.contract.stages import DEFAULT_METHOD

DOCS = Path(__file__).parent
METHOD = METHODS[DEFAULT_METHOD]
HEAD = """# Every setting, with its default. The schema is in the settings.py of each floor; a wrong key or value is named when a run starts.
# `./c2a run ID --config FILE.yaml` lays a file with some of these keys over this page.
"""
RUN = {
    "captures": "the table of captures; paths on this page are relative to the checkout",
    "results": "where results go",
    "work": "scratch: logs, errors, checkpoints; may be deleted between runs",
    "ids": "which captures: all, or ids separated by commas",
    "method": "the avatar method",
    "until": "the last stage to run",
    "threads": "the most cores one stage of one capture uses",
    "scatter": "jobs that share the cameras of one capture in the stages frames, matte and keypoints; 1 = none (docs/cluster.md)",
}
TABLES = "<!-- tables: written by docs/settings.py -->"
Row = tuple[str, str, str]  # key, default, comment


def run_rows() -> list[Row]:
    """The keys of the run itself."""
    return [(key, str(Config.__dataclass_fields__[key].default), comment) for key, comment in RUN.items()]


def stage_rows(stage: str) -> list[Row]:
    """The keys of a stage, with the comments that stand in its class: behind the field, or above it; an empty row for an empty line."""
    settings = settings_class(stage, METHOD)
    lines, rows = inspect.getsource(settings).splitlines(), []
    for field in dataclasses.fields(settings):
        at = next(i for i, line in enumerate(lines) if re.match(rf"\s+{field.name}\s*:", line))
        behind = re.search(r"\s#\s(.*)$", " ".join(lines[at : at + 3]) if lines[at].endswith("= (") else lines[at])
        if rows and not lines[at - 1].strip():
            rows.append(("", "", ""))
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
        rows.append((field.name, yaml_value(default), re.sub(r"\s+\)$", "", behind.group(1)) if behind else ""))
    return rows


def yaml_value(value: Any) -> str:
    """A default as YAML that reads back as itself (YAML 1.1 takes 1e-5 for text)."""
    if isinstance(value, float) and "e" in repr(value):
        return format(value, ".10f").rstrip("0")
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def config_page() -> str:
    """config.yaml."""
    lines = [HEAD, *(f"{key}: {default} # {comment}" for key, default, comment in run_rows()), ""]
    for stage in METHOD.table:
        rows, about = stage_rows(stage), (settings_class(stage, METHOD).__doc__ or "").splitlines()[0]
        if not rows:
            lines.append(f"{stage}: {{}} # no settings")
            continue
        lines += [f"# {about}"] if not about.endswith(")") else []
        lines += [f"{stage}:", *(f"  {key}: {default}{f' # {comment}' if comment else ''}" if key else "" for key, default, comment in rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def tables() -> str:
    """The sections of configuration.md."""
    sections = [("The run itself", run_rows()), *((f"`{stage}`", stage_rows(stage)) for stage in METHOD.table)]
    parts = []
    for title, rows in sections:
        cells = [f"| `{key}` | `{default}` | {comment.replace('|', 'or')} |" for key, default, comment in rows if key]
        if cells:
            parts.append("\n".join([f"## {title}\n", "| key | default | what |", "|---|---|---|", *cells, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    (DOCS.parent / "config.yaml").write_text(config_page())
    page = DOCS / "configuration.md"
    page.write_text(page.read_text().split(TABLES)[0] + TABLES + "\n\n" + tables())
