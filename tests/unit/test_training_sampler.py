"""Every image once per epoch, the views of a step of one instant, and an order that can be saved in the middle."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.training.sampler import Sampler


def instants(*counts: int) -> list[list[int]]:
    """Consecutive image numbers, so many of each instant."""
    return [list(range(sum(counts[:i]), sum(counts[: i + 1]))) for i in range(len(counts))]


def epoch(sampler: Sampler, chunks: int) -> list[tuple[int, ...]]:
    return [sampler.next() for _ in range(chunks)]


def test_every_image_comes_once_per_epoch_in_changing_order():
    sampler = Sampler(instants(3, 4), views=1, seed=3)
    epochs = [epoch(sampler, 7) for _ in range(4)]
    assert all(sorted(order) == [(i,) for i in range(7)] for order in epochs)
    assert len(set(map(tuple, epochs))) == 4
    other = Sampler(instants(3, 4), views=1, seed=4)
    assert epoch(other, 7) != epochs[0]


def test_a_chunk_has_images_of_one_instant_and_the_last_one_is_filled_up():
    groups = instants(5, 4, 5)
    sampler = Sampler(groups, views=2, seed=0)
    pairs = set()
    for _ in range(20):
        order = epoch(sampler, 3 + 2 + 3)
        counts = Counter(image for chunk in order for image in chunk)
        assert set(counts) == set(range(14)) and all(len(set(chunk)) == 2 for chunk in order)
        assert all(any(set(chunk) <= set(group) for group in groups) for chunk in order)
        assert [sum(counts[i] - 1 for i in group) for group in groups] == [1, 0, 1]
        pairs |= {frozenset(chunk) for chunk in order if set(chunk) <= set(groups[1])}
    assert len(pairs) == 6, "cameras of an instant are recombined in every epoch"


def test_an_instant_with_fewer_images_than_views_repeats_them():
    sampler = Sampler(instants(2), views=5, seed=0)
    for chunk in epoch(sampler, 4):
        assert sorted(Counter(chunk).values()) == [2, 3]


@pytest.mark.parametrize("views", [1, 2])
def test_it_knows_what_comes_also_beyond_the_epoch(views):
    sampler = Sampler(instants(3, 3), views, seed=5)
    length = 6 if views == 1 else 4
    for _ in range(2 * length):
        expected = [sampler.upcoming(ahead) for ahead in range(1, length + 1)]
        other = Sampler(instants(3, 3), views, seed=0)
        other.load(sampler.state())
        assert epoch(other, length) == expected
        sampler.next()


@pytest.mark.parametrize(("views", "before"), [(1, 8), (3, 3)])
def test_it_resumes_in_the_middle_of_an_epoch(views, before):
    sampler, other = (Sampler(instants(5, 5), views, seed) for seed in (1, 2))
    epoch(sampler, before)
    other.load(sampler.state())
    assert epoch(other, 33) == epoch(sampler, 33)
