"""Stand-ins for FLAME's files, of their exact structure (5023 vertices, 9976 faces, 300 + 100 components, 5 joints, chumpy-wrapped, Python 2).

Nothing in them is FLAME's: the geometry is that of our own head (CC0), cut above the chest, in FLAME's axes (y up, z to the front); the bases are our own and
smooth random fields. It looks like a head to MediaPipe. The vertices of the lip rings have the numbers that the teeth need.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import scipy.sparse
from scipy.optimize import linear_sum_assignment

from pipeline.body.importers.flame_teeth import LOWER_LIP, UPPER_LIP
from pipeline.body.model import ParametricModel, load_model
from pipeline.geometry.rotations import rotvec_to_matrix
from tests.python2_pickles import chumpy, chumpy_select, python2_pickle

VERTICES, FACES, IDENTITY, EXPRESSION, JOINTS = 5023, 9976, 300, 100, 5
PARENTS = (-1, 0, 1, 1, 1)
TO_FLAME = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # our axes (z up, the face looks along -y) to FLAME's
_RIG = {1: ("neck02", "neck03", "head"), 2: ("jaw",), 3: ("eye.L",), 4: ("eye.R",)}  # FLAME's joint: ours, whose weights it takes; the root takes the rest
_PLACES = ("neck01", "neck03", "jaw", "eye.L", "eye.R")  # where FLAME's joints lie
_LIPS = ((61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291))  # MediaPipe, from right to left


@functools.cache
def flame_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """The tables of the model under their names in the pickle; float64, J_regressor dense."""
    model, rng = load_model("anny_head"), np.random.default_rng(seed)
    kept, faces = _mesh(model)
    template = model.template.numpy()[kept].astype(np.float64) @ TO_FLAME.T
    weights = model.lbs_weights.numpy()[kept].astype(np.float64)
    merged = np.stack([weights[:, [model.joint_names.index(name) for name in _RIG.get(joint, ())]].sum(1) for joint in range(JOINTS)], 1)
    merged[:, 0] = 1 - merged.sum(1)
    regressor = model.joint_regressor.to_dense().double().numpy()[[model.joint_names.index(name) for name in _PLACES]][:, kept]
    regressor /= regressor.sum(1, keepdims=True)
    identity = model.identity_basis.numpy()[:, kept] @ TO_FLAME.T
    actions = 0.2 * model.expression_basis.numpy()[:, kept] @ TO_FLAME.T
    mixed = np.tensordot(np.linalg.qr(rng.normal(size=(len(actions),) * 2))[0], actions, 1)
    more = [_smooth(template, count, 2e-4, rng) for count in (IDENTITY - len(identity), EXPRESSION - len(mixed))]
    shapes = np.concatenate([identity, more[0], mixed, more[1]])
    correctives = _smooth(template, 9 * (JOINTS - 1), 2e-3, rng)
    return {
        "v_template": template,
        "shapedirs": np.ascontiguousarray(shapes.transpose(1, 2, 0), np.float64),
        "posedirs": np.ascontiguousarray(correctives.transpose(1, 2, 0)),
        "J_regressor": regressor,
        "weights": merged,
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(JOINTS)], np.int64),
        "f": faces.astype(np.uint32),
    }


def write_flame(path: Path, **changed: object) -> Path:
    """Write the model's pickle. changed: other values under these names; None leaves one out."""
    arrays = flame_arrays()
    shapes, places = arrays["shapedirs"], np.arange(3 * VERTICES).reshape(-1, 3)[::-1]
    value = {
        **arrays,
        "v_template": chumpy_select(chumpy(arrays["v_template"][::-1]), places.ravel(), (VERTICES, 3)),
        "shapedirs": chumpy(shapes),
        "posedirs": chumpy(arrays["posedirs"]),
        "weights": chumpy(arrays["weights"]),
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "J": chumpy(arrays["J_regressor"] @ arrays["v_template"]),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    } | changed
    path.write_bytes(python2_pickle({name: entry for name, entry in value.items() if entry is not None}))
    return path


def write_masks(path: Path, **changed: object) -> Path:
    """Write a pickle of the structure of FLAME_masks.pkl."""
    model = load_model("anny_head")
    kept, _ = _mesh(model)
    regions = {name: mask[kept] for name, mask in model.regions.items()}
    left = flame_arrays()["v_template"][:, 0] > 0
    eyes = regions["eyelids"] | regions["eye_left"] | regions["eye_right"]
    masks = {name: regions[name] for name in ("face", "neck", "lips", "scalp")}
    masks |= {"left_ear": regions["ears"] & left, "right_ear": regions["ears"] & ~left, "eye_region": eyes, "boundary": regions["torso"]}
    masks |= {"left_eyeball": regions["eye_left"], "right_eyeball": regions["eye_right"], "left_eye_region": eyes & left, "right_eye_region": eyes & ~left}
    value = {name: np.flatnonzero(mask) for name, mask in masks.items()} | changed
    path.write_bytes(python2_pickle({name: entry for name, entry in value.items() if entry is not None}))
    return path


