"""Random number streams of a synthetic capture."""

from __future__ import annotations

import zlib

import numpy as np

from pipeline.synthetic.settings import SynthesiseSettings


def capture_rng(settings: SynthesiseSettings, capture_id: str, topic: str) -> np.random.Generator:
    """A generator that depends on the seed, the capture's id and the topic only."""
    return np.random.default_rng([settings.seed, zlib.crc32(capture_id.encode()), zlib.crc32(topic.encode())])
