"""Settings given once stay with a capture: `run` writes them to its config.yaml in results, and later commands read them there.

class default < preset < config.yaml < kept settings < --config < --set. A `--config` replaces all that was kept, `--set` and `--preset` are added to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from pipeline.config import RUN_KEYS, Config, merge
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import InputError
from pipeline.io.files import write_text
from pipeline.workflow.run_options import RunOptions, load_config, overrides, read_yaml
from pipeline.workflow.targets import layout_of

HEADER = "# Settings given to ./c2a run, used again by later commands; --reset-settings drops them.\n"


def kept_settings(layout: Layout, options: RunOptions) -> dict[str, Any]:
    """The settings kept for a capture or group (and its variant) that a command uses. Raises InputError where the file is not as expected."""
    if options.config or options.reset_settings:
        return {} if not layout.variant else _read(layout, shared=True)
    return merge(_read(layout, shared=True), _read(layout, shared=False)) if layout.variant else _read(layout, shared=False)


def by_settings(names: Iterable[str], options: RunOptions, config: Config) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Captures or groups, together where they keep the same settings."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for name in names:
        kept = kept_settings(layout_of(name, config), options)
        found.setdefault(json.dumps(kept, sort_keys=True, default=str), (kept, []))[1].append(name)
    return [(kept, tuple(members)) for kept, members in found.values()]


def keep(layout: Layout, options: RunOptions) -> None:
    """Write down the settings that a run was given. Raises InputError where a variant is given other settings for what all variants share."""
    given = {key: value for key, value in overrides(options).items() if key not in RUN_KEYS or key == "preset"}
    if layout.variant:
        _check_shared(layout, options)
        given = {key: value for key, value in given.items() if key not in CAPTURE_STAGES}
    before = {} if options.config or options.reset_settings else _read(layout, shared=False)
    settings = merge(before, given)
    if settings:
        text = HEADER + yaml.safe_dump(settings, sort_keys=False)
        if not layout.settings.is_file() or layout.settings.read_text() != text:
            write_text(layout.settings, text)
    else:
        layout.settings.unlink(missing_ok=True)


def _check_shared(layout: Layout, options: RunOptions) -> None:
    shared = _read(layout, shared=True)
    without = load_config(replace(options, config=None, sets=()), kept=shared).result_settings
    now = load_config(options, kept=shared).result_settings
    other = [stage for stage in CAPTURE_STAGES if without[stage] != now[stage]]
    if other:
        found, remedy = f"another setting of {other[0]}", f"change {other[0]} in a run without --name, or leave it out"
        raise InputError(f"--name {layout.variant}: variants share everything before init", file=layout.settings, found=found, remedy=remedy)


def described(kept: Mapping[str, Any]) -> str:
    """`train.iterations=3000 fit.gate=0.1`"""
    return " ".join(f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in _flat(kept))


def config_of(name: str, options: RunOptions) -> Config:
    """The configuration of one capture or group, with what it keeps."""
    return load_config(options, kept=kept_settings(layout_of(name, load_config(options)), options))


def _read(layout: Layout, shared: bool) -> dict[str, Any]:
    """shared: of a variant the settings of the capture, without those of the method's own stages."""
    path = layout.results / layout.settings.name if shared else layout.settings
    if not path.is_file():
        return {}
    settings = dict(read_yaml(path))
    return {key: value for key, value in settings.items() if key in CAPTURE_STAGES} if shared else settings


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
