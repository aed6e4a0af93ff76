"""Stage `init`: the avatar before training, made by its method."""

from __future__ import annotations

from typing import Any

from pipeline.stages.job import AvatarJob


def run(job: AvatarJob) -> dict[str, Any]:
    """Write init.npz. Returns facts for the manifest. Raises InputError where fit, sample or mattes cannot be read."""
    return job.method.function("initialise")(job.settings, job.subjects, job.outputs.init, job.threads)
