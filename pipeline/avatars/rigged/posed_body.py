"""The fitted parametric mesh as something training can correct."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.body.model import ParametricModel, load_model
from pipeline.body.posing_tables import PosingTables
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.machine.backend import backend_of
from pipeline.mesh.topology import uniform_laplacian
from pipeline.training.quadratic import quadratic

TABLES = ("pose", "expression", "translation")
FIT_ARRAYS: dict[str, tuple[int | None, ...]] = {
    "model": (),
    "frames": (None,),
    "identity": (None,),
    "offsets": (None, 3),
    "scale": (),
    "pose": (None, None, 3),
    "expression": (None, None),
    "translation": (None, 3),
}


class Rig(nn.Module):
    """A parametric model with one person's shape and one motion.

    The shape (identity) stays as tracked; vertex offsets are shared by all frames; pose, expression and translation are rows of per-frame
    tables. A table row becomes a leaf of the graph only while its frame is posed, so that no other row ever has a gradient.

    Attributes:
        frames: ids of the frames. offsets: [V, 3] metres, at rest. pose: [F, J, 3] radians. expression: [F, E]. translation: [F, 3] metres.
    """

    def __init__(self, model: ParametricModel, fit: Mapping[str, np.ndarray]):
        """Args: fit: the arrays of fit.npz (see FIT_ARRAYS)."""
        super().__init__()
        self.model_name = str(fit["model"])
        self.person = _with_shape(model, _tensor(fit["identity"]))
        self.frames = tuple(str(name) for name in fit["frames"])
        self.scale = float(fit["scale"])
        self.register_buffer("identity", _tensor(fit["identity"]))
        self.register_buffer("tracked_offsets", _tensor(fit["offsets"]))
        self.offsets = nn.Parameter(self.tracked_offsets.clone())
        for name in TABLES:
            self.register_buffer(name, _tensor(fit[name]))
            self.register_buffer(f"tracked_{name}", _tensor(fit[name]))
        laplacian = uniform_laplacian(model.faces.cpu().numpy(), model.vertex_count)
        self.register_buffer("stiffness", _sparse(1e6 / model.vertex_count * (laplacian.T @ laplacian)))
        self.register_buffer("joint_regressor", model.joint_regressor.to_dense())
        units = {"pose": 10.0, "expression": 1.0, "translation": 100.0}
        sizes = [getattr(self, name)[0].numel() for name in TABLES]
        self.register_buffer("_units", torch.cat([torch.full((n,), units[name] ** 2 / n) for name, n in zip(TABLES, sizes)]))
        self.register_buffer("_tracked", torch.cat([getattr(self, f"tracked_{name}").flatten(1) for name in TABLES], dim=1))
        self.posing: PosingTables | None = None
        self._posed: Tensor | None = None
        self._sizes, self._leaf, self._frame = sizes, torch.zeros(sum(sizes)), 0

    @staticmethod
    def from_fit(path: str | Path, frames: Sequence[str] = (), *, remedy: str = "") -> Rig:
        """The rig of a fit.npz. Raises InputError where the file is not one, does not suit its model or lacks one of `frames`."""
        fit = load_npz(path, FIT_ARRAYS, remedy=remedy)
        model, count = load_model(str(fit["model"])), len(fit["frames"])
        joints, components = len(model.parents), len(model.expression_basis)
        suited = {
            "identity": (len(model.identity_basis),),
            "offsets": (model.vertex_count, 3),
            "pose": (count, joints, 3),
            "expression": (count, components),
            "translation": (count, 3),
        }
        for name, shape in suited.items():
            if fit[name].shape != shape:
                raise InputError(f"'{name}' does not suit the model {fit['model']}", file=path, found=fit[name].shape, expected=shape, remedy=remedy)
        missing = sorted(set(frames) - set(fit["frames"].tolist()))
        if missing:
            raise InputError(f"lacks {len(missing)} of the sampled frames", file=path, found=f"{count} frames", expected=f"also {missing[0]}", remedy=remedy)
        return Rig(model, fit)

    @property
    def faces(self) -> Tensor:
        """int64 [F, 3]."""
        return self.person.faces

    def vertices(self, frame: int | Tensor) -> Tensor:
        """World vertices [V, 3], metres, at an instant; differentiable in the offsets and in the rows of that frame (see `row_gradients`)."""
        self._frame = frame
        self._leaf = torch.cat([_row(getattr(self, name), frame).flatten() for name in TABLES])
        if self._posed is not None:
            return _row(self._posed, frame)
        self._leaf.requires_grad_(torch.is_grad_enabled())
        rows = {name: row.view(1, *getattr(self, name).shape[1:]) for name, row in zip(TABLES, self._leaf.split(self._sizes))}
        if self.posing and backend_of(self.offsets, "pose") == "gpu":
            from pipeline.body.posing_gpu import pose_vertices

            return pose_vertices(self.posing, self.offsets, rows["expression"], rows["pose"], rows["translation"], self.scale).squeeze(0)
        # the same as giving `offsets` to pose_vertices, but the few joints are regressed with a dense matrix: derivatives of sparse products are slow
        joints = self.person.rest_joints + self.joint_regressor @ self.offsets
        person = replace(self.person, template=self.person.template + self.offsets, rest_joints=joints)
        return person.pose_vertices(self.identity[:0], scale=self.scale, **rows).vertices[0]

    def to(self, device: torch.device | str) -> Rig:  # type: ignore[override]  (only ever moved, never cast)
        """Move everything to a device; a GPU also gets the tables of its own kernels."""
        self.person = self.person.to(device)
        self.posing = PosingTables.of(self.person) if torch.device(device).type == "cuda" else None
        return super().to(device)

    @torch.no_grad()
    def freeze(self) -> None:
        """From now on nothing of the rig is trained: every frame is posed once, here, and kept."""
        self._posed = None
        self._posed = torch.stack([self.vertices(frame) for frame in range(len(self.frames))])
        self.offsets.requires_grad_(False)

    @property
    def frozen(self) -> bool:
        """Whether nothing of the rig is trained."""
        return self._posed is not None

    def row_gradients(self) -> dict[str, Tensor]:
        """Gradients of the rows of the frame posed last, by table."""
        if self._leaf.grad is None:
            return {}
        return {name: part.view(getattr(self, name).shape[1:]) for name, part in zip(TABLES, self._leaf.grad.split(self._sizes))}

    def tables(self) -> dict[str, Tensor]:
        """Per-frame tables by name."""
        return {name: getattr(self, name) for name in TABLES}

    def roughness(self) -> Tensor:
        """Mean squared Laplacian of the change of the offsets, square millimetres, []."""
        return quadratic(self.offsets - self.tracked_offsets, self.stiffness)

    def deviation(self) -> Tensor:
        """How far the rows of the frame posed last are from the tracked ones: mean squares of radians x 10, expression weights and centimetres, summed, []."""
        return quadratic(self._leaf - _row(self._tracked, self._frame), self._units)

    def state(self) -> dict[str, Any]:
        """What training changes."""
        return {"offsets": self.offsets.detach(), **self.tables()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        with torch.no_grad():
            for name in ("offsets", *TABLES):
                getattr(self, name).copy_(state[name])

    def changes(self) -> dict[str, Any]:
        """Root mean squares of what training changed: offsets_mm, pose_degrees, expression, translation_mm (the last three over all rows)."""
        units = {
            "offsets": ("offsets_mm", 1000.0),
            "pose": ("pose_degrees", 57.29578),
            "expression": ("expression", 1.0),
            "translation": ("translation_mm", 1000.0),
        }
        moved = {name: (getattr(self, name) - getattr(self, f"tracked_{name}")).detach() for name in units}
        return {key: round(factor * float(moved[name].norm(dim=-1).square().mean().sqrt()), 4) for name, (key, factor) in units.items()}

    def export(self) -> dict[str, np.ndarray]:
        """The rig as the arrays of a fit.npz."""
        arrays = {name: getattr(self, name).detach().cpu().numpy() for name in ("identity", "offsets", *TABLES)}
        return {"model": np.array(self.model_name), "frames": np.array(self.frames), "scale": np.float32(self.scale), **arrays}


def _with_shape(model: ParametricModel, identity: Tensor) -> ParametricModel:
    """The model whose mean is this one person, so that posing does not add up the identity basis each time."""
    rest = model.zeros(1)["expression"]
    shape, joints = model.shape_vertices(identity, rest)[0], model.shape_joints(identity, rest)[0]
    return replace(model, template=shape, rest_joints=joints, identity_basis=model.identity_basis[:0], identity_joints=model.identity_joints[:0])


def _row(table: Tensor, frame: int | Tensor) -> Tensor:
    """Row `frame` of a table; plain indexing by a tensor on a GPU would wait for its value."""
    return table[frame] if isinstance(frame, int) else table.index_select(0, frame.view(1)).squeeze(0)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _sparse(matrix) -> Tensor:  # noqa: ANN001  (a scipy matrix)
    matrix = matrix.tocsr()
    indices = (torch.from_numpy(np.asarray(x, np.int64)) for x in (matrix.indptr, matrix.indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(*indices, torch.from_numpy(matrix.data.astype(np.float32)), size=matrix.shape, check_invariants=True)
