"""Stage `init`: the avatar before training, made by its method."""

from __future__ import annotations

from typing import Any

from pipeline.avatars.registry import method_of
from pipeline.contract.layout import Layout


def run(settings: Any, layout: Layout, threads: int) -> dict[str, Any]:
    """Write init.npz. Returns facts for the manifest. Raises InputError where fit, sample or mattes cannot be read."""
    return method_of(layout.method).function("initialise")(settings, layout.subjects, layout.init, threads)
