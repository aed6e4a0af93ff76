"""Writes config.yaml and the tables of docs/configuration.md from the settings classes: `python docs/settings.py` (with the checkout on PYTHONPATH)."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import textwrap
import tokenize
from pathlib import Path
from typing import Any

from pipeline.avatars.method import Method
from pipeline.avatars.registry import METHODS
from pipeline.config import RUN_KEYS, SHARED, Config

DOCS = Path(__file__).parent
HEAD = """# Every setting that all avatar methods share, with its default. A wrong key or value is named when a run starts.
# `./c2a run ID --config FILE.yaml` overrides some of these keys, `--set KEY=VALUE` a single one.
# Settings of the method itself, such as train.iterations, come from the preset; docs/configuration.md lists them. To change one of the method in use:
#   train: {iterations: 3000}
"""
TABLES = "<!-- tables: written by docs/settings.py -->"


@dataclasses.dataclass(frozen=True)
class Key:
    """A setting: its name, default and comment. gap: an empty line stands before it."""

    name: str
    default: Any
    comment: str
    gap: bool = False


def keys(settings: type) -> list[Key]:
    """The fields of a settings class, inherited ones included, each with the comment that stands behind it."""
    comments, gaps = {}, set()
    for kind in reversed(settings.__mro__[:-1]):
        source = textwrap.dedent(inspect.getsource(kind))
        names = {entry.name for entry in dataclasses.fields(settings)}
        line: list[tokenize.TokenInfo] = []
        lines = source.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            line.append(token)
            if token.type == tokenize.NEWLINE:
                words = [part for part in line if part.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)]
                if len(words) > 1 and words[0].string in names and words[1].string == ":":
                    start = words[0].start[0]
                    comments[words[0].string] = " ".join(part.string.lstrip("# ") for part in line if part.type == tokenize.COMMENT and part.start[0] >= start)
                    gaps |= {words[0].string} if not lines[start - 2].strip() else set()
                line = []
    found = []
    for entry in dataclasses.fields(settings):
        default = entry.default if entry.default is not dataclasses.MISSING else entry.default_factory()  # type: ignore[misc]
        limits = str(entry.metadata.get("range", ""))
        comment = "; ".join(filter(None, (comments.get(entry.name, ""), limits)))
        found.append(Key(entry.name, default, comment, bool(found) and entry.name in gaps))
    return found


def yaml_value(value: Any) -> str:
    """A value as YAML that reads back as itself (YAML 1.1 takes 1e-5 for text)."""
    if isinstance(value, float) and "e" in repr(value):
        return format(value, ".10f").rstrip("0")
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def config_page() -> str:
    """config.yaml."""
    run = [key for key in keys(Config) if key.name in RUN_KEYS]
    lines = [HEAD, *(f"{key.name}: {yaml_value(key.default) if key.default == '' else key.default} # {key.comment}" for key in run), ""]
    for stage, settings in SHARED.items():
        about = (settings.__doc__ or "").splitlines()[0]
        lines += [f"# {about}"] if not about.endswith(")") else []
        lines.append(f"{stage}:")
        for key in keys(settings):
            lines += [""] if key.gap else []
            lines.append(f"  {key.name}: {yaml_value(key.default)}{f' # {key.comment}' if key.comment else ''}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def tables() -> str:
    """The sections of configuration.md."""
    run = [key for key in keys(Config) if key.name in RUN_KEYS]
    parts = [_table("## The run itself", run, {})]
    parts += [_table(f"## `{stage}`", keys(settings), {}) for stage, settings in SHARED.items()]
    for method in METHODS.values():
        parts.append(f"## The method `{method.name}`\n\n{method.about[:1].upper()}{method.about[1:]}. Presets, where they differ from the default:\n")
        parts += [_table(f"### `{stage}` of `{method.name}`", keys(settings), _presets(method, stage)) for stage, settings in method.settings.items()]
    return "\n".join(parts)


def _presets(method: Method, stage: str) -> dict[str, dict[str, Any]]:
    return {preset: method.preset(preset).get(stage, {}) for preset in method.preset_names}


def _table(title: str, rows: list[Key], presets: dict[str, dict[str, Any]]) -> str:
    shown = [preset for preset in presets if any(presets[name] for name in presets)]
    header = ["key", "default", *shown, "what"]
    lines = [title, "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for key in rows:
        values = [f"`{yaml_value(presets[preset][key.name])}`" if key.name in presets[preset] else "" for preset in shown]
        lines.append(f"| {' | '.join([f'`{key.name}`', f'`{yaml_value(key.default)}`', *values, key.comment.replace('|', 'or')])} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    (DOCS.parent / "config.yaml").write_text(config_page())
    page = DOCS / "configuration.md"
    page.write_text(page.read_text().split(TABLES)[0] + TABLES + "\n\n" + tables())
