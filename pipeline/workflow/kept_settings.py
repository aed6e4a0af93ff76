"""Settings given once stay with a capture: `run` writes them to its config.yaml in results, and later commands read them there.

class default < preset < config.yaml < kept settings < --config < --set. A `--config` replaces all that was kept, `--set` and `--preset` are added to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import RUN_KEYS, Config, merge
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import InputError
from pipeline.io.files import write_text
from pipeline.io.words import listed
from pipeline.workflow.run_options import RunOptions, load_config, overrides, read_yaml
from pipeline.workflow.targets import layout_of

MOST_NAMED = 6
HEADER = "# Settings given to ./c2a run, used again by later commands; --reset-settings drops them.\n"


def kept_settings(layout: Layout, options: RunOptions) -> dict[str, Any]:
    """The settings kept for a capture or group (and its variant) that a command uses. Raises InputError where the file is not as expected.

    A variant begins with those of the capture, and shares those of the stages before init with it.
    """
    dropped = options.config is not None or options.reset_settings
    if not layout.variant:
        return {} if dropped else _read(layout.settings)
    base = _read(layout.results / layout.settings.name)
    own = {} if dropped else _read(layout.settings) or base
    return merge(own, _shared(base))


def by_settings(names: Iterable[str], options: RunOptions, config: Config) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Captures or groups, together where they keep the same settings."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for name in names:
        kept = kept_settings(layout_of(name, config), options)
        found.setdefault(json.dumps(kept, sort_keys=True, default=str), (kept, []))[1].append(name)
    return [(kept, tuple(members)) for kept, members in found.values()]


def keep(layouts: Iterable[Layout], options: RunOptions) -> None:
    """Write down the settings that a run was given, for each of its captures or groups.

    Raises InputError where a variant is given other settings for what all variants share.
    """
    given = {key: value for key, value in overrides(options).items() if key not in RUN_KEYS or key == "preset"}
    for layout in layouts:
        if layout.variant:
            _check_shared(layout, options)
        settings = merge(kept_settings(layout, options), given)
        if layout.variant:
            settings = {key: value for key, value in settings.items() if key not in CAPTURE_STAGES}
        if settings:
            text = HEADER + yaml.safe_dump(settings, sort_keys=False)
            if not layout.settings.is_file() or layout.settings.read_text() != text:
                write_text(layout.settings, text)
        else:
            layout.settings.unlink(missing_ok=True)


def _check_shared(layout: Layout, options: RunOptions) -> None:
    shared = _shared(_read(layout.results / layout.settings.name))
    without = load_config(replace(options, config=None, sets=()), kept=shared).result_settings
    now = load_config(options, kept=shared).result_settings
    other = [stage for stage in CAPTURE_STAGES if without[stage] != now[stage]]
    if other:
        found, remedy = f"another setting of {other[0]}", f"change {other[0]} in a run without --name, or leave it out"
        raise InputError(f"--name {layout.variant}: variants share everything before init", file=layout.settings, found=found, remedy=remedy)


def described(kept: Mapping[str, Any]) -> str:
    """`train.iterations=3000 fit.gate=0.1`, the first few of them."""
    texts = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in _flat(kept)]
    return listed(texts, MOST_NAMED, " ")


def config_of(name: str, options: RunOptions) -> Config:
    """The configuration of one capture or group, with what it keeps."""
    return load_config(options, kept=kept_settings(layout_of(name, load_config(options)), options))


def _read(path: Path) -> dict[str, Any]:
    return dict(read_yaml(path)) if path.is_file() else {}


def _shared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the stages before init."""
    return {key: value for key, value in settings.items() if key in CAPTURE_STAGES}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