def flame_vertices(
    arrays: dict[str, np.ndarray],
    shape: np.ndarray,
    expression: np.ndarray,
    pose: np.ndarray,
    translation: np.ndarray,
    offsets: np.ndarray | float = 0.0,
    parents: tuple[int, ...] = PARENTS,
) -> tuple[np.ndarray, np.ndarray]:
    """FLAME's (and SMPL's) published formula in float64, written apart from the project's own: vertices [V, 3] and joints [5, 3].

    Args:
        pose: [5, 3] rotation vectors of root, neck, jaw, left and right eye.
    """
    shaped = arrays["v_template"] + arrays["shapedirs"] @ np.concatenate([shape, expression]) + offsets
    joints = arrays["J_regressor"] @ shaped
    rotations = rotvec_to_matrix(pose)
    posed = shaped + arrays["posedirs"] @ (rotations[1:] - np.eye(3)).ravel()
    transforms: list[np.ndarray] = []
    for joint, parent in enumerate(parents):
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = rotations[joint], joints[joint] - (joints[parent] if joint else 0)
        transforms.append(transforms[parent] @ local if joint else local)
    places = np.array([transform[:3, 3] for transform in transforms])
    vertices = np.zeros_like(posed)
    for joint, transform in enumerate(transforms):
        vertices += arrays["weights"][:, joint, None] * ((posed - joints[joint]) @ transform[:3, :3].T + transform[:3, 3])
    return vertices + translation, places + translation


@functools.cache
def _mesh(model: ParametricModel) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of our head that are kept [5023], in the order of the stand-in, and its faces [9976, 3]: the lowest vertices are cut off, the bottom is closed."""
    heights = model.template.numpy()[:, 2]
    kept = np.sort(np.argsort(-heights, kind="stable")[:VERTICES])
    place = np.full(model.vertex_count, -1)
    place[kept] = np.arange(VERTICES)
    faces = place[model.faces.numpy()]
    faces = faces[(faces >= 0).all(1)]
    faces = np.concatenate([faces, _bottom(model.template.numpy()[kept], faces, FACES - len(faces))])
    order = _with_lips(model, kept)
    position = np.argsort(order)
    return kept[order], position[faces]


def _bottom(template: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    """So many triangles of a fan below the lowest open boundary."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    unique, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    border = unique[counts == 1]
    low = border[template[border, 2].max(1) < np.quantile(template[:, 2], 0.1)]
    first = low[0, 0]
    fan = np.array([[first, a, b] for a, b in low if first not in (a, b)])
    assert 0 <= count <= len(fan), (count, len(fan))
    return fan[:count]


def _with_lips(model: ParametricModel, kept: np.ndarray) -> np.ndarray:
    """An order of the kept vertices [5023] in which the lip rings have FLAME's numbers."""
    landmarks = model.landmarks["mediapipe_face"].points(model.template).numpy()
    lips = np.flatnonzero(model.regions["lips"][kept])
    targets = []
    for ring in _LIPS:
        line = landmarks[list(ring[::-1])]
        along = np.linspace(0, len(line) - 1, len(UPPER_LIP))
        targets.append(np.stack([np.interp(along, np.arange(len(line)), line[:, axis]) for axis in range(3)], 1))
    distance = np.linalg.norm(model.template.numpy()[kept[lips]] - np.concatenate(targets)[:, None], axis=-1)
    chosen = lips[linear_sum_assignment(distance)[1]]
    order = np.full(VERTICES, -1)
    order[[*UPPER_LIP, *LOWER_LIP]] = chosen
    order[order < 0] = np.setdiff1d(np.arange(VERTICES), chosen)
    return order


def _smooth(points: np.ndarray, count: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """[count, V, 3] smooth random fields of standard deviation `size`, metres."""
    waves = rng.normal(0, 15.0, (count, 4, 3))  # radians per metre: about 40 cm
    phase = rng.uniform(0, 2 * np.pi, (count, 4, 1))
    strength = rng.normal(size=(count, 4, 3)) * size / np.sqrt(2)
    return np.einsum("kwv,kwc->kvc", np.sin(waves @ points.T + phase), strength)
