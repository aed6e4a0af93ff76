"""fit: the parametric person in every sampled frame, from detections, mattes and cameras; and a video per camera to look at."""

from __future__ import annotations

from pipeline.stages.job import Job


def run(job: Job) -> dict:
    """Write fit.npz and overlay/<camera>.mp4. Raises InputError where inputs are missing or no two cameras see the person."""
    from pipeline.body.model import load_model
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.sample import read_sample
    from pipeline.io.arrays import load_npz, save_npz
    from pipeline.track.capture import SHAPES, fit_arrays, fit_facts, grey_pictures, observe_capture, outlines
    from pipeline.track.fit import Fitter
    from pipeline.track.overlay import write_overlays

    inputs, settings, remedy = job.inputs, job.settings, job.remedy("keypoints")
    images, alpha, sample = read_image_set(inputs.frames_json, inputs.frames), read_image_set(inputs.alpha_json, inputs.alpha), read_sample(inputs.sample)
    keypoints = load_npz(inputs.keypoints, SHAPES, remedy=remedy)
    model = load_model(f"anny_{job.cells.model}" if settings.model == "auto" else settings.model)
    seen = observe_capture(keypoints, images, sample.frames, sample.train_cameras, settings.gate, remedy, job.threads)
    traced = outlines(alpha, images, seen.frames, sample.train_cameras, settings.contour_points)
    pictures = grey_pictures(images, seen.frames, sample.train_cameras)
    fitted = Fitter(model, job.cells.model, seen, traced, pictures, settings).run(remedy)
    save_npz(job.outputs.fit, fit_arrays(model.name if settings.model == "auto" else settings.model, seen, fitted))
    write_overlays(job.outputs.overlay, job.scratch, images, seen, fitted, job.threads)
    return fit_facts(seen, fitted)
