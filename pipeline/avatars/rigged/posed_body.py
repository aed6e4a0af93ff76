"""The fitted parametric body as something training can correct: shared vertex offsets, and a pose per frame."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.body.body_pose import BodyPose
from pipeline.body.fit_file import FIT_ARRAYS, check_fit
from pipeline.body.model import ParametricModel, load_model
from pipeline.body.posing_tables import PosingTables
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.io.validation import NAME, is_name
from pipeline.machine.backend import backend_of
from pipeline.mesh.topology import uniform_laplacian
from pipeline.training.quadratic import quadratic
from pipeline.training.rows import Rows, row, select_rows

TABLES = ("pose", "expression", "translation")
_PRIOR_UNITS = {"pose": 10.0, "expression": 1.0, "translation": 100.0}  # the pose prior counts tenths of a radian, weights and centimetres alike


class PosedBody(nn.Module):
    """A parametric model with one subject's shape and one motion.

    The shape (identity) stays as tracked; vertex offsets are shared by all frames; pose, expression and translation are rows of per-frame tables.

    Attributes:
        frames: ids of the frames. offsets: [V, 3] metres, at rest. tables: pose [F, J, 3] radians, expression [F, E], translation [F, 3] metres.
    """

    offsets: nn.Parameter
    identity: Tensor
    tracked_offsets: Tensor
    stiffness: Tensor
    joint_regressor: Tensor
    _prior_units: Tensor
    _tracked: Tensor

    def __init__(self, model: ParametricModel, fit: Mapping[str, np.ndarray]):
        """Args: fit: the arrays of fit.npz (see FIT_ARRAYS)."""
        super().__init__()
        self.model_name, self.scale = str(fit["model"]), float(fit["scale"])
        self.shaped = _with_shape(model, _tensor(fit["identity"]))
        self.frames = tuple(str(name) for name in fit["frames"])
        self.register_buffer("identity", _tensor(fit["identity"]))
        self.register_buffer("tracked_offsets", _tensor(fit["offsets"]))
        self.offsets = nn.Parameter(self.tracked_offsets.clone())
        for name in TABLES:
            self.register_buffer(name, _tensor(fit[name]))
        laplacian = uniform_laplacian(model.faces.cpu().numpy(), model.vertex_count)
        self.register_buffer("stiffness", _sparse(1e6 / model.vertex_count * (laplacian.T @ laplacian)))
        self.register_buffer("joint_regressor", model.joint_regressor.to_dense())
        sizes = {name: self.tables[name][0].numel() for name in TABLES}
        self.register_buffer("_prior_units", torch.cat([torch.full((n,), _PRIOR_UNITS[name] ** 2 / n) for name, n in sizes.items()]))
        self.register_buffer("_tracked", torch.cat([self.tables[name].flatten(1) for name in TABLES], dim=1))
        self.posing: PosingTables | None = None
        self._cached: Tensor | None = None
        self.set_weights(1.0, 1.0)

    @staticmethod
    def from_fit(path: str | Path, frames: Sequence[str] = (), *, remedy: str = "") -> PosedBody:
        """The body of a fit.npz. Raises InputError where the file is not one, does not suit its model or lacks one of `frames`."""
        return PosedBody.from_arrays(load_npz(path, FIT_ARRAYS, remedy=remedy), path, frames, remedy=remedy)

    @staticmethod
    def from_arrays(fit: Mapping[str, np.ndarray], path: str | Path, frames: Sequence[str] = (), *, remedy: str = "") -> PosedBody:
        """The same of arrays that were read from `path` and have the shapes of FIT_ARRAYS."""
        model, count = load_model(str(fit["model"])), len(fit["frames"])
        check_fit(fit, model, path, remedy)
        if count == 0 or not all(map(is_name, fit["frames"].tolist())):
            raise InputError("array 'frames' holds no names of frames", file=path, found=fit["frames"].tolist(), expected=NAME, remedy=remedy)
        missing = sorted(set(frames) - set(fit["frames"].tolist()))
        if missing:
            raise InputError(f"lacks {len(missing)} of the sampled frames", file=path, found=f"{count} frames", expected=f"also {missing[0]}", remedy=remedy)
        return PosedBody(model, fit)

    @property
    def faces(self) -> Tensor:
        """int64 [F, 3]."""
        return self.shaped.faces

    @property
    def tables(self) -> dict[str, Tensor]:
        """Per-frame values [F, ...] by name."""
        return {name: getattr(self, name) for name in TABLES}

    def tracked_pose(self, frame: int | Tensor) -> tuple[BodyPose, Rows]:
        """The pose at a frame, and the table rows that it is made of: their leaf receives its gradient."""
        rows = select_rows(self.tables, frame)
        values = rows.values()
        return BodyPose(values["expression"], values["pose"], values["translation"]), rows

    def pose_at(self, frame: int) -> BodyPose:
        """The pose at a frame."""
        return self.tracked_pose(frame)[0]

    def vertices(self, pose: BodyPose) -> Tensor:
        """World vertices [V, 3], metres; differentiable in the offsets and in the pose."""
        expression, rotations, translation = pose.expression[None], pose.rotations[None], pose.translation[None]
        if self.posing and backend_of(self.offsets, "pose") == "gpu":
            from pipeline.body.posing_gpu import pose_vertices

            return pose_vertices(self.posing, self.offsets, expression, rotations, translation, self.scale).squeeze(0)
        # the same as giving `offsets` to pose_vertices, but the few joints are regressed with a dense matrix: derivatives of sparse products are slow
        joints = self.shaped.rest_joints + self.joint_regressor @ self.offsets
        shaped = replace(self.shaped, template=self.shaped.template + self.offsets, rest_joints=joints)
        return shaped.pose_vertices(self.identity[:0], expression, rotations, translation, self.scale).vertices[0]

    def cached_vertices(self, frame: int | Tensor) -> Tensor:
        """Vertices of a frame of a body that is not trained (`cache_posed`)."""
        assert self._cached is not None
        return row(self._cached, frame)

    @torch.no_grad()
    def cache_posed(self) -> None:
        """From now on nothing of the body is trained: every frame is posed once, here, and kept."""
        self._cached = torch.stack([self.vertices(self.pose_at(frame)) for frame in range(len(self.frames))])

    @property
    def cached(self) -> bool:
        """Whether nothing of the body is trained."""
        return self._cached is not None

    def set_weights(self, laplacian: float, pose: float) -> None:
        """Weights of the two terms below. They are folded into constants: on a GPU each multiplication of a loss costs two launches."""
        self._stiffness, self._prior = laplacian * self.stiffness, pose * self._prior_units

    def laplacian_energy(self) -> Tensor:
        """Weighted mean squared Laplacian of the change of the offsets, square millimetres, []."""
        return quadratic(self.offsets - self.tracked_offsets, self._stiffness)

    def pose_prior(self, rows: Rows) -> Tensor:
        """How far table rows are from the tracked ones: weighted sum of mean squares of radians x 10, expression weights and centimetres, []."""
        return quadratic(rows.leaf - row(self._tracked, rows.index), self._prior)

    def to(self, *args: Any, **kwargs: Any) -> PosedBody:
        """Move everything to a device; a GPU also gets the tables of its own kernels."""
        super().to(*args, **kwargs)
        device = self.offsets.device
        self.shaped = self.shaped.to(device)
        self.posing = PosingTables.of(self.shaped) if device.type == "cuda" else None
        self._stiffness, self._prior = self._stiffness.to(device), self._prior.to(device)
        return self

    def state(self) -> dict[str, Any]:
        """What training changes."""
        return {"offsets": self.offsets.detach(), **self.tables}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
        with torch.no_grad():
            for name, value in {"offsets": self.offsets, **self.tables}.items():
                value.copy_(state[name])

    def facts(self) -> dict[str, Any]:
        """Root mean squares of what training changed: offsets_mm, pose_degrees, expression, translation_mm (the last three over all rows)."""
        names = {"pose": ("pose_degrees", 57.29578), "expression": ("expression", 1.0), "translation": ("translation_mm", 1000.0)}
        sizes = [table[0].numel() for table in self.tables.values()]
        tracked = {name: part.view_as(self.tables[name]) for name, part in zip(TABLES, self._tracked.split(sizes, dim=1))}
        moved = {names[name]: self.tables[name] - tracked[name] for name in names}
        moved[("offsets_mm", 1000.0)] = self.offsets.detach() - self.tracked_offsets
        return {key: round(factor * float(change.norm(dim=-1).square().mean().sqrt()), 4) for (key, factor), change in moved.items()}

    def export(self) -> dict[str, np.ndarray]:
        """The body as the arrays of a fit.npz."""
        arrays = {name: value.detach().cpu().numpy() for name, value in {"identity": self.identity, "offsets": self.offsets, **self.tables}.items()}
        return {"model": np.array(self.model_name), "frames": np.array(self.frames), "scale": np.array(self.scale, np.float32), **arrays}


def _with_shape(model: ParametricModel, identity: Tensor) -> ParametricModel:
    """The model whose mean is this one subject, so that posing does not add up the identity basis each time."""
    rest = model.zeros(1)["expression"]
    shape, joints = model.shape_vertices(identity, rest)[0], model.shape_joints(identity, rest)[0]
    return replace(model, template=shape, rest_joints=joints, identity_basis=model.identity_basis[:0], identity_joints=model.identity_joints[:0])


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _sparse(matrix: Any) -> Tensor:
    """A scipy matrix as a sparse tensor."""
    matrix = matrix.tocsr()
    starts, columns = (torch.from_numpy(np.asarray(x, np.int64)) for x in (matrix.indptr, matrix.indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, torch.from_numpy(matrix.data.astype(np.float32)), list(matrix.shape), check_invariants=True)
