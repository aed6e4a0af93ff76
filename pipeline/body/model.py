"""A parametric human model: linear shape and expression, joints from the shaped vertices, linear blend skinning.

v_shaped = template + identity . identity_basis + expression . expression_basis + offsets
joints   = joint_regressor @ v_shaped
posed    = linear blend skinning of v_shaped + correctives . pose_basis with rotation vectors about the joints
           (SMPL: Loper et al. 2015, eq. 2 to 4 and 9); correctives: R - I of all joints but the root, row by row
world    = scale * posed + translation

Axes of the embedded models (anny_head, anny_body): metres, z up, the body faces -y, its left is +x (names ending in .L
/ Left); `traits` has those of any model. The origin of `anny_head` is the head joint of the mean shape, that of
`anny_body` the root (pelvis) joint. Rest pose: A-pose, arms about 45 degrees down, elbows bent forward. The rotations
of all joints are in these axes. The fit must not depend on the axes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pipeline.body import store
from pipeline.body.landmarks import LandmarkTable
from pipeline.body.skinning import correctives, linear_blend_skinning, posed_joints
from pipeline.body.traits import Traits
from pipeline.contract.bodies import EMBEDDED, body_path
from pipeline.io.documents import parse_json
from pipeline.io.errors import InputError

DATA = EMBEDDED


class Posed(NamedTuple):
    """vertices [B, V, 3], joints [B, J, 3] in world coordinates, metres; rotations [B, J, 3, 3] from the rest pose."""

    vertices: torch.Tensor
    joints: torch.Tensor
    rotations: torch.Tensor


@dataclass(frozen=True, eq=False)
class ParametricModel:
    """A parametric model. All tensors are float32 (indices int64) and on one device.

    Attributes:
        template: [V, 3] mean shape, metres. faces: [F, 3] int64.
        identity_basis: [I, V, 3] metres; coefficients have unit variance over the population.
        expression_basis: [E, V, 3] metres; coefficients 0 to 1, or of unit variance (see `Traits.bounded`). expression_names: [E].
        pose_basis: [9 (J - 1), V, 3] metres, or [0, V, 3] of a model without pose correctives.
        joint_names, parents: [J]; parents precede children; the root is first, with parent -1.
        joint_regressor: [J, V] sparse. lbs_weights: [V, J], rows sum to 1.
        uv: [U, 2], v upwards. uv_faces: [F, 3] int64 indices into uv.
        regions: {name: [V] bool, numpy}. landmarks: {name: LandmarkTable}.
        vertex_ids: [V] index of each vertex in the full model; not 0..V-1 in a `subset`.
        rest_joints [J, 3], identity_joints [I, J, 3], expression_joints [E, J, 3]: the regressor applied to template
            and bases.
        facts: source, licence, rest pose and measured errors of the model. traits: what the fit needs to know of it.
    """

    name: str
    template: torch.Tensor
    faces: torch.Tensor
    identity_basis: torch.Tensor
    expression_basis: torch.Tensor
    pose_basis: torch.Tensor
    expression_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    joint_regressor: torch.Tensor
    lbs_weights: torch.Tensor
    uv: torch.Tensor
    uv_faces: torch.Tensor
    regions: dict[str, np.ndarray]
    landmarks: dict[str, LandmarkTable]
    vertex_ids: torch.Tensor
    rest_joints: torch.Tensor
    identity_joints: torch.Tensor
    expression_joints: torch.Tensor
    facts: dict[str, Any]
    traits: Traits = field(default_factory=Traits)

    @property
    def vertex_count(self) -> int:
        """Number of vertices V."""
        return len(self.template)

    def shape_vertices(
        self,
        identity: torch.Tensor,
        expression: torch.Tensor,
        offsets: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Rest-pose vertices [B, V, 3], metres, of identity [I], expression [B, E] and offsets [V, 3]."""
        neutral = self.template + torch.tensordot(identity, self.identity_basis, dims=1)
        if offsets is not None:
            neutral = neutral + offsets
        return neutral + (expression @ self.expression_basis.flatten(1)).unflatten(1, neutral.shape)

    def shape_joints(
        self,
        identity: torch.Tensor,
        expression: torch.Tensor,
        offsets: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Rest-pose joints [B, J, 3], metres: `joint_regressor @ shape_vertices(...)` without computing the vertices.

        In a `subset` offsets do not move the joints.
        """
        neutral = self.rest_joints + torch.tensordot(identity, self.identity_joints, dims=1)
        if offsets is not None:
            neutral = neutral + torch.sparse.mm(self.joint_regressor, offsets)
        return neutral + (expression @ self.expression_joints.flatten(1)).unflatten(1, neutral.shape)

    def pose_vertices(
        self,
        identity: torch.Tensor,
        expression: torch.Tensor,
        pose: torch.Tensor,
        translation: torch.Tensor,
        scale: torch.Tensor | float = 1.0,
        offsets: torch.Tensor | None = None,
    ) -> Posed:
        """The posed body in B frames, differentiable in every argument.

        Args:
            identity: [I]. expression: [B, E].
            pose: [B, J, 3] rotation vectors in model axes, radians; joint 0 rotates the whole body about its rest
                position.
            translation: [B, 3] metres. scale: scalar. offsets: [V, 3] metres in the rest pose.
        """
        shaped = self.shape_vertices(identity, expression, offsets)
        joints = self.shape_joints(identity, expression, offsets)
        if len(self.pose_basis):
            shaped = shaped + (correctives(pose) @ self.pose_basis.flatten(1)).unflatten(1, (self.vertex_count, 3))
        rotations, positions = posed_joints(pose, joints, self.parents)
        translations = positions - (rotations * joints[..., None, :]).sum(-1)
        vertices = linear_blend_skinning(shaped, self.lbs_weights, rotations, translations)
        move = translation[:, None]
        return Posed(scale * vertices + move, scale * positions + move, rotations)

    def zeros(self, frames: int) -> dict[str, torch.Tensor]:
        """Neutral parameters of `frames` frames: {argument of `pose_vertices`: tensor}."""
        device = self.template.device
        return {
            "identity": torch.zeros(len(self.identity_basis), device=device),
            "expression": torch.zeros(frames, len(self.expression_basis), device=device),
            "pose": torch.zeros(frames, len(self.parents), 3, device=device),
            "translation": torch.zeros(frames, 3, device=device),
        }

    def to(self, device: torch.device | str) -> ParametricModel:
        """The same model on another device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in tensors.items()}
        moved["landmarks"] = {name: table.to(device) for name, table in self.landmarks.items()}
        return replace(self, **moved)

    def subset(self, vertex_ids: torch.Tensor | np.ndarray) -> ParametricModel:
        """The model restricted to unique vertices [V'], e.g. those that a fit needs.

        Joints are the same as in the full model, except that offsets do not move them. Faces that lose a vertex are
        removed; landmarks that lose a vertex become invalid.
        """
        ids = torch.as_tensor(vertex_ids, device=self.template.device)
        new_index = torch.full((self.vertex_count,), -1, dtype=torch.int64, device=ids.device)
        new_index[ids] = torch.arange(len(ids), device=ids.device)
        faces = new_index[self.faces]
        complete = (faces >= 0).all(dim=1)
        shape = (len(self.parents), len(ids))
        no_entries = torch.zeros(2, 0, dtype=torch.int64)
        no_regressor = torch.sparse_coo_tensor(no_entries, torch.zeros(0), shape, check_invariants=True)
        return replace(
            self,
            template=self.template[ids],
            faces=faces[complete],
            identity_basis=self.identity_basis[:, ids].contiguous(),
            expression_basis=self.expression_basis[:, ids].contiguous(),
            pose_basis=self.pose_basis[:, ids].contiguous(),
            joint_regressor=no_regressor.coalesce().to(ids.device),
            lbs_weights=self.lbs_weights[ids],
            uv_faces=self.uv_faces[complete],
            regions={name: mask[ids.cpu().numpy()] for name, mask in self.regions.items()},
            landmarks={name: table.renumbered(new_index) for name, table in self.landmarks.items()},
            vertex_ids=self.vertex_ids[ids],
        )


