"""`./c2a motion from-video`: a plain video of a face as a motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.io.errors import InputError
from pipeline.io.progress import log, progress

MODEL = "anny_head"
MOST_FRAMES = 5000
_REMEDY = "give a video in which a face is seen, upright and at least 50 pixels wide"


def motion_of_video(video: Path, out: Path, focal: float | None, frames: tuple[int, int | None], minimum_score: float = 0.5, threads: int = 2) -> Path:
    """Track the face in a video and write its motion: the 52 expressions and the head's rotation, at the video's rate.

    Args:
        focal: of the camera, pixels; None: assumed. frames: first and end.

    Raises:
        InputError: not a video, no such frames, too many, or no face in any.
    """
    import torch

    from pipeline.body.model import load_model
    from pipeline.capture.processed import Frame, frame_id
    from pipeline.io.video import probe
    from pipeline.motion.motion import save_motion
    from pipeline.motion.target import Target
    from pipeline.track.monocular import assumed_camera, fit_video

    torch.set_num_threads(threads)
    info = probe(video)
    first, end = frames[0], info.frames if frames[1] is None else frames[1]
    if not 0 <= first < end <= info.frames or end - first > MOST_FRAMES:
        expected = f"A:B within 0:{info.frames}, at most {MOST_FRAMES} frames"
        raise InputError("no such frames, or too many", file=video, found=f"{first}:{end}", expected=expected, remedy="choose some with --frames A:B")
    face = _detect(video, range(first, end), minimum_score)
    instants = tuple(Frame(frame_id(video.stem, index), video.stem, index, info.timestamps[index]) for index in range(first, end))
    camera = assumed_camera(info.width, info.height, focal)
    model = load_model(MODEL)
    result = fit_video(model, camera, instants, face, _REMEDY)
    pose, state = result.body.full_pose(result.state.rotations), result.state
    shape = torch.from_numpy(state.identity.astype(np.float32))
    joints = model.shape_joints(shape, model.zeros(1)["expression"])[0]
    tracked = Target.tracked(replace(model, rest_joints=joints), pose, state.translation, state.expression, state.scale)
    rate = 1 / float(np.median(np.diff(info.timestamps))) if info.frames > 1 else info.fps or 30.0
    save_motion(out, tracked.motion(rate, model.expression_names, ()))
    missing = int(np.isnan(face[:, 0, 0]).sum())
    log(f"{len(face)} frames, {missing} without a face; landmarks within {result.residual_px_all:.1f} pixels; focal length {camera.K[0, 0]:.0f} pixels")
    return out


def _detect(video: Path, frames: range, minimum_score: float) -> np.ndarray:
    """[F, 478, 3] face points: x, y in pixels, score; nan without a face."""
    from pipeline.io.video import decode
    from pipeline.vision.keypoints.detect_per_camera import redetect_small_face
    from pipeline.vision.keypoints.mediapipe_detector import MediaPipeDetector
    from pipeline.vision.mediapipe_indices import FACE_POINTS

    detector, points = MediaPipeDetector(minimum_score), np.full((len(frames), FACE_POINTS, 3), np.nan)
    for number, (_, image) in enumerate(progress(decode(video, frames), f"{video.name}: faces", len(frames))):
        face = detector.face(image)
        if face is not None:
            points[number] = redetect_small_face(detector, image, np.full(image.shape[:2], 255, np.uint8), face)
    return points
