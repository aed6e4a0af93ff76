"""Random appearance of a subject: colours and patterns of skin, hair, eyes and clothes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.capture.color import decode_srgb

Colour = tuple[float, float, float]


class ClothingEnds(NamedTuple):
    """Where clothes end on a model, millimetres of texture space: heights, and for the sleeve |x|."""

    collar: float
    sleeve: float
    waist: float
    ankle: float


class Appearance(NamedTuple):
    """The parameters of the procedural textures.

    Plain numbers only: compiled code counts references to every array argument at every call.

    Attributes:
        skin to shoes: linear reflectances.
        shift: millimetres, offset of the noise lattice.
        freckles, stubble, oil, blush: 0..1.
        hairline, brow_up: millimetres. brow_thick: 1 = average.
        stripe: period of the shirt's stripes in millimetres, 0 = plain knit.
        collar, sleeve, waist, ankle: see `ClothingEnds`.
    """

    skin: Colour
    lip: Colour
    brow: Colour
    hair: Colour
    iris: Colour
    iris_inner: Colour
    shirt: Colour
    shirt_second: Colour
    trousers: Colour
    shoes: Colour
    shift: Colour
    freckles: float
    stubble: float
    oil: float
    blush: float
    hairline: float
    brow_up: float
    brow_thick: float
    stripe: float
    collar: float
    sleeve: float
    waist: float
    ankle: float


# sRGB values; each draw mixes two neighbours
_SKIN_TONES = ("f3d3bf", "e8bd9f", "d9a582", "c08a64", "9c6a48", "74492f", "53331f")
_HAIRS = ("17120f", "2a1c14", "4a3222", "6b4a2f", "94703f", "8a3f1d", "77726d")
_IRISES = ("3d2413", "5b3a1c", "6e5a2e", "5d6f47", "5c7c8e", "7f97a6")
_SHIRTS = ("2f4f7f", "8c2f39", "3f6b4f", "d8d4c8", "2b2d33", "b0793a", "5d4a78", "3b7f86")


def draw_appearance(rng: np.random.Generator, ends: ClothingEnds) -> Appearance:
    """A random appearance; `ends` depends on the model."""
    tone = rng.uniform(0, len(_SKIN_TONES) - 1)
    skin = _mix(_SKIN_TONES, tone)
    hair = _mix(_HAIRS, rng.uniform(0, 2.5) if tone > 3 else rng.uniform(0, len(_HAIRS) - 1))
    iris = _mix(_IRISES, rng.uniform(0, 1.2) if tone > 3 else rng.uniform(0, len(_IRISES) - 1))
    shirt, second = rng.choice(len(_SHIRTS), 2, replace=False)
    lip = skin * np.array([0.80, 0.47, 0.46]) + np.array([0.035, 0.0, 0.006])
    brow = 0.55 * hair + 0.05 * skin
    return Appearance(
        skin=_colour(skin),
        lip=_colour(lip),
        brow=_colour(brow),
        hair=_colour(hair),
        iris=_colour(iris),
        iris_inner=_colour(iris * 1.9 + 0.02),
        shirt=_colour(_linear(_SHIRTS[shirt])),
        shirt_second=_colour(_linear(_SHIRTS[second])),
        trousers=_colour(_linear("2b3448") * rng.uniform(0.6, 1.6)),
        shoes=_colour(_linear("35302c")),
        shift=_colour(rng.uniform(0, 64, 3)),
        freckles=float(max(0.0, rng.uniform(-0.2, 0.9) * (1 - tone / 5))),
        stubble=float(max(0.0, rng.uniform(-0.7, 0.9))),
        oil=float(rng.uniform(0.4, 1.0)),
        blush=float(rng.uniform(0.4, 1.0)),
        hairline=float(rng.uniform(-6, 7)),
        brow_up=float(rng.uniform(-1.0, 1.0)),
        brow_thick=float(rng.uniform(0.8, 1.3)),
        stripe=float(rng.choice([0.0, 14.0, 22.0])),
        collar=ends.collar,
        sleeve=ends.sleeve,
        waist=ends.waist,
        ankle=ends.ankle,
    )


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _linear(code: str) -> np.ndarray:
    """Linear RGB of a hexadecimal sRGB colour."""
    return decode_srgb(np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255)


def _mix(codes: tuple[str, ...], position: float) -> np.ndarray:
    """Linear interpolation between the colours at the indices around `position`."""
    index = min(int(position), len(codes) - 2)
    share = position - index
    return _linear(codes[index]) * (1 - share) + _linear(codes[index + 1]) * share