def load_model(name_or_path: str | Path) -> ParametricModel:
    """A model by name ("anny_head", "anny_body", or an imported one) or a baked npz by path, on the CPU.

    Raises InputError if there is none of that name, or the file is damaged.
    """
    path = Path(name_or_path)
    path = path if path.suffix else body_path(str(name_or_path))
    return model_of(store.read_arrays(path), path)


def model_of(a: dict[str, np.ndarray], path: Path) -> ParametricModel:
    """The model of the arrays of a file, see store.py. Raises InputError where its facts are not as expected."""
    facts, traits = _facts(str(a["facts"]), path)
    vertex_count, joint_count = len(a["template"]), len(a["parents"])
    template = torch.from_numpy(a["template"].astype(np.float32))
    identity = torch.from_numpy(a["identity_basis"] * a["identity_step"].astype(np.float32))
    expression = torch.from_numpy(a["expression_basis"] * a["expression_step"].astype(np.float32))
    indices = torch.from_numpy(np.stack([a["regressor_joints"], a["regressor_vertices"]]).astype(np.int64))
    weights = torch.from_numpy(a["regressor_weights"].astype(np.float32))
    regressor = torch.sparse_coo_tensor(indices, weights, (joint_count, vertex_count), check_invariants=True).coalesce()
    return ParametricModel(
        name=path.stem,
        template=template,
        faces=torch.from_numpy(a["faces"].astype(np.int64)),
        identity_basis=identity,
        expression_basis=expression,
        pose_basis=torch.from_numpy(a["pose_basis"].astype(np.float32)),
        expression_names=tuple(a["expression_names"].tolist()),
        joint_names=tuple(a["joint_names"].tolist()),
        parents=tuple(a["parents"].tolist()),
        joint_regressor=regressor,
        lbs_weights=torch.from_numpy(store.unpack_lbs(a["lbs_joints"], a["lbs_weights"], joint_count)),
        uv=torch.from_numpy(a["uv"].astype(np.float32)),
        uv_faces=torch.from_numpy(a["uv_faces"].astype(np.int64)),
        regions=store.unpack_regions(a["region_names"], a["regions"], vertex_count),
        landmarks=_landmarks(a),
        vertex_ids=torch.arange(vertex_count),
        rest_joints=torch.sparse.mm(regressor, template),
        identity_joints=_regress(regressor, identity),
        expression_joints=_regress(regressor, expression),
        facts=facts,
        traits=traits,
    )


