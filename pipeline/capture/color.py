"""Colour calibration: maps the colours of one camera to the common colours of the rig."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.io.arrays import load_npy
from pipeline.io.errors import MALFORMED, InputError
from pipeline.io.files import read_json

LARGEST_FACTOR = 1e6
# Exponents of R, G, B in each term (Cheung, Westland, Connah, Ripamonti 2004, Coloration Technology 120; Westland and
# Ripamonti 2004 for the longer sets).
_LINEAR = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_PAIRS = ((1, 1, 0), (1, 0, 1), (0, 1, 1))
_SQUARES = ((2, 0, 0), (0, 2, 0), (0, 0, 2))
_CYCLE = ((2, 1, 0), (0, 2, 1), (1, 0, 2))
_BACK = ((2, 0, 1), (1, 2, 0), (0, 1, 2))
_CUBES = ((3, 0, 0), (0, 3, 0), (0, 0, 3))
_ALL, _ONE = ((1, 1, 1),), ((0, 0, 0),)
_QUADRATIC = _LINEAR + _PAIRS + _SQUARES
TERMS: dict[int, tuple[tuple[int, int, int], ...]] = {
    3: _LINEAR,
    4: _LINEAR + _ONE,
    5: _LINEAR + _ALL + _ONE,
    7: _LINEAR + _PAIRS + _ONE,
    8: _LINEAR + _PAIRS + _ALL + _ONE,
    10: _QUADRATIC + _ONE,
    11: _QUADRATIC + _ALL + _ONE,
    14: _QUADRATIC + _ALL + _CUBES + _ONE,
    16: _QUADRATIC + _ALL + _CYCLE + _CUBES,
    17: _QUADRATIC + _ALL + _CYCLE + _CUBES + _ONE,
    19: _QUADRATIC + _ALL + _CYCLE + _BACK + _CUBES,
    20: _QUADRATIC + _ALL + _CYCLE + _BACK + _CUBES + _ONE,
    22: _QUADRATIC + _ALL + _CYCLE + _BACK + _CUBES + ((2, 1, 1), (1, 2, 1), (1, 1, 2)),
}


@dataclass(frozen=True)
class ColorCalibration:
    """Correction of one camera. kind "affine": matrix [3 or 4, 4]; "polynomial": matrix [3, terms], see TERMS."""

    kind: str
    matrix: np.ndarray

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Corrected image, uint8 RGB [H, W, 3] to uint8 RGB [H, W, 3].

        affine (NeRSemble v1): rgb' = clip(rgb A[:3, :3] + A[:3, 3]), rgb in 0..1 as stored.
        polynomial (NeRSemble v2): decode sRGB, expand, rgb' = M terms, encode sRGB.
        """
        rgb = image.astype(np.float32) / 255
        if self.kind == "affine":
            matrix = self.matrix.astype(np.float32)
            corrected = np.clip(rgb @ matrix[:3, :3] + matrix[:3, 3], 0, 1)
        else:
            corrected = encode_srgb(expand(decode_srgb(rgb), self.matrix.shape[1]) @ self.matrix.T.astype(np.float32))
        return np.rint(corrected * 255).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "matrix": self.matrix.tolist()}

    @staticmethod
    def from_json(record: dict[str, Any]) -> ColorCalibration:
        return ColorCalibration(record["kind"], np.array(record["matrix"], np.float64))


def expand(rgb: np.ndarray, terms: int) -> np.ndarray:
    """Colours [..., 3] as polynomial terms [..., terms]."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.stack([red**i * green**j * blue**k for i, j, k in TERMS[terms]], axis=-1)


def decode_srgb(value: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values, both 0..1 (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB values of linear light, clipped to 0..1 (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def read_affine(path: Path) -> ColorCalibration:
    """Read a NeRSemble v1 matrix, `.npy` [3 or 4, 4]. Raises InputError if it is not one."""
    matrix = load_npy(path, "a colour matrix, 3x4 or 4x4")
    if matrix.shape not in ((3, 4), (4, 4)) or matrix.dtype.kind not in "iuf" or not (np.abs(matrix) <= LARGEST_FACTOR).all():
        raise InputError(
            "is not an affine colour matrix",
            file=path,
            found=f"shape {matrix.shape}",
            expected=f"3x4 or 4x4 finite numbers, none above {LARGEST_FACTOR:g}",
        )
    return ColorCalibration("affine", matrix.astype(np.float64))


def read_polynomials(path: Path, cameras: tuple[str, ...]) -> dict[str, ColorCalibration]:
    """Read a NeRSemble v2 `color_calibration.json`: {camera: matrix [3, terms]}. Raises InputError if it is not one."""
    record = read_json(path)
    corrections = {}
    for camera in cameras:
        if not isinstance(record, dict) or camera not in record:
            raise InputError(
                f"contains no colour matrix for camera '{camera}'",
                file=path,
                found=", ".join(record) if isinstance(record, dict) else type(record).__name__,
                expected="a matrix for each of " + ", ".join(cameras),
            )
        try:
            matrix = np.array(record[camera], np.float64)
        except MALFORMED:
            matrix = np.zeros(0)
        if matrix.ndim != 2 or matrix.shape[0] != 3 or matrix.shape[1] not in TERMS or not (np.abs(matrix) <= LARGEST_FACTOR).all():
            raise InputError(
                f"camera '{camera}': not a polynomial colour matrix",
                file=path,
                found=f"shape {matrix.shape}",
                expected=f"3 rows of n finite numbers, n one of {', '.join(map(str, TERMS))}",
            )
        corrections[camera] = ColorCalibration("polynomial", matrix)
    return corrections


def read_color(color: str, capture: str, cameras: tuple[str, ...]) -> dict[str, ColorCalibration]:
    """Corrections by camera name for the `color` cell of captures.tsv; empty for "" and "none".

    color: a v2 json, a v1 .npy, or a pattern of .npy files with {id} and {camera}.
    """
    files = color_files(color, capture, cameras)
    if color.endswith(".json"):
        return read_polynomials(files[0], cameras)
    return {camera: read_affine(file) for camera, file in zip(cameras, files)}


def color_files(color: str, capture: str, cameras: tuple[str, ...]) -> tuple[Path, ...]:
    """The files that `read_color` reads: one, or one per camera."""
    if color in ("", "none"):
        return ()
    if color.endswith(".json"):
        return (Path(color.replace("{id}", capture)),)
    return tuple(Path(color.replace("{id}", capture).replace("{camera}", camera)) for camera in cameras)
