"""A step that a GPU can replay: pictures chosen on the device, several views at once, steps done again where buffers were too small."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.training.camera_color import CameraColor
from pipeline.training.cuda_graph import Room
from pipeline.training.device_images import StackedPictures
from pipeline.training.host_images import TrainingPictures
from pipeline.training.loop import Training
from pipeline.training.optimiser import Optimiser
from tests.unit import rigged_toy as toy
from tests.unit.test_training_loop import SETTINGS, losses

WHOLE = 100.0  # a margin that makes every window the whole picture


@pytest.fixture
def images(tmp_path):  # noqa: ANN001, ANN201
    return toy.pictures(tmp_path / "alpha", toy.cameras(2))


def stacked(images, memory_mb: int = 10, views: int = 1) -> StackedPictures:  # noqa: ANN001
    return StackedPictures(images, ["c0", "c1"], toy.FRAMES, index=toy.FRAMES, memory_mb=memory_mb, device="cpu", views=views, threads=2)


def test_pictures_on_the_device_are_those_read_one_by_one(images):
    one_by_one, stack = TrainingPictures(images, ["c0", "c1"], toy.FRAMES, index=toy.FRAMES, margin=WHOLE, memory_mb=10), stacked(images, views=2)
    for items in ((0, 5), (3, 3), (4, 1)):
        stack.show(items)
        one_by_one.show(items)
        for given, expected in zip(stack.cuts(), one_by_one.cuts(), strict=True):
            assert torch.equal(given.rgba, expected.rgba) and given.size == expected.size
            assert (int(given.camera), int(given.frame)) == (expected.camera, expected.frame)
            for name in ("K", "R", "t"):
                assert torch.equal(getattr(given.views, name), getattr(expected.views, name))


def test_pictures_come_and_go_where_not_all_have_room(images, monkeypatch):
    monkeypatch.setattr("pipeline.training.device_images._AHEAD", 1)
    small = stacked(images, memory_mb=0)  # room for three of six
    assert len(small._rgba) == 3
    for item in (0, 1, 2, 3, 4, 5, 0, 3):
        small.show([item])
        camera, _, name = small.items[item]
        assert torch.equal(small.cuts()[0].rgba, torch.from_numpy(images.open(f"c{camera}").read(name)))


def test_training_on_stacked_pictures_is_training_on_whole_ones(images):
    settings = replace(SETTINGS, crop_margin=WHOLE)
    by_one = TrainingPictures(images, ["c0", "c1"], toy.FRAMES, index=toy.FRAMES, margin=WHOLE, memory_mb=10)
    curves = [losses(Training(toy.avatar(), CameraColor(2), pictures, settings), 20) for pictures in (by_one, stacked(images))]
    assert curves[0] == curves[1]


def test_several_views_cover_as_many_pictures_per_step(images):
    training = Training(toy.avatar(), CameraColor(2), stacked(images, views=3), replace(SETTINGS, views=3))
    seen = []
    show = training.pictures.show
    training.pictures.show = lambda items: (seen.extend(items), show(items))
    losses(training, 2)
    assert sorted(seen) == list(range(6))  # an epoch in two steps


def test_all_views_of_the_next_step_are_being_read(images):
    pictures = TrainingPictures(images, ["c0", "c1"], toy.FRAMES, index=toy.FRAMES, margin=WHOLE, memory_mb=10)
    training = Training(toy.avatar(), CameraColor(2), pictures, replace(SETTINGS, views=2))
    losses(training, 1)
    coming = {training.sampler.upcoming(ahead) for ahead in (1, 2)}
    assert len(coming) == 2 and coming <= {*pictures._kept, *pictures._waiting}


def test_rates_grow_with_the_square_root_of_the_views():
    moved = []
    for views in (1, 4):
        value = torch.nn.Parameter(torch.zeros(1))
        optimiser = Optimiser({"means": value}, {}, {"means": 0.1}, views)
        value.grad = torch.ones(1)
        optimiser.step()
        moved.append(float(value.detach()))
    assert moved[1] == pytest.approx(2 * moved[0], rel=1e-4)


class Stubborn(Room):
    """Has too little room from step 7 on, once."""

    def __init__(self):
        super().__init__(torch.device("cpu"))
        self.steps, self.failed = 0, False

    def note(self):  # noqa: ANN201
        self.steps += 1
        if self.steps == 7 and not self.failed:
            self.failed = True
            self.lacking.fill_(1)
        self._done += self.lacking == 0

    def kept(self, value):  # noqa: ANN001, ANN201
        return value * (1 - self.lacking)

    def check(self):  # noqa: ANN201
        lacked, done = bool(self.lacking), int(self._done)
        self.lacking.zero_()
        self._done.zero_()
        return done if lacked else None


def test_steps_that_lacked_room_are_done_again(images, monkeypatch):
    """The optimiser of the CPU cannot skip by a flag, so that it is told here; all else is the loop's own doing."""
    settings = replace(SETTINGS, log_every=5, densify_from=100, densify_until=0, opacity_reset_every=0)
    expected = losses(Training(toy.avatar(), CameraColor(2), stacked(images), settings), 14)
    monkeypatch.setattr("pipeline.training.loop.Room", lambda device: Stubborn())
    training = Training(toy.avatar(), CameraColor(2), stacked(images), settings)
    step, rows = training.optimiser.step, training.optimiser.step_rows
    monkeypatch.setattr(training.optimiser, "step", lambda: training.optimiser._adam.zero_grad() if training.room.lacking else step())
    monkeypatch.setattr(training.optimiser, "step_rows", lambda *given: None if training.room.lacking else rows(*given))
    curve = {}
    while training.step < 14:
        terms = training.advance()
        if terms is not None:
            curve[training.step] = float(sum(terms.values()).detach())
    assert training.room.failed and curve[14] == expected[13] and curve[11] == expected[10]
