"""Which images a step trains on: every image once per epoch, in random order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

Chunk = tuple[int, ...]


class Sampler:
    """Endless random order of chunks; a chunk holds `views` images of one instant. Can be saved in the middle of an epoch."""

    def __init__(self, instants: Sequence[Sequence[int]], views: int, seed: int):
        """Args: instants: the images of each instant (a frame of a subject), one per camera. views: images of a chunk."""
        self._instants, self._views = [tuple(images) for images in instants], views
        self._generator = torch.Generator().manual_seed(seed)
        self._position = 0
        self._order, self._following = self._epoch(), self._epoch()

    def next(self) -> Chunk:
        """The next chunk."""
        chunk = self._order[self._position]
        self._position += 1
        if self._position == len(self._order):
            self._order, self._following, self._position = self._following, self._epoch(), 0
        return chunk

    def upcoming(self, ahead: int = 1) -> Chunk:
        """What `next` will return after `ahead - 1` more calls, at most one epoch ahead."""
        at = self._position + ahead - 1
        return self._order[at] if at < len(self._order) else self._following[min(at - len(self._order), len(self._following) - 1)]

    def state(self) -> dict[str, Any]:
        """Everything that the order to come depends on."""
        return {"order": self._order, "following": self._following, "position": self._position, "generator": self._generator.get_state()}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._order, self._following = ([tuple(chunk) for chunk in state[name]] for name in ("order", "following"))
        self._position = state["position"]
        self._generator.set_state(state["generator"].cpu())

    def _epoch(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        for images in self._instants:
            order = [images[i] for i in torch.randperm(len(images), generator=self._generator).tolist()] if self._views > 1 else list(images)
            short = -len(order) % self._views if len(order) > self._views else self._views - len(order)
            order += [order[i % len(order)] for i in range(short)]  # the last chunk is filled up with images of the same instant
            chunks += [tuple(order[i : i + self._views]) for i in range(0, len(order), self._views)]
        return [chunks[i] for i in torch.randperm(len(chunks), generator=self._generator).tolist()]
