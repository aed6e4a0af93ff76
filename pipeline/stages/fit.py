"""fit: the parametric person in every sampled frame, from detections, mattes and cameras; and a video per camera to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.contract.layout import Layout
from pipeline.track.settings import FitSettings

if TYPE_CHECKING:
    from pipeline.contract.captures_table import CaptureRow


def run(settings: FitSettings, layout: Layout, threads: int, row: CaptureRow) -> dict:
    """Write fit.npz and overlay/<camera>.mp4. Raises InputError where inputs are missing or no two cameras see the person."""
    from pipeline.body.model import load_model
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.sample import read_sample
    from pipeline.io.arrays import load_npz, save_npz
    from pipeline.track.fit import Fitter
    from pipeline.track.inputs import KEYPOINT_SHAPES, grey_images, observe_capture, silhouettes
    from pipeline.track.outputs import fit_arrays, fit_facts
    from pipeline.track.overlay import write_overlays

    remedy = f"./c2a run {layout.results.name} --from keypoints"
    images, alpha, sample = read_image_set(layout.frames_json, layout.frames), read_image_set(layout.alpha_json, layout.alpha), read_sample(layout.sample)
    keypoints = load_npz(layout.keypoints, KEYPOINT_SHAPES, remedy=remedy)
    model = load_model(f"anny_{row.model}" if settings.model == "auto" else settings.model)
    observations = observe_capture(keypoints, images, sample.frames, sample.train_cameras, settings.gate, remedy, threads)
    contours = silhouettes(alpha, images, observations.frames, sample.train_cameras, settings.contour_points)
    greys = grey_images(images, observations.frames, sample.train_cameras)
    result = Fitter(model, row.model, observations, contours, greys, settings).run(remedy)
    save_npz(layout.fit, fit_arrays(model.name if settings.model == "auto" else settings.model, observations, result))
    write_overlays(layout.overlay, layout.work / "fit", images, observations, result, threads)
    return fit_facts(observations, result)
