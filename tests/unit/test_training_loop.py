"""The loop: what is drawn when, what a checkpoint holds, and that an interrupted training goes on exactly."""

from __future__ import annotations

import csv
import os
import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.contract.layout import Layout
from pipeline.io.progress import log
from pipeline.training.camera_color import CameraColor
from pipeline.training.checkpoint import Keys, load_checkpoint, load_shorter, save_checkpoint
from pipeline.training.host_images import Sampler, TrainingPictures, person_window
from pipeline.training.loop import Interrupted, Training, train
from pipeline.training.optimiser import Optimiser
from pipeline.training.results import training_keys
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
KEYS = Keys("this one", "its like")


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
        train(stopped, folder, boards, KEYS, tmp_path / "trained.pt")
    assert caught.value.code == 128 + signal.SIGTERM
    assert [row[0] for row in rows(folder)] == ["step", "4", "8"]
    with open(folder / "train.csv", "a") as file:
        file.write("12,9,9,9,9,9,9\n")  # a row written after the checkpoint by a run that was then killed
    monkeypatch.setattr(Training, "advance", step)
    facts = train(new_training(images), folder, boards, KEYS, tmp_path / "trained.pt")
    assert facts["resumed_at"] == 11 and facts["steps"] == SETTINGS.iterations
    resumed = rows(folder)
    assert [row[0] for row in resumed[1:]] == ["4", "8", "12", "16", "20", "24"]
    train(new_training(images), tmp_path / "other", boards, KEYS, tmp_path / "trained.pt")
    assert [row[2] for row in resumed] == [row[2] for row in rows(tmp_path / "other")]  # the losses, means over steps on both sides of the break included


def run_through(images, folder: Path, settings: TrainSettings, keys: Keys) -> tuple[dict, Training, list[list[str]]]:  # noqa: ANN001
    """A stage's life: the scratch goes when it has ended, what is kept stays. Facts, the training as it ended, and the rows of its curve."""
    training = new_training(images, settings)
    facts = train(training, folder / "work", folder / "boards", keys, folder / "trained.pt")
    curve = rows(folder / "work")
    shutil.rmtree(folder / "work")
    return facts, training, curve


SHORT, LONG = replace(SETTINGS, iterations=10), replace(SETTINGS, lengthen=True)


def weights(training: Training) -> list[torch.Tensor]:
    return [value.detach().clone() for value in training.avatar.parameters_by_name().values()]


def equal(one: Training, other: Training) -> bool:
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_a_finished_training_is_kept_and_changes_nothing_for_the_same_or_a_longer_one(images, tmp_path):
    _, first, _ = run_through(images, tmp_path, SHORT, KEYS)
    assert [path.name for path in sorted(tmp_path.glob("*.pt"))] == ["trained.pt"]
    facts, again, _ = run_through(images, tmp_path, SHORT, KEYS)
    assert facts["resumed_at"] is None and equal(first, again)
    facts, longer, _ = run_through(images, tmp_path, SETTINGS, replace(KEYS, exact="longer"))
    _, fresh, _ = run_through(images, tmp_path / "fresh", SETTINGS, KEYS)
    assert facts["resumed_at"] is None and "lengthened_at" not in facts and equal(longer, fresh)


def test_a_longer_training_goes_on_where_the_shorter_one_ended_if_it_may(images, tmp_path):
    shorter, _, _ = run_through(images, tmp_path, SHORT, KEYS)
    expected = new_training(images, LONG)
    expected.load(torch.load(tmp_path / "trained.pt", weights_only=True))
    after = losses(expected, LONG.iterations - SHORT.iterations)
    facts, longer, curve = run_through(images, tmp_path, LONG, replace(KEYS, exact="longer"))
    assert facts["resumed_at"] == 10 and facts["lengthened_at"] == [10] and facts["steps"] == 24 and equal(longer, expected)
    assert 0 < shorter["seconds"] < facts["seconds"], "both counted"
    assert [row[0] for row in curve[1:]] == ["4", "8", "10", "12", "16", "20", "24"], "with the rows of the shorter one"
    assert float(curve[4][2]) == pytest.approx(np.mean(after[:2]), abs=1e-6), "the mean over the two steps since the last row"
    facts, unchanged, again = run_through(images, tmp_path, LONG, replace(KEYS, exact="longer"))  # as after a lost avatar.npz
    assert facts["steps"] == facts["resumed_at"] == 24 and facts["lengthened_at"] == [10] and equal(unchanged, longer) and again == curve


def test_a_killed_longer_training_goes_on_exactly(images, tmp_path, monkeypatch):
    run_through(images, tmp_path, SHORT, KEYS)
    shutil.copytree(tmp_path, tmp_path / "undisturbed", ignore=shutil.ignore_patterns("undisturbed"))
    settings, keys, step = replace(LONG, checkpoint_every=5), replace(KEYS, exact="longer"), Training.advance

    def die(self):  # noqa: ANN001, ANN202
        if self.step == 18:
            raise MemoryError
        return step(self)

    monkeypatch.setattr(Training, "advance", die)
    with pytest.raises(MemoryError):
        train(new_training(images, settings), tmp_path / "work", tmp_path / "boards", keys, tmp_path / "trained.pt")
    monkeypatch.setattr(Training, "advance", step)
    facts, resumed, curve = run_through(images, tmp_path, settings, keys)
    _, whole, undisturbed = run_through(images, tmp_path / "undisturbed", settings, keys)
    assert facts["resumed_at"] == 15 and facts["lengthened_at"] == [10] and equal(resumed, whole)
    assert [row[:1] + row[2:3] for row in curve] == [row[:1] + row[2:3] for row in undisturbed]


def test_only_what_is_shorter_and_otherwise_the_same_is_lengthened(tmp_path):
    finished, folder = tmp_path / "trained.pt", tmp_path / "work"

    def leave(path: Path, step: int, iterations: int, but_length: str = "mine") -> None:
        path.parent.mkdir(exist_ok=True)
        torch.save({"key": "another", "but_length": but_length, "iterations": iterations, "step": step}, path)

    def found(iterations: int) -> int | None:
        return (load_shorter(folder, finished, "mine", iterations) or {}).get("step")

    assert found(100) is None
    leave(finished, 50, 50)
    assert found(49) is None and found(50) == found(100) == 50
    leave(folder / "checkpoint-0000030.pt", 30, 80)
    assert found(100) == 50, "the one that is furthest"
    leave(folder / "checkpoint-0000070.pt", 70, 80)
    assert found(100) == 70 and found(79) == 50, "a training of 80 steps is none that 79 can lengthen"
    leave(folder / "checkpoint-0000090.pt", 90, 95, but_length="other")
    (folder / "checkpoint-0000080.pt").write_bytes(b"half")
    assert found(100) == 70


def test_keys_know_what_only_says_how_long(tmp_path):
    layout = Layout(tmp_path / "r", tmp_path / "w")
    for path in (layout.init, layout.fit, layout.sample, layout.alpha_json):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    before = training_keys(SETTINGS, layout, 1)
    for changed in (replace(SETTINGS, iterations=25), LONG):
        keys = training_keys(changed, layout, 1)
        assert keys.exact != before.exact and keys.but_length == before.but_length
    others = [training_keys(replace(SETTINGS, seed=1), layout, 1), training_keys(SETTINGS, layout, 2)]
    layout.fit.write_text("another fit")
    for keys in (*others, training_keys(SETTINGS, layout, 1)):
        assert keys.exact != before.exact and keys.but_length != before.but_length


def rows(folder: Path) -> list[list[str]]:
    return list(csv.reader((folder / "train.csv").read_text().splitlines()))
