"""Sections of the report about the run itself: settings, and time, memory and versions. Each returns markup."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline.avatars.method import PRESETS
from pipeline.avatars.registry import method_of
from pipeline.report import page
from pipeline.report.context import Context

PACKAGES = ("numpy", "scipy", "torch", "numba", "opencv-python-headless", "av", "mediapipe", "matplotlib", "snakemake")


def settings(context: Context) -> str:
    """The preset, and every setting that differs from its default, with what changed it."""
    method = method_of(context.layout.method)
    preset = next((m["preset"] for m in reversed(context.manifests.values()) if m.get("preset") in PRESETS), None)
    block = method.preset(preset) if preset else {}
    rows = []
    for stage, manifest in context.manifests.items():
        for name, default in manifest.get("defaults", {}).items():
            value = manifest.get("settings", {}).get(name)
            by_preset = name in block.get(stage, {}) and block[stage][name] == value
            rows.append((f"{stage}.{name}", json.dumps(value), json.dumps(default), f"preset {preset}" if by_preset else "set for this run"))
    text = f"Preset {preset}. " if preset else ""
    text += "Settings that differ from their default:" if rows else "Every setting has its default."
    return page.paragraph(text) + (page.table(("setting", "value", "default", "changed by"), rows) if rows else "")


def run(context: Context) -> str:
    """Time and memory of every stage, and the versions of packages."""
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
