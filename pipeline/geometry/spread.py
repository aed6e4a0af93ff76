"""A few of many, evenly spread."""

from __future__ import annotations

import numpy as np


def spread(length: int, count: int) -> np.ndarray:
    """At most `count` indices of `length` items, ascending, at even distances from the first to the last; none where either is 0."""
    return np.unique(np.linspace(0, length - 1, count).round().astype(int)) if length and count else np.zeros(0, int)
