"""FLAME 2020 and 2023 (Li et al. 2017): the generic model's pickle, with regions from FLAME_masks.pkl and teeth where they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.body.importers.flame_teeth import with_teeth
from pipeline.body.importers.smpl_tables import of_joints, read_tables
from pipeline.body.importers.source import SourceModel
from pipeline.body.traits import Traits, component_names
from pipeline.io.errors import InputError
from pipeline.io.model_files import read_model_file
from pipeline.io.obj import Mesh, read_obj

VERTICES, IDENTITY, EXPRESSION = 5023, 300, 100
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
SIGMAS: dict[str, tuple[float, float]] = {"neck": (15, 2), "jaw": (15, 5), "left_eye": (12, 8), "right_eye": (12, 8)}  # of Traits.free
TRAITS = Traits(
    "head",
    up=(0.0, 1.0, 0.0),
    front=(0.0, 0.0, 1.0),
    bounded=False,
    roles={"head": "neck", "jaw": "jaw", "eye_left": "left_eye", "eye_right": "right_eye"},
    free={"head": SIGMAS, "body": SIGMAS},
    upper=JOINTS[1:],
)
MASKS = ("face", "neck", "lips", "scalp", "eye_region", "left_ear", "right_ear", "left_eyeball", "right_eyeball")
"""Regions that FLAME_masks.pkl must have; it may have more."""


def read_flame(files: list[Path], masks: Path | None, teeth: bool) -> SourceModel:
    """FLAME from its pickle and, optionally, the OBJ of its template, which has the texture coordinates.

    Args:
        masks: FLAME_masks.pkl. teeth: add them (V = 5143 in place of 5023).

    Raises:
        InputError: a file is not as expected.
    """
    path, *others = files
    tables = read_tables(path, "FLAME", VERTICES, len(JOINTS), IDENTITY + EXPRESSION)
    uv = _texture(others[0], tables["faces"]) if others else None
    model = SourceModel(
        template=tables["template"],
        faces=tables["faces"],
        identity=tables["components"][:IDENTITY],
        expression=tables["components"][IDENTITY:],
        expression_names=component_names(EXPRESSION),
        joint_names=JOINTS,
        parents=tables["parents"],
        regressor=tables["regressor"],
        weights=tables["weights"],
        pose_basis=tables["pose_basis"],
        traits=TRAITS,
        uv=uv.uv if uv else np.zeros((0, 2)),
        uv_faces=uv.uv_faces if uv else None,
        regions=_regions(tables["weights"], _read_masks(masks) if masks else {}),
        facts={"source": "FLAME", "teeth": teeth},
    )
    return with_teeth(model) if teeth else model


def _read_masks(path: Path) -> dict[str, np.ndarray]:
    """Region -> [V] bool. Raises InputError."""
    expected = "FLAME_masks.pkl: a dictionary of lists of vertices"
    values = read_model_file(path, expected)
    if lacking := [name for name in MASKS if name not in values]:
        raise InputError(f"lacks the region '{lacking[0]}'", file=path, found=", ".join(map(str, values)), expected=expected, remedy="correct --masks")
    regions = {}
    for name, value in values.items():
        ids = np.asarray(value)
        if ids.dtype.kind not in "iu" or ids.ndim != 1 or (ids.size and not (0 <= ids.min() and ids.max() < VERTICES)):
            expected = f"vertices from 0 to {VERTICES - 1}"
            raise InputError(f"the region '{name}' is no list of vertices of FLAME", file=path, found=ids.dtype, expected=expected, remedy="correct --masks")
        regions[name] = np.isin(np.arange(VERTICES), ids)
    return regions


def _regions(weights: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The masks by their own names, and by those that our models have."""
    eyes = {f"eye_{side}": masks.get(f"{side}_eyeball", of_joints(weights, JOINTS, (f"{side}_eye",))) for side in ("left", "right")}
    both = eyes["eye_left"] | eyes["eye_right"]
    derived = {**eyes, "skin": ~both, "outer_skin": np.ones(VERTICES, bool)}
    if masks:
        derived["ears"] = masks["left_ear"] | masks["right_ear"]
        derived["eyelids"] = masks["eye_region"] & ~both
        derived["hair"] = masks["scalp"] & ~masks["face"] & ~masks["neck"]
    return masks | derived


def _texture(path: Path, faces: np.ndarray) -> Mesh:
    mesh = read_obj(path)
    if len(mesh.vertices) != VERTICES or not np.array_equal(mesh.faces, faces) or mesh.uv_faces is None:
        found, expected = (
            f"{len(mesh.vertices)} vertices, {len(mesh.faces)} faces",
            f"{VERTICES} vertices and the model's {len(faces)} faces, with texture coordinates",
        )
        raise InputError("is not FLAME's template", file=path, found=found, expected=expected, remedy="give head_template_mesh.obj, or leave it out")
    return mesh
