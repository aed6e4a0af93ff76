"""The loop: what is drawn when, what a checkpoint holds, and that an interrupted training goes on exactly."""

from __future__ import annotations

import csv
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.io.progress import log
from pipeline.training.camera_color import CameraColor
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.data import Sampler, TrainingPictures, person_window
from pipeline.training.loop import Interrupted, Training, train
from pipeline.training.optimiser import Optimiser
from pipeline.training.schedules import learning_rate_factor, sh_degree, splat_allowance
from pipeline.training.settings import TrainSettings
from tests.unit import rigged_toy as toy

SETTINGS = TrainSettings(
    iterations=24,
    sh_degree=1,
    sh_every=6,
    densify_from=8,
    densify_until=16,
    densify_every=4,
    densify_gradient=0.0,
    max_splats=420,
    opacity_reset_every=14,
    log_every=4,
    checkpoint_seconds=1e9,
)


@pytest.fixture
def images(tmp_path):  # noqa: ANN001, ANN201
    return toy.pictures(tmp_path / "alpha", toy.cameras(2))


def new_training(images, settings: TrainSettings = SETTINGS) -> Training:  # noqa: ANN001
    pictures = TrainingPictures(images, [c.name for c in images.cameras], toy.FRAMES, index=toy.FRAMES, margin=0.03, memory_mb=10)
    return Training(toy.avatar(), CameraColor(2), pictures, settings)


def losses(training: Training, steps: int) -> list[float]:
    return [float(sum(training.advance().values()).detach()) for _ in range(steps)]


def test_sampler_covers_every_item_each_epoch_in_changing_order_and_knows_what_comes():
    sampler = Sampler(7, seed=3)
    epochs = []
    for _ in range(4):
        epoch = []
        for _ in range(7):
            expected = sampler.upcoming()
            epoch.append(sampler.next())
            assert epoch[-1] == expected
        epochs.append(tuple(epoch))
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs) and len(set(epochs)) > 1


def test_sampler_goes_on_in_the_middle_of_an_epoch():
    sampler, other = Sampler(5, seed=1), Sampler(5, seed=2)
    for _ in range(8):
        sampler.next()
    other.load(sampler.state())
    assert [other.next() for _ in range(17)] == [sampler.next() for _ in range(17)]


def test_every_picture_is_offered_with_its_camera_and_frame(images):
    training = new_training(images)
    seen = Counter((cut.camera, cut.frame) for cut in map(training.pictures.get, range(len(training.pictures))))
    assert seen == Counter((c, f) for c in range(2) for f in range(3))


def test_a_cut_picture_is_the_window_of_the_whole_one(images):
    pictures = new_training(images).pictures
    cut = pictures.get(4)
    whole = images.open("c1").read(toy.FRAMES[1])
    height, width = cut.rgba.shape[:2]
    assert (height, width) < whole.shape[:2]
    np.testing.assert_array_equal(cut.rgba.numpy(), whole[cut.top : cut.top + height, cut.left : cut.left + width])
    point = np.array([0.03, 0.02, 0.01])
    K, R, t = (x[0].double().numpy() for x in (cut.views.K, cut.views.R, cut.views.t))
    seen = K @ (R @ point + t)
    np.testing.assert_allclose(seen[:2] / seen[2] + [cut.left, cut.top], images.by_name["c1"].project(point), atol=1e-4)
    over = cut.over(torch.ones(3))[0].numpy()
    alpha = cut.rgba.numpy()[..., 3:] / 255
    np.testing.assert_allclose(over, cut.rgba.numpy()[..., :3] / 255 * alpha + 1 - alpha, atol=1e-6)


def test_pictures_beyond_the_memory_are_read_again(images):
    pictures = TrainingPictures(images, ["c0"], toy.FRAMES, index=toy.FRAMES, margin=0.1, memory_mb=0)
    first, second = pictures.get(0), pictures.get(0)
    assert first is not second and torch.equal(first.rgba, second.rgba)


def test_window_of_the_person_holds_the_person_and_an_empty_picture_stays_whole():
    alpha = np.zeros((60, 50), np.uint8)
    assert person_window(alpha, 0.1) == (slice(0, 60), slice(0, 50))
    alpha[20:30, 45:48] = 255
    rows, columns = person_window(alpha, 0.1)
    assert rows == slice(14, 36) and columns.start <= 39 and columns.stop == 50 and columns.stop - columns.start >= 16


def test_rows_of_other_frames_stay_and_the_drawn_one_moves_by_the_learning_rate():
    table, dense = torch.zeros(4, 3), torch.nn.Parameter(torch.zeros(1))
    optimiser = Optimiser({"means": dense}, {"pose": table}, {"pose": 0.1, "means": 0.1})
    for _ in range(3):
        optimiser.step_rows(2, {"pose": table}, {"pose": torch.tensor([1.0, -2.0, 0.0])})
    assert torch.equal(table[[0, 1, 3]], torch.zeros(3, 3))
    torch.testing.assert_close(table[2], torch.tensor([-0.3, 0.3, 0.0]))  # Adam under a constant gradient moves by the rate each step


