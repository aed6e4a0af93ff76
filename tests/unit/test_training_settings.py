"""A schedule that is shortened for few images."""

from __future__ import annotations

import pytest

from pipeline.avatars.rigged.settings import RiggedTrainSettings

SETTINGS = RiggedTrainSettings(iterations=2000, max_visits=10, sh_every=100, densify_from=200, densify_until=1000, densify_every=50)


@pytest.mark.parametrize(("images", "share"), [(50, 0.25), (20, 0.1), (200, 1), (1000, 1)])
def test_no_image_is_used_more_often_and_all_steps_are_shortened_alike(images, share):
    short = SETTINGS.for_images(images)
    assert short.iterations == 2000 * share and short.iterations <= 10 * images
    assert [getattr(short, f"densify_{name}") for name in ("from", "until", "every")] == [round(share * x) for x in (200, 1000, 50)]
    assert short.sh_every == 100 * share and short.opacity_reset_every == 0 and short.lr_means == SETTINGS.lr_means


def test_a_step_of_several_images_counts_as_several_visits():
    several = RiggedTrainSettings(iterations=2000, max_visits=10, frames_per_step=2, views_per_frame=2)
    assert several.for_images(400).iterations == 1000


def test_without_a_limit_nothing_changes():
    settings = RiggedTrainSettings(iterations=2000)
    assert settings.for_images(1) is settings
