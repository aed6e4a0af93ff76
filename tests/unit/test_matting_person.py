"""A person segmentation corrects a plate matte and leaves its edges alone."""

from __future__ import annotations

import numpy as np

from pipeline.vision.crops import Crop
from pipeline.vision.matting.person_correction import correct, intersection_over_union


def test_a_segmentation_fills_holes_and_removes_what_is_not_the_person():
    image = np.random.default_rng(0).integers(1, 256, (240, 200, 3)).astype(np.uint8)
    person = np.zeros((240, 200), np.float32)
    person[20:220, 60:120] = 0.9
    person[90:130, 120:170] = 0.9  # an object behind the person that the segmentation takes for a body part
    rgba = np.full((240, 200, 4), 77, np.uint8)
    rgba[..., 3] = 0
    rgba[20:220, 61:119, 3] = 255
    rgba[20:220, [60, 119], 3] = 100  # soft edges
    hole, notch, streak, near = np.s_[100:115, 80:95], np.s_[160:170, 60:90], np.s_[200:206, 140:190], np.s_[40:50, 120:123]
    rgba[hole][..., 3] = rgba[notch][..., 3] = 0
    rgba[streak][..., 3] = rgba[near][..., 3] = 200

    found = correct(rgba, image, person)

    assert (found[hole][..., 3] == 230).all() and (found[hole][..., :3] == image[hole]).all()
    assert (found[160:170, 66:90, 3] == 230).all()  # the notch, except at the person's edge
    assert found[streak].max() == 0
    assert found[95:125, 130:160, 3].max() == 0
    for kept in (np.s_[25:85, 60], np.s_[135:155, 119], near):
        np.testing.assert_array_equal(found[kept], rgba[kept])


def test_intersection_over_union():
    alpha, person = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.float32)
    alpha[:6], person[3:9] = 255, 1
    assert intersection_over_union(alpha, person) == 1 / 3 and intersection_over_union(alpha * 0, person * 0) == 0


def test_pasting_undoes_a_cut():
    ramp = np.add.outer(np.arange(80.0), 2 * np.arange(60.0))
    image = np.repeat(ramp[..., None], 3, axis=-1).astype(np.uint8)
    crop = Crop((31.0, 42.0), 40.0)
    back = crop.paste(crop.cut(image, 60)[..., 0].astype(np.float32), (80, 60))
    np.testing.assert_allclose(back[25:59, 14:48], image[25:59, 14:48, 0], atol=1)
    assert back[:20].max() == 0
