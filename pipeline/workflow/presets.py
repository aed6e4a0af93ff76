"""What `preset: auto` means for a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import Config
from pipeline.machine.gpu_lock import has_gpu
from pipeline.workflow.profiles import is_cluster, profile_folder
from pipeline.workflow.run_options import RunOptions, load_config


def resolved_config(options: RunOptions, kept: Mapping[str, Any] | None = None) -> Config:
    """The configuration, its preset `auto` replaced: standard where stages will have a GPU, on this machine or a cluster, else draft. Raises InputError."""
    config = load_config(options, kept=kept)
    if config.preset != "auto":
        return config
    may_use_gpu = getattr(config.stages["train"], "device", "auto") != "cpu"
    on_gpu = may_use_gpu and (is_cluster(profile_folder(options.profile, options.here)) or has_gpu())
    return load_config(options, "standard" if on_gpu else "draft", kept)
