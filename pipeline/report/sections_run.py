"""Sections of the report about the run itself: settings, and time, memory and versions. Each returns markup."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.report import page
from pipeline.report.context import Context

PACKAGES = ("numpy", "scipy", "torch", "numba", "opencv-python-headless", "av", "mediapipe", "matplotlib", "snakemake")


def settings(context: Context) -> str:
    """The preset, and every setting that differs from its default, with what changed it."""
    method = method_of(context.layout.method)
    preset = next((m["preset"] for m in reversed(context.manifests.values()) if m.get("preset") in method.preset_names), None)
    block = method.preset(preset) if preset else {}
    rows = []
    for stage, manifest in context.manifests.items():
        for name, default in manifest.get("defaults", {}).items():
            value = manifest.get("settings", {}).get(name)
            by_preset = name in block.get(stage, {}) and block[stage][name] == value
            rows.append((f"{stage}.{name}", json.dumps(value), json.dumps(default), f"preset {preset}" if by_preset else "set for this run"))
    text = f"Preset {preset}. " if preset else ""
    text += "Settings that differ from their default:" if rows else "Every setting has its default."
    changed = page.paragraph(text) + (page.table(("setting", "value", "default", "changed by"), rows) if rows else "")
    every = [(f"{stage}.{name}", json.dumps(value)) for stage, m in context.manifests.items() for name, value in m.get("settings", {}).items()]
    return changed + page.hidden(f"All {len(every)} settings", page.table(("setting", "value"), every))


def run(context: Context) -> str:
    """Version, machine and command; time and memory of every stage; versions of packages."""
    manifests = {stage: manifest for stage, manifest in context.manifests.items() if stage != "report"}
    rows = [
        (stage, m.get("version"), m["timing"].get("seconds"), m["timing"].get("peak_memory_mb"), _facts(m.get("facts", {})))
        for stage, m in manifests.items()
        if "timing" in m
    ]
    longest = max((row[2] for row in rows if row[2]), default=0.0)
    timings = page.table(("stage", "version", "seconds", "peak memory, MB", "summary"), rows, bars={2: longest or 1.0})
    versions = [("Python", platform.python_version()), *((name, found) for name in PACKAGES if (found := _version(name)))]
    packages = page.hidden("Versions of packages where this page was written", page.table(("package", "version"), versions))
    return page.table(("what", "value"), _origin(manifests)) + timings + packages


def _origin(manifests: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """Commit, machine, device and command; where stages differ, with the stages of each."""
    timings = {stage: m.get("timing", {}) for stage, m in manifests.items()}
    devices = {stage: m.get("facts", {}).get("device") for stage, m in manifests.items()}
    rows = [
        ("git commit", _distinct({stage: t.get("commit") for stage, t in timings.items()}) or "unknown"),
        ("device", _distinct(devices)),
        ("processor", _distinct({stage: t.get("processor") for stage, t in timings.items()})),
        ("command", _distinct({stage: t.get("command") for stage, t in timings.items()})),
        ("Python", _distinct({stage: t.get("python") for stage, t in timings.items()})),
    ]
    return [row for row in rows if row[1]]


def _distinct(values: dict[str, str | None]) -> str:
    """Stage -> value as text."""
    known = {stage: str(value) for stage, value in values.items() if value}
    every = list(dict.fromkeys(known.values()))
    if len(every) < 2:
        return "".join(every)
    return "; ".join(f"{value} ({', '.join(stage for stage in known if known[stage] == value)})" for value in every)


def _facts(facts: dict[str, Any]) -> str:
    short = {name: value for name, value in facts.items() if isinstance(value, str | int | float | bool)}
    return ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in list(short.items())[:6])[:160]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