def _facts(text: str, path: Path) -> tuple[dict[str, Any], Traits]:
    try:
        facts = dict(parse_json(text))
        return facts, Traits.of(facts.pop("traits", None))
    except (TypeError, ValueError) as error:
        raise InputError(
            "array 'facts' is not as expected", file=path, found=error, expected="a JSON object, with traits", remedy="bake the model again, see docs/body.md"
        ) from None


def _regress(regressor: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """The regressor applied to every component of a basis: [N, V, 3] to [N, J, 3]."""
    count, vertices, _ = basis.shape
    joints = torch.sparse.mm(regressor, basis.permute(1, 0, 2).reshape(vertices, -1))
    return joints.unflatten(1, (count, 3)).permute(1, 0, 2).contiguous()


def _landmarks(arrays: dict[str, np.ndarray]) -> dict[str, LandmarkTable]:
    """The landmark tables of a model file, by name."""
    names = [key.split(".")[1] for key in arrays if key.startswith("landmarks.") and key.endswith(".valid")]
    types = {"vertices": np.int64, "weights": np.float32, "valid": np.bool_, "spread_mm": np.float32}
    tables = {}
    for name in names:
        columns = {key: torch.from_numpy(arrays[f"landmarks.{name}.{key}"].astype(kind)) for key, kind in types.items()}
        tables[name] = LandmarkTable(**columns)
    return tables
