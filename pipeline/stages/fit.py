"""Stage `fit`: the parametric model in every sampled frame, from keypoints, mattes and cameras; and a video per camera to inspect."""

from __future__ import annotations

from pipeline.stages.job import Job


def run(job: Job) -> dict:
    """Write fit.npz and overlay/<camera>.mp4. Raises InputError where inputs are missing or no two cameras see the subject."""
    import numpy as np

    if job.inputs.keypoints is None:
        return _import(job)
    from pipeline.body.model import load_model
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.sample import read_sample
    from pipeline.io.arrays import load_npz, save_npz
    from pipeline.track.fit import Fitter
    from pipeline.track.inputs import KEYPOINT_SHAPES, grey_images, observe_capture, silhouettes
    from pipeline.track.outputs import fit_arrays, fit_facts
    from pipeline.track.overlay import write_overlays
    from pipeline.track.warnings import camera_warnings, scale_warnings

    inputs, settings, remedy = job.inputs, job.settings, job.remedy("keypoints")
    images, alpha, sample = read_image_set(inputs.frames_json, inputs.frames), read_image_set(inputs.alpha_json, inputs.alpha), read_sample(inputs.sample)
    keypoints = load_npz(inputs.keypoints, KEYPOINT_SHAPES, remedy=remedy)
    model = load_model((job.cells.body or f"anny_{job.cells.model}") if settings.model == "auto" else settings.model)
    observations = observe_capture(keypoints, images, sample.frames, sample.train_cameras, settings.gate, remedy, job.threads)
    contours = silhouettes(alpha, images, observations.frames, sample.train_cameras, settings.contour_points)
    greys = grey_images(images, observations.frames, sample.train_cameras)
    training = np.isin([frame.id for frame in observations.frames], sample.train)
    result = Fitter(model, job.cells.model, observations, contours, greys, settings, training).run(remedy)
    save_npz(job.outputs.fit, fit_arrays(model.name if settings.model == "auto" else settings.model, observations, result))
    write_overlays(job.outputs.overlay, job.scratch, images, observations, result, job.threads)
    residuals, facing = (dict(zip((camera.name for camera in observations.cameras), values)) for values in (result.residual_px, result.facing))
    warnings = scale_warnings(float(result.state.scale), job.cells.model) + camera_warnings(residuals, facing)
    return {**fit_facts(observations, result), "warnings": warnings}


def _import(job: Job) -> dict:
    """The same of a dataset that is tracked: its parameters are compared with the mattes."""
    import numpy as np

    from pipeline.body.model import load_model
    from pipeline.capture.processed import read_image_set
    from pipeline.capture.record import read_capture
    from pipeline.capture.sample import read_sample
    from pipeline.io.arrays import save_npz
    from pipeline.track.imported import imported_fit, overlap_warnings, overlaps, posed_vertices
    from pipeline.track.overlay import write_mesh_overlays
    from pipeline.vision.mediapipe_indices import FACE_POINTS, POSE_POINTS

    inputs, name = job.inputs, (job.cells.body or f"anny_{job.cells.model}") if job.settings.model == "auto" else job.settings.model
    images, alpha, sample = read_image_set(inputs.frames_json, inputs.frames), read_image_set(inputs.alpha_json, inputs.alpha), read_sample(inputs.sample)
    by_id, model = {frame.id: frame for frame in images.frames}, load_model(name)
    frames = [by_id[frame] for frame in sample.frames]
    fit = imported_fit(read_capture(inputs.capture), frames, model, name)
    vertices, faces = posed_vertices(model, fit), model.faces.numpy()
    overlap = overlaps(alpha, sample.train_cameras, sample.frames, vertices, faces)
    cameras = np.array(sample.train_cameras)
    unknown = {"points3d": np.full((len(frames), FACE_POINTS + POSE_POINTS, 3), np.nan, np.float32), "residual_px": np.full(len(cameras), np.nan, np.float32)}
    save_npz(job.outputs.fit, {**fit, "cameras": cameras, **unknown})
    write_mesh_overlays(job.outputs.overlay, job.scratch, images, frames, vertices, faces, job.threads)
    return {"frames": len(frames), "model": name, "overlap": overlap, "warnings": overlap_warnings(overlap)}
