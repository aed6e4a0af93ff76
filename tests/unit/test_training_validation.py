"""What validation measures: held-out cameras over white, in the subject's box, without changing what is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.io.color_map import error_map
from pipeline.io.packed import decode_png
from pipeline.training.images import Source
from pipeline.training.monitor import Monitor
from pipeline.training.validation import Validation
from tests.unit import flat_avatar as flat
from tests.unit.flat_avatar import FRAMES, FlatAvatar, equal

CPU = torch.device("cpu")
BOX = (slice(2, 7), slice(3, 11))


def boxed(folder, color: tuple[int, int, int] = (200, 100, 50)) -> Source:  # noqa: ANN001
    """A subject of one colour in the middle of transparent images of garbage."""
    rng = np.random.default_rng(0)

    def image(camera: int, name: str) -> np.ndarray | None:
        if name == "visible":
            return None
        rgba = rng.integers(0, 256, (10, 12, 4), dtype=np.uint8)
        rgba[..., 3] = 0
        rgba[BOX] = (*color, 255)
        return rgba

    images = flat.image_set(folder / "alpha", [(12, 10)] * 3, image)
    return Source(images, ["c0"], FRAMES, FRAMES)


def drawn_by(avatar: FlatAvatar, frame: int, subject: int = 0) -> np.ndarray:
    """The flat colour over white, [3]."""
    avatar.eval()
    with torch.no_grad():
        color = avatar.pose(frame, subject).color
        alpha = 0.5 + 0.4 * torch.tanh(color.mean())
        return (alpha * color + 1 - alpha).numpy()


def test_psnr_is_over_the_subjects_box_and_all_views_count(tmp_path):
    avatar = FlatAvatar()
    psnr, strip = Validation([boxed(tmp_path)], [["c1"]], CPU).run(avatar)
    truth = np.array([200, 100, 50]) / 255
    expected = [-10 * np.log10(np.square(drawn_by(avatar, frame) - truth).mean()) for frame in range(3)]
    assert psnr == pytest.approx(np.mean(expected), abs=1e-4)
    render, target = np.broadcast_to(drawn_by(avatar, 0), (10, 12, 3)), np.ones((10, 12, 3))
    target[BOX] = truth
    assert strip.shape == (10, 36, 3) and strip.dtype == np.uint8
    np.testing.assert_array_equal(strip[:, :12], np.round(target * 255))
    np.testing.assert_allclose(strip[:, 12:24], render * 255, atol=0.51)
    np.testing.assert_allclose(strip[:, 24:].astype(int), error_map(render, target).astype(int), atol=3)


def test_an_image_without_a_subject_counts_whole(tmp_path):
    empty = flat.image_set(tmp_path / "alpha", [(12, 10)], lambda c, name: None if name == "visible" else np.zeros((10, 12, 4), np.uint8))
    avatar = FlatAvatar()
    psnr, _ = Validation([Source(empty, [], FRAMES[:1], FRAMES)], [["c0"]], CPU).run(avatar)
    assert psnr == pytest.approx(-10 * np.log10(np.square(drawn_by(avatar, 0) - 1).mean()), abs=1e-4)


def test_views_are_spread_over_subjects_cameras_and_frames(tmp_path):
    first, second = boxed(tmp_path / "a"), boxed(tmp_path / "b", (0, 0, 255))
    later = Source(second.images, ["c0"], FRAMES[2:], FRAMES)
    drawn = []

    class Noting(FlatAvatar):
        def pose(self, frame, subject=0):  # noqa: ANN001, ANN202
            drawn.append((subject, frame))
            return super().pose(frame, subject)

    psnr, _ = Validation([first, later], [["c1", "c2"], ["c1"]], CPU).run(Noting(subjects=2))
    assert drawn == [(0, 0), (0, 2), (0, 1), (1, 2)] and np.isfinite(psnr)
    assert not Validation([first], [[]], CPU) and Validation([first], [["c1"]], CPU)


def test_it_draws_as_in_use_and_leaves_training_as_it_was(tmp_path):
    avatar = FlatAvatar(noise=0.5)
    avatar.train()
    before, generator = avatar.values(), torch.get_rng_state()
    validation = Validation([boxed(tmp_path)], [["c1"]], CPU)
    figures = [validation.run(avatar)[0] for _ in range(2)]
    assert figures[0] == figures[1] and equal(avatar.values(), before) and avatar.training
    assert torch.equal(torch.get_rng_state(), generator) and not any(p.grad is not None for p in avatar.parameters())


def test_strips_are_written_in_the_background(tmp_path):
    image = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    monitor = Monitor(tmp_path, tmp_path / "boards", 0, 200, 0.0)
    monitor.image(120, tmp_path / "validation" / "0000120.png", image)
    monitor.flush()
    np.testing.assert_array_equal(decode_png((tmp_path / "validation" / "0000120.png").read_bytes()), image)
    monitor.image(140, tmp_path / "train.csv" / "x.png", image)  # below a file
    with pytest.raises(OSError):
        monitor.flush()
    monitor.close()
