"""ICT-FaceKit's light model (MIT): the folder FaceXModel of OBJ files: a neutral mesh, 100 identities, and expressions with ARKit's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.body.importers.source import SourceModel
from pipeline.body.importers.units import metres_per_unit
from pipeline.body.traits import Traits
from pipeline.io.errors import InputError
from pipeline.io.obj import read_obj
from pipeline.io.progress import progress

NEUTRAL, VERTICES, KEPT = "generic_neutral_mesh.obj", 26719, 24591
"""What follows the eyeballs are fluids, lashes and shades of the eyes, which would hide them."""
RANGES = {
    "face": (0, 9409),
    "head_and_neck": (9409, 11248),
    "inner_mouth": (11248, 13294),
    "eye_socket": (13294, 14062),
    "tongue": (14062, 17039),
    "teeth": (17039, 21451),
    "eye_left": (21451, 23021),
    "eye_right": (23021, 24591),
}
_REMEDY = "give the folder FaceXModel of ICT-FaceKit"


def read_ict(folder: Path) -> SourceModel:
    """The model. Raises InputError where the folder or a mesh is not as expected."""
    path = folder / NEUTRAL
    names = sorted(file.name for file in folder.glob("*.obj")) if folder.is_dir() else []
    identities = [name for name in names if name.startswith("identity")]
    expressions = [name for name in names if name not in identities and name[0].islower() and name != NEUTRAL]
    if NEUTRAL not in names or not identities:
        raise InputError("holds no ICT face model", file=folder, found=f"{len(names)} OBJ files", expected=f"{NEUTRAL} and identity000.obj ...", remedy=_REMEDY)
    mesh = read_obj(path)
    if len(mesh.vertices) != VERTICES:
        raise InputError("has a wrong number of vertices", file=path, found=len(mesh.vertices), expected=VERTICES, remedy=_REMEDY)
    scale, kept = metres_per_unit(mesh.vertices, path), (mesh.faces < KEPT).all(1)
    moves = {name: scale * _moves(folder / name, mesh.vertices) for name in progress([*identities, *expressions], "meshes")}
    regions = {name: _between(first, end) for name, (first, end) in RANGES.items()}
    weights = np.stack([~(regions["eye_left"] | regions["eye_right"]), regions["eye_left"], regions["eye_right"]], 1).astype(np.float64)
    regressor = np.stack([regions["head_and_neck"], regions["eye_left"], regions["eye_right"]]).astype(np.float64)
    sigmas = {"left_eye": (12.0, 8.0), "right_eye": (12.0, 8.0)}
    return SourceModel(
        template=scale * mesh.vertices[:KEPT],
        faces=mesh.faces[kept],
        identity=np.stack([moves[name] for name in identities]),
        expression=np.array([moves[name] for name in expressions]).reshape(-1, KEPT, 3),
        expression_names=tuple(name.removesuffix(".obj").replace("_L", "Left").replace("_R", "Right") for name in expressions),
        joint_names=("root", "left_eye", "right_eye"),
        parents=(-1, 0, 0),
        regressor=regressor / regressor.sum(1, keepdims=True),
        weights=weights,
        pose_basis=np.zeros((0, KEPT, 3)),
        traits=Traits(
            "head",
            up=(0.0, 1.0, 0.0),
            front=(0.0, 0.0, 1.0),
            roles={"eye_left": "left_eye", "eye_right": "right_eye"},
            free={"head": sigmas, "body": sigmas},
            upper=("root", "left_eye", "right_eye"),
        ),
        uv=mesh.uv,
        uv_faces=None if mesh.uv_faces is None else mesh.uv_faces[kept],
        regions=regions | {"skin": regions["face"] | regions["head_and_neck"]},
        facts={"source": "ICT-FaceKit light"},
    )


def _between(first: int, end: int) -> np.ndarray:
    return (np.arange(KEPT) >= first) & (np.arange(KEPT) < end)


def _moves(path: Path, neutral: np.ndarray) -> np.ndarray:
    vertices = read_obj(path).vertices
    if len(vertices) != len(neutral):
        raise InputError("has a wrong number of vertices", file=path, found=len(vertices), expected=len(neutral), remedy=_REMEDY)
    return (vertices - neutral)[:KEPT]
