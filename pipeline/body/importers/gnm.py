"""GNM, the head model of Google (Apache-2.0): gnm_head.npz, version 3. Its joints do not follow the expression; ours do, as far as they are regressed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.body.importers.source import REMEDY, SourceModel, numbers, parents_of
from pipeline.body.importers.units import metres_per_unit
from pipeline.body.traits import Traits
from pipeline.io.arrays import Integers, Numbers, Shape, check_indices
from pipeline.io.errors import InputError
from pipeline.io.model_files import read_model_file

_REGIONS = {"eye_left": "left_eye", "eye_right": "right_eye", "lips": "lips", "tongue": "tongue"}  # ours: theirs, where a file has them


def read_gnm(path: Path) -> SourceModel:
    """The model. Raises InputError where the file is not as expected, or has pose correctives of its root, for which our form has no place."""
    values = read_model_file(path, "GNM's gnm_head.npz")
    expected: dict[str, Shape] = {
        "template_vertex_positions": Numbers(("V", 3)),
        "vertex_identity_basis": Numbers((None, "V", 3)),
        "expression_basis": Numbers(("E", "V", 3)),
        "skinning_weights": Numbers(("J", "V")),
        "joint_regressor": Numbers(("J", "V")),
        "joint_parent_indices": Integers(("J",)),
        "triangles": Integers(("T", 3)),
        "triangle_uvs": Numbers(("T", 3, 2)),
        "pose_correctives_regressor": Numbers((None, None)),
        "vertex_groups": Numbers(("G", "V")),
    }
    tables = numbers(values, expected, path)
    template, joints = tables["template_vertex_positions"], len(tables["joint_regressor"])
    correctives = tables["pose_correctives_regressor"]
    if correctives.shape != (9 * joints, template.size) or correctives[:9].any():
        expected_shape = f"({9 * joints}, {template.size}), zero for the root"
        raise InputError("has other pose correctives than expected", file=path, found=correctives.shape, expected=expected_shape, remedy=REMEDY)
    check_indices(tables["triangles"], len(template), "triangles", path, REMEDY)
    scale, names = metres_per_unit(template, path), _names(values, "joint_names", joints, path)
    groups = dict(zip(_names(values, "vertex_group_names", len(tables["vertex_groups"]), path), tables["vertex_groups"] > 0.5))
    return SourceModel(
        template=scale * template,
        faces=tables["triangles"],
        identity=scale * tables["vertex_identity_basis"],
        expression=scale * tables["expression_basis"],
        expression_names=_names(values, "expression_names", len(tables["expression_basis"]), path),
        joint_names=names,
        parents=parents_of(tables["joint_parent_indices"], path),
        regressor=tables["joint_regressor"],
        weights=tables["skinning_weights"].T,
        pose_basis=scale * correctives[9:].reshape(-1, len(template), 3) if correctives.any() else np.zeros((0, len(template), 3)),
        traits=_traits(names),
        uv=tables["triangle_uvs"].reshape(-1, 2),
        uv_faces=np.arange(tables["triangles"].size).reshape(-1, 3),
        regions=groups | _regions(groups, len(template)),
        facts={"source": "GNM"},
    )


def _names(values: dict, key: str, count: int, path: Path) -> tuple[str, ...]:
    names = tuple(map(str, np.ravel(np.asarray(values.get(key, ())))))
    if len(names) != count:
        raise InputError(f"lacks names in '{key}'", file=path, found=len(names), expected=count, remedy=REMEDY)
    return names


def _traits(names: tuple[str, ...]) -> Traits:
    eyes = {f"eye_{side}": name for side in ("left", "right") for name in names if side in name and "eye" in name}
    sigmas = {"neck": (15.0, 2.0), "head": (15.0, 2.0)} | {name: (12.0, 8.0) for name in eyes.values()}
    free = {name: sigmas[name] for name in names[1:] if name in sigmas}
    roles = eyes | ({"head": "head"} if "head" in names else {})
    return Traits("head", up=(0.0, 1.0, 0.0), front=(0.0, 0.0, 1.0), bounded=False, roles=roles, free={"head": free, "body": free}, upper=names[1:])


def _regions(groups: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    ours = {name: groups[theirs] for name, theirs in _REGIONS.items() if theirs in groups}
    inside = [mask for name, mask in groups.items() if any(word in name for word in ("eye", "teeth", "gum", "tongue"))]
    return ours | {"skin": ~np.any(inside, axis=0) if inside else np.ones(count, bool)}
