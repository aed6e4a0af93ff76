"""Stage `init`: splats on the fitted mesh, coloured by the training pictures."""

from __future__ import annotations

from typing import Any

from pipeline.stages.job import AvatarJob


def run(job: AvatarJob) -> dict[str, Any]:
    """Write init.npz. Returns facts for the manifest. Raises InputError where fit, sample or mattes cannot be read."""
    import numpy as np
    import torch

    from pipeline.avatars.rigged.initialise import first_state
    from pipeline.avatars.rigged.posed_body import Rig
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.sample import read_sample
    from pipeline.io.arrays import save_npz

    layout, settings = job.subjects[0].layout, job.settings
    torch.set_num_threads(job.threads)
    sample = read_sample(layout.sample)
    rig = Rig.from_fit(layout.fit, sample.frames, remedy=f"./c2a run {layout.results.name} --from fit")
    arrays = first_state(rig, read_image_set(layout.alpha_json, layout.alpha), sample.train_cameras, sample.train, settings)
    save_npz(job.outputs.init, arrays)
    counts = np.bincount(arrays["binding"], minlength=len(rig.faces))
    return {
        "splats": len(arrays["binding"]),
        "triangles": len(rig.faces),
        "most_per_triangle": int(counts.max()),
        "seen": round(float(arrays["seen"].mean()), 4),
    }
