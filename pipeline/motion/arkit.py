"""Expressions as JSON: recordings of ARKit, of MediaPipe's face landmarker, and tables of weights.

A record per frame holds names and weights, under one of SHAPES or directly, and may hold the head's 4x4 matrix under one of MATRICES, in either order, and a
time under one of TIMES. A table has the names once and a row of weights per frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.geometry.rotations import matrix_to_rotvec
from pipeline.io.documents import parse_json, read_document
from pipeline.io.errors import MALFORMED, InputError
from pipeline.motion.axes import Y_UP
from pipeline.motion.motion import MOST_EXPRESSIONS, MOST_FRAMES, Motion, checked

SHAPES = ("blendShapes", "blendshapes", "faceBlendshapes", "face_blendshapes", "weights", "expressions")
MATRICES = ("transform", "headTransform", "headMatrix", "matrix", "facialTransformationMatrixes", "facial_transformation_matrixes")
TIMES = ("time", "timestamp")
RATES = ("fps", "frameRate", "exportFps")
NAMES, ROWS = ("names", "facsNames", "blendShapeNames"), ("weights", "weightMat", "values")
FPS = 30.0  # where the file states neither a rate nor times
_EXPECTED = "a list of frames with named weights, or names and rows of weights (docs/motion.md)"
_NEUTRAL = "_neutral"  # MediaPipe's share of no expression at all


def read_arkit(path: Path) -> Motion:
    """A JSON recording as a motion of a head. Raises InputError: not such a file, or not finite."""
    document = read_document(path, parse_json, what="JSON", expected=_EXPECTED)
    try:
        names, weights, matrices, fps = _table(document) if isinstance(document, dict) and _first(document, NAMES) is not None else _records(document)
    except MALFORMED as error:
        raise InputError("is no recording of expressions", file=path, found=error, expected=_EXPECTED) from None
    R = Y_UP @ matrices @ Y_UP.T
    return checked(Motion(("head",), (-1,), matrix_to_rotvec(R)[:, None], np.zeros((len(R), 3)), fps, names, weights), path)


def _table(document: Mapping[str, Any]) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, float]:
    names = tuple(str(name) for name in _first(document, NAMES))
    weights = np.array(_first(document, ROWS), np.float64)
    if weights.ndim != 2 or weights.shape[1] != len(names) or len(names) > MOST_EXPRESSIONS:
        raise ValueError(f"weights of shape {weights.shape} for {len(names)} names")
    return names, weights, np.tile(np.eye(3), (len(weights), 1, 1)), float(_first(document, RATES) or FPS)


def _records(document: Any) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, float]:
    outer = document if isinstance(document, dict) else {}
    records = outer.get("frames") if outer else document
    if not isinstance(records, list) or not 0 < len(records) <= MOST_FRAMES:
        raise ValueError("no list of frames")
    shapes = [_shapes(record) for record in records]
    names = tuple(dict.fromkeys(name for frame in shapes for name in frame if name != _NEUTRAL))
    if not 0 < len(names) <= MOST_EXPRESSIONS:
        raise ValueError(f"{len(names)} names of expressions")
    weights = np.array([[frame.get(name, 0.0) for name in names] for frame in shapes], np.float64)
    matrices = np.stack([_rotation(record) for record in records])
    return names, weights, matrices, _rate(outer, records)


def _shapes(record: Mapping[str, Any]) -> dict[str, float]:
    """{name: weight} of a record: a dictionary, or MediaPipe's list of categories."""
    value = _first(record, SHAPES)
    if isinstance(value, list):  # of one face, or of its categories
        value = value[0] if value and "categories" in value[0] else value
        categories = value["categories"] if isinstance(value, dict) else value
        return {str(_first(category, ("categoryName", "category_name", "name"))): float(category["score"]) for category in categories}
    value = record if value is None else value
    return {str(name): float(weight) for name, weight in value.items() if isinstance(weight, int | float) and name not in TIMES}


def _rotation(record: Mapping[str, Any]) -> np.ndarray:
    """The rotation [3, 3] of the head's matrix; the identity without one."""
    value = _first(record, MATRICES)
    if value is None:
        return np.eye(3)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    matrix = np.array(value["data"] if isinstance(value, dict) else value, np.float64).reshape(4, 4)
    matrix = matrix.T if np.abs(matrix[3, :3]).max() > np.abs(matrix[:3, 3]).max() else matrix  # by columns
    U, scales, Vt = np.linalg.svd(matrix[:3, :3])
    if not (scales > 1e-6).all() or np.linalg.det(U @ Vt) < 0:
        raise ValueError(f"a head matrix that is no rotation: {matrix[:3, :3].round(3).tolist()}")
    return U @ Vt


def _rate(outer: Mapping[str, Any], records: list[Mapping[str, Any]]) -> float:
    """Frames per second: stated, or of the records' times, seconds or milliseconds."""
    stated = _first(outer, RATES)
    if stated is not None:
        return float(stated)
    times = np.array([float(time) for record in records if (time := _first(record, TIMES)) is not None])
    if len(times) != len(records) or len(times) < 2 or not (np.diff(times) > 0).all():
        return FPS
    step = float(np.median(np.diff(times)))
    return 1 / (step if step < 1 else step / 1000)


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value under the first of several names that is there."""
    return next((record[name] for name in names if name in record), None)
