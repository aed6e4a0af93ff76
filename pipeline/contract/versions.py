"""A version number per stage, raised whenever its results change: old results then count as stale and are made again.

Light to import: the Snakefile loads it.
"""

from __future__ import annotations

# In the order of the path.
VERSIONS = {
    "synthesise": 1,
    "ingest": 1,
    "frames": 1,
    "sample": 1,
    "matte": 1,
    "keypoints": 3,
    "fit": 2,
    "init": 1,
    "train": 1,
    "render": 2,
    "evaluate": 1,
    "report": 1,
}

# The stages whose outputs a stage reads (what `synthesise` makes, its truth included, only in captures that have it).
AFTER = {
    "synthesise": (),
    "ingest": ("synthesise",),
    "frames": ("ingest",),
    "sample": ("ingest", "frames"),
    "matte": ("frames", "sample"),
    "keypoints": ("ingest", "frames", "sample", "matte"),
    "fit": ("frames", "sample", "matte", "keypoints"),
    "init": ("frames", "sample", "matte", "fit"),
    "train": ("frames", "sample", "matte", "fit", "init"),
    "render": ("synthesise", "ingest", "frames", "sample", "matte", "train"),
    "evaluate": ("synthesise", "ingest", "frames", "sample", "matte", "train", "render"),
    "report": ("synthesise", "ingest", "frames", "sample", "matte", "keypoints", "fit", "init", "train", "render", "evaluate"),
}

METHODS = ("rigged",)
STAGES = tuple(VERSIONS)
