"""What compares all cameras may take the frames in blocks: neither the blocks nor the processes show in the result."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame
from pipeline.geometry import blocks
from pipeline.geometry.blocks import in_blocks
from pipeline.track.observations import observe
from pipeline.vision.mediapipe_indices import FACE_POINTS, POSE_POINTS


def _moved(frames: np.ndarray, by: float) -> tuple[np.ndarray, np.ndarray]:
    return frames + by, frames[:, 0] * len(frames)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_job_comes_back_whole_and_in_order(monkeypatch, threads):
    monkeypatch.setattr(blocks, "BLOCK_WORK", 4 * 3**2)
    jobs = [(np.arange(20.0).reshape(10, 2), 1.0), (np.arange(6.0).reshape(3, 2), 2.0)]
    (first, sizes), (second, whole) = in_blocks(_moved, jobs, 3, threads, "test")
    np.testing.assert_array_equal(first, jobs[0][0] + 1)
    np.testing.assert_array_equal(second, jobs[1][0] + 2)
    np.testing.assert_array_equal(sizes[[1, 9]], [2 * 4, 18 * 2])  # four frames at once, and the two that were left
    np.testing.assert_array_equal(whole, jobs[1][0][:, 0] * 3)


def _views(frames: int, cameras: list[Camera]) -> np.ndarray:
    """[F, C, 511, 3] of points around the origin, seen with a little noise; one camera sees no face, another errs in a frame."""
    generator = np.random.default_rng(0)
    points = generator.uniform(-0.1, 0.1, (frames, FACE_POINTS + POSE_POINTS, 3))
    views = np.stack([np.dstack([camera.project(points), np.ones(points.shape[:2])]) for camera in cameras], 1)
    views[..., :2] += generator.normal(0, 0.5, views[..., :2].shape)
    views[:, 1, :FACE_POINTS] = np.nan
    views[2, 0, :, 0] += 100
    return views


def test_a_fit_sees_the_same_in_blocks_and_at_once(monkeypatch):
    K, cameras = np.array([[700.0, 0, 256], [0, 700, 256], [0, 0, 1]]), []
    for number, angle in enumerate((-0.6, -0.2, 0.2, 0.6)):
        R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        cameras.append(Camera(f"c{number}", 512, 512, K, R, np.array([0, 0, 1.0])))
    views, frames = _views(7, cameras), tuple(Frame(f"a_{number:06d}", "a", number, number / 30) for number in range(7))

    def seen(threads: int = 1):
        return observe(tuple(cameras), frames, views[:, :, :FACE_POINTS], views[:, :, FACE_POINTS:], 0.2, threads)

    at_once = seen()
    assert at_once.kept[1] == 7 * POSE_POINTS and at_once.kept[0] < at_once.detected[0] and np.isfinite(at_once.points3d).all()
    monkeypatch.setattr(blocks, "BLOCK_WORK", 3 * 4**2)
    in_parts = [seen(threads) for threads in (1, 2)]
    for name in ("points3d", "weight", "pixels", "sigma", "kept", "triangulation_px"):
        np.testing.assert_allclose(getattr(in_parts[0], name), getattr(at_once, name), rtol=1e-9, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(getattr(in_parts[1], name), getattr(in_parts[0], name), err_msg=name)
