"""The dataset: which image, camera, frame and subject a batch has, which pixels count, and images that come and go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.training.images import Source, TrainingImages
from tests.unit import flat_avatar as flat

MIXED = ((12, 10), (9, 14), (7, 6))


def stored(source: Source, camera: str, frame: str) -> torch.Tensor:
    return torch.from_numpy(source.images.open(camera).read(frame))


def all_of(images: TrainingImages) -> list[int]:
    return [item for instant in images.instants for item in instant]


def test_every_image_comes_with_its_camera_frame_and_subject(tmp_path):
    first, second = flat.source(tmp_path / "a"), flat.source(tmp_path / "b", MIXED, seed=1)
    later = Source(second.images, ["c2", "c0"], flat.FRAMES[1:], flat.FRAMES)
    images = TrainingImages([first, later], memory_mb=10)
    combinations = set()
    assert len(images) == 6 + 4 and images.cameras == 4 and [len(instant) for instant in images.instants] == [2] * 5
    for item in all_of(images):
        images.select([[item]])
        (batch,) = images.batches()
        subject, camera, frame = int(batch.subject), int(batch.target.camera), int(batch.frame)
        combinations.add((subject, camera, frame))
        source, name = [(first, "c0"), (first, "c1"), (later, "c2"), (later, "c0")][camera]
        expected = stored(source, name, flat.FRAMES[frame])
        image = batch.target.images[batch.target.slot[0]]
        assert torch.equal(image[: expected.shape[0], : expected.shape[1]], expected)
        for values, key in ((batch.views.K, "K"), (batch.views.R, "R"), (batch.views.t, "t")):
            np.testing.assert_allclose(values[0], getattr(source.images.by_name[name], key), rtol=1e-6)
    assert combinations == {(0, c, f) for c in (0, 1) for f in (0, 1, 2)} | {(1, c, f) for c in (2, 3) for f in (1, 2)}


def test_instants_of_a_step_are_batches_and_their_cameras_are_views(tmp_path):
    source = flat.source(tmp_path)
    images = TrainingImages([source], frames=2, views=2, memory_mb=10)
    images.select([[1, 0], [4, 5]])
    batches = images.batches()
    assert [int(batch.frame) for batch in batches] == [0, 2] and [batch.target.camera.tolist() for batch in batches] == [[1, 0], [0, 1]]
    assert [len(batch.views) for batch in batches] == [2, 2] and batches[0].subject.dim() == batches[0].frame.dim() == 0
    addresses = [(batch.target.images.data_ptr(), batch.target.slot.data_ptr(), batch.frame.data_ptr()) for batch in batches]
    images.select([[2, 3], [0, 1]])
    assert int(batches[0].frame) == 1 and batches[1].target.camera.tolist() == [0, 1], "only values change: a CUDA graph reads the same tensors"
    assert addresses == [(batch.target.images.data_ptr(), batch.target.slot.data_ptr(), batch.frame.data_ptr()) for batch in images.batches()]


def test_several_sizes_are_padded_and_padding_is_not_valid(tmp_path):
    images = TrainingImages([flat.source(tmp_path, MIXED)], memory_mb=10)
    assert (images.width, images.height) == (12, 14)
    for item in all_of(images):
        images.select([[item]])
        (batch,) = images.batches()
        target, camera = batch.target, int(batch.target.camera)
        width, height = MIXED[camera]
        valid = torch.zeros(14, 12, dtype=torch.uint8)
        valid[:height, :width] = 1
        assert torch.equal(target.valid[camera], valid) and not target.images[target.slot[0]][valid == 0].any()
        assert float(target.weight[camera]) == pytest.approx(1 / (width * height))
        assert (batch.views.width, batch.views.height) == (12, 14)
        assert batch.views.K[0, 0, 2] == width / 2, "padding is at the right and below, so K stays"


def test_pixels_that_the_raw_image_did_not_have_are_not_valid(tmp_path):
    mask = np.full((10, 12), 255, np.uint8)
    mask[:4, 3:] = 0
    images = TrainingImages([flat.source(tmp_path, masks={1: mask})], memory_mb=10)
    images.select([[0]])
    target = images.batches()[0].target
    assert target.valid[0].all() and torch.equal(target.valid[1], torch.from_numpy(mask // 255))
    torch.testing.assert_close(target.weight, torch.tensor([1 / 120, 1 / (120 - 36)]))


@pytest.mark.parametrize("masks", [None, {}, {0: np.full((10, 12), 255, np.uint8)}])
def test_there_is_no_mask_where_every_pixel_is_valid(tmp_path, masks):
    images = TrainingImages([flat.source(tmp_path, masks=masks)], memory_mb=10)
    images.select([[0]])
    assert images.batches()[0].target.valid is None


def limited(source: Source, monkeypatch: pytest.MonkeyPatch, frames: int = 1, views: int = 1) -> TrainingImages:
    """Room for few images: two, and those of a step."""
    monkeypatch.setattr("pipeline.training.images._AHEAD", 1)
    return TrainingImages([source], frames=frames, views=views, memory_mb=0, threads=2)


def selected(images: TrainingImages, chunks: list[list[int]]) -> list[torch.Tensor]:
    """The images [H, W, 4] of a step, in order."""
    images.select(chunks)
    return [batch.target.images[slot] for batch in images.batches() for slot in batch.target.slot]


def test_images_come_and_go_where_not_all_have_room(tmp_path, monkeypatch):
    source = flat.source(tmp_path, ((12, 10), (9, 14)))
    images = limited(source, monkeypatch)
    for item in (0, 1, 2, 3, 4, 5, 0, 3, 3, 5):
        (image,) = selected(images, [[item]])
        expected = stored(source, f"c{item % 2}", flat.FRAMES[item // 2])
        height, width = expected.shape[:2]
        assert len(images._rgba) == 3 and torch.equal(image[:height, :width], expected)
        assert not image[height:].any() and not image[:, width:].any(), "nothing is left of a larger image"


def test_an_image_is_not_replaced_by_another_of_the_same_step(tmp_path, monkeypatch):
    source = flat.source(tmp_path, ((12, 10),) * 4)
    images = limited(source, monkeypatch, frames=2, views=2)  # room for 6 of 12
    for chunks in ([[0, 1], [4, 5]], [[2, 3], [8, 9]], [[0, 6], [10, 11]], [[10, 3], [2, 1]], [[11, 4], [5, 6]]):
        for item, image in zip([item for chunk in chunks for item in chunk], selected(images, chunks), strict=True):
            assert torch.equal(image, stored(source, f"c{item % 4}", flat.FRAMES[item // 4])), (chunks, item)


def test_images_of_the_next_steps_are_being_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.training.images._AHEAD", 6)
    settings = replace(flat.SETTINGS, views_per_frame=2)
    trainer = flat.new_trainer(flat.source(tmp_path, ((12, 10),) * 8), settings=settings, memory_mb=0)  # room for 14 of 24
    images, sampler = trainer.images, trainer.sampler
    assert images.ahead == 3
    for step in range(4, 24):
        flat.train_to(trainer, step)
        assert {item for ahead in (1, 2, 3) for item in sampler.upcoming(ahead)} <= {*images._slot_of, *images._pending}
