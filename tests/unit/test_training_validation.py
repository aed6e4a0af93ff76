"""What validation measures: held-out cameras over white, in the subject's box, without changing what is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.evaluation.metrics import ssim
from pipeline.io.color_map import error_map
from pipeline.io.packed import decode_png
from pipeline.training.images import Source
from pipeline.training.monitor import Monitor
from pipeline.training.validation import Validation
from tests.unit import flat_avatar as flat
from tests.unit import rigged_toy
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
    evaluation = Validation([boxed(tmp_path)], [["c1"]], CPU).run(avatar)
    psnr, strip = evaluation.values["val_psnr"], evaluation.strips["val"]
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
    values = Validation([Source(empty, [], FRAMES[:1], FRAMES)], [["c0"]], CPU).run(avatar).values
    assert values["val_psnr"] == pytest.approx(-10 * np.log10(np.square(drawn_by(avatar, 0) - 1).mean()), abs=1e-4)


def test_views_are_spread_over_subjects_cameras_and_frames(tmp_path):
    first, second = boxed(tmp_path / "a"), boxed(tmp_path / "b", (0, 0, 255))
    later = Source(second.images, ["c0"], FRAMES[2:], FRAMES)
    drawn = []

    class Noting(FlatAvatar):
        def pose(self, frame, subject=0):  # noqa: ANN001, ANN202
            drawn.append((subject, frame))
            return super().pose(frame, subject)

    values = Validation([first, later], [["c1", "c2"], ["c1"]], CPU).run(Noting(subjects=2)).values
    assert drawn == [(0, 0), (0, 2), (0, 1), (1, 2)] and np.isfinite(values["val_psnr"])
    assert not Validation([first], [[]], CPU) and Validation([first], [["c1"]], CPU)


def test_held_out_frames_are_seen_by_all_cameras_and_training_cameras_keep_their_colours(tmp_path):
    avatar, source = FlatAvatar(), boxed(tmp_path)
    held = Source(source.images, ["c0"], FRAMES[:2], FRAMES)
    maps = torch.eye(3, 4)[None] + 0.1 * torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    validation = Validation([held], [["c1", "c2"]], CPU, [FRAMES[2:]], images=0)
    assert [(view.camera, view.frame) for view in validation.views["test"]] == [("c1", FRAMES[2]), ("c2", FRAMES[2]), ("c0", FRAMES[2])]
    assert len(validation.views["val"]) == 4, "two cameras at two training frames"
    color = avatar.eval().pose(2).color.detach()
    alpha = 0.5 + 0.4 * torch.tanh(color.mean())
    own, corrected = (alpha * c + 1 - alpha for c in (color, maps[0, :, :3] @ color + maps[0, :, 3]))
    truth = torch.tensor([200, 100, 50]) / 255
    for colors, expected in ((None, [own] * 3), (maps, [own, own, corrected])):
        psnr = [float(-10 * (shown.clamp(0, 1) - truth).square().mean().log10()) for shown in expected]
        assert validation.run(avatar, colors).values["test_psnr"] == pytest.approx(np.mean(psnr), abs=1e-3)


def test_similarity_is_that_of_evaluation(tmp_path):
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (20, 24, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    images = flat.image_set(tmp_path / "alpha", [(24, 20)], lambda c, name: None if name == "visible" else rgba)
    avatar = FlatAvatar()
    values = Validation([Source(images, [], FRAMES[:1], FRAMES)], [["c0"]], CPU).run(avatar).values
    shown = np.broadcast_to(drawn_by(avatar, 0), (20, 24, 3))
    assert values["val_ssim"] == pytest.approx(ssim(shown, rgba[..., :3] / 255), abs=1e-5)


def test_the_splats_distributions_are_those_of_the_avatar(tmp_path):
    avatar = rigged_toy.avatar(RiggedTrainSettings(iterations=10))
    views = rigged_toy.cameras(2)
    source = Source(rigged_toy.images(tmp_path / "alpha", views), ["c0"], rigged_toy.FRAMES, rigged_toy.FRAMES)
    shown = Validation([source], [["c1"]], CPU).run(avatar).distributions
    np.testing.assert_allclose(shown["opacity"], avatar.local["opacities"].detach().sigmoid())
    assert shown["splats_per_triangle"].sum() == avatar.splat_count and len(shown["splats_per_triangle"]) == len(set(avatar.binding.tolist()))


def test_it_draws_as_in_use_and_leaves_training_as_it_was(tmp_path):
    avatar = FlatAvatar(noise=0.5)
    avatar.train()
    before, generator = avatar.values(), torch.get_rng_state()
    validation = Validation([boxed(tmp_path)], [["c1"]], CPU)
    figures = [validation.run(avatar).values for _ in range(2)]
    assert figures[0] == figures[1] and equal(avatar.values(), before) and avatar.training
    assert torch.equal(torch.get_rng_state(), generator) and not any(p.grad is not None for p in avatar.parameters())


def test_strips_are_written_in_the_background(tmp_path):
    image = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    monitor = Monitor(tmp_path, tmp_path / "boards", 0, 200, 0.0)
    monitor.image(120, tmp_path / "validation" / "0000120.png", image, "val")
    monitor.flush()
    np.testing.assert_array_equal(decode_png((tmp_path / "validation" / "0000120.png").read_bytes()), image)
    monitor.image(140, tmp_path / "train.csv" / "x.png", image, "val")  # below a file
    with pytest.raises(OSError):
        monitor.flush()
    monitor.close()


def test_tensorboard_has_strips_distributions_and_figures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monitor = Monitor(tmp_path, tmp_path / "boards", 0, 200, 0.0)
    monitor.image(120, tmp_path / "validation" / "test_0000120.png", np.zeros((4, 12, 3), np.uint8), "test")
    monitor.histograms(120, {"opacity": np.linspace(0, 1, 50)})
    monitor.row(120, {"loss": 0.5, "psnr": 20.0, "test_psnr": 25.0, "splats": 300})
    monitor.flush()
    monitor.close()
    board = EventAccumulator(str(tmp_path / "boards"))
    board.Reload()
    tags = board.Tags()
    assert tags["images"] == ["test (truth, render, error)"] and tags["histograms"] == ["opacity"] and {"test_psnr", "splats", "loss"} <= set(tags["scalars"])
    assert board.Histograms("opacity")[0].histogram_value.num == 50