def test_schedules_reach_their_ends():
    assert learning_rate_factor(0, SETTINGS) == 1 and learning_rate_factor(SETTINGS.iterations - 1, SETTINGS) == pytest.approx(SETTINGS.lr_end)
    assert [sh_degree(step, SETTINGS) for step in (0, 5, 6, 100)] == [0, 0, 1, 1]
    assert splat_allowance(8, 300, SETTINGS) == 340 and splat_allowance(16, 300, SETTINGS) == 420


def test_colors_of_cameras_are_no_change_on_average_and_learn_a_gain():
    color = CameraColor(2)
    image, alpha = torch.rand(4, 5, 3), torch.ones(4, 5)
    torch.testing.assert_close(color.apply_to(image, alpha, 0), image)
    with torch.no_grad():
        color.change[0, :, :3] = 0.4 * torch.eye(3)
        color.change[1, :, 3] = 0.2
    torch.testing.assert_close(color.maps().mean(0), torch.eye(3, 4))
    torch.testing.assert_close(color.apply_to(image, alpha, 0), 1.2 * image - 0.1)
    assert torch.equal(color.apply_to(0 * image, 0 * alpha, 1), 0 * image)


def test_training_brings_the_pictures_closer(images):
    curve = losses(new_training(images, replace(SETTINGS, iterations=150, lr_end=1.0, opacity_reset_every=0)), 150)
    log(f"{curve[0]:.4f} -> {curve[-1]:.4f}")
    assert np.mean(curve[-6:]) < 0.6 * np.mean(curve[:6])


@pytest.mark.parametrize("stop", [5, 13])
def test_resumed_training_is_bit_equal_to_one_that_never_stopped(images, tmp_path, stop):
    whole = losses(new_training(images), SETTINGS.iterations)
    first = new_training(images)
    assert losses(first, stop) == whole[:stop]
    save_checkpoint(tmp_path / "work", stop, {"key": "k", **first.state()})
    second = new_training(images)
    second.load(load_checkpoint(tmp_path / "work", "k"))
    assert second.step == stop
    assert losses(second, SETTINGS.iterations - stop) == whole[stop:]


def test_checkpoints_keep_two_pass_over_damage_and_refuse_foreign_ones(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"key": "mine", "step": step, "x": torch.arange(3)})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["checkpoint-0000002.pt", "checkpoint-0000003.pt"]
    assert load_checkpoint(tmp_path, "mine")["step"] == 3
    (tmp_path / "checkpoint-0000003.pt").write_bytes(b"half")
    assert load_checkpoint(tmp_path, "mine")["step"] == 2
    assert load_checkpoint(tmp_path, "another") is None


def test_checkpoints_of_a_longer_training_do_not_push_out_those_of_a_new_one(tmp_path):
    for step in (90, 100):
        save_checkpoint(tmp_path, step, {"key": "longer", "step": step})
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"key": "mine", "step": step})
        assert load_checkpoint(tmp_path, "mine")["step"] == step
    assert len(list(tmp_path.iterdir())) == 2


def test_a_signal_saves_and_the_next_run_goes_on_with_one_unbroken_curve(images, tmp_path, monkeypatch):
    folder, boards = tmp_path / "work", tmp_path / "boards"
    stopped = new_training(images)
    step = Training.advance

    def advance(self):  # noqa: ANN001, ANN202
        if self.step == 10:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(Training, "advance", advance)
    with pytest.raises(Interrupted) as caught:
        train(stopped, folder, boards, "key")
    assert caught.value.code == 128 + signal.SIGTERM
    assert [row[0] for row in rows(folder)] == ["step", "4", "8"]
    with open(folder / "train.csv", "a") as file:
        file.write("12,9,9,9,9,9,9\n")  # a row written after the checkpoint by a run that was then killed
    monkeypatch.setattr(Training, "advance", step)
    facts = train(new_training(images), folder, boards, "key")
    assert facts["resumed_at"] == 11 and facts["steps"] == SETTINGS.iterations
    resumed = rows(folder)
    assert [row[0] for row in resumed[1:]] == ["4", "8", "12", "16", "20", "24"]
    train(new_training(images), tmp_path / "other", boards, "key")
    assert [row[2] for row in resumed] == [row[2] for row in rows(tmp_path / "other")]  # the losses, means over steps on both sides of the break included


def rows(folder: Path) -> list[list[str]]:
    return list(csv.reader((folder / "train.csv").read_text().splitlines()))
