"""What training, rendering and export ask of an avatar. Methods in `avatars/<method>/` fulfil it; nothing here knows them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch import Tensor

from pipeline.body.body_pose import BodyPose
from pipeline.body.model import ParametricModel
from pipeline.splat.gpu.workspace import Workspace
from pipeline.splat.splats import Views
from pipeline.training.parameters import ParameterGroup
from pipeline.training.rows import Rows

if TYPE_CHECKING:
    from pipeline.training.images import Batch
    from pipeline.training.optimiser import Optimiser

Terms = Mapping[str | tuple[str, ...], Tensor]
"""Weighted loss terms by name; a tuple of names stands for a vector [K] of terms that one kernel computed."""


@dataclass(frozen=True, eq=False)
class Rendering:
    """V views of an avatar.

    Attributes:
        image: [V, H, W, 3] over black, so colours are multiplied with alpha. alpha: [V, H, W]. depth: [V, H, W] metres, 0 where nothing was hit.
        radii: [V, N] pixels, 0 for splats outside the view. screen: the leaf whose gradient is that of the splats' places on the screen, where the
            avatar asked for it. aux: whatever else the avatar's own losses need.
    """

    image: Tensor
    alpha: Tensor
    depth: Tensor | None = None
    radii: Tensor | None = None
    screen: Tensor | None = None
    aux: Mapping[str, Tensor] = field(default_factory=dict)


class Posed(Protocol):
    """An avatar at an instant: a dataclass.

    Where it is made of splats it has `splats` (`Splats`, in the world), and `binding` int64 [N] where they lie on triangles of the body; viewers replace both.
    rows: the per-frame parameters it was made of, none where it was posed by value.
    """

    @property
    def rows(self) -> Sequence[Rows]: ...


class AvatarBody(Protocol):
    """The parametric body that moves an avatar: what motions, viewers and mesh overlays ask for.

    Attributes:
        frames: ids of the tracked frames. scale: world units per metre of the model.
    """

    frames: tuple[str, ...]
    scale: float

    @property
    def shaped(self) -> ParametricModel:
        """The model whose mean is this subject (so without identity basis), before vertex offsets."""

    def pose_at(self, frame: int) -> BodyPose:
        """The pose at a tracked frame."""

    def vertices(self, pose: BodyPose) -> Tensor:
        """World vertices [V, 3], metres."""


class Avatar(Protocol):
    """Something that can be posed and drawn.

    Attributes:
        subjects: the ids of the tracked frames of each subject, in time order; a single capture is its only subject.
    """

    @property
    def subjects(self) -> Mapping[str, tuple[str, ...]]: ...

    def pose(self, frame: int | Tensor | BodyPose, subject: int | Tensor = 0) -> Any:
        """The state (`Posed`) at a tracked frame (its index within the subject, or int64 [] on the device) or in any pose."""

    def body_of(self, subject: int = 0) -> AvatarBody | None:
        """The body of a subject; None where nothing of the avatar can be animated."""

    def draw(self, state: Any, views: Views, workspace: Workspace | None = None) -> Rendering:
        """The one image formation: training, rendering, evaluation, viewers and exports all call it.

        Args:
            workspace: room for drawing on a GPU, whose owner checks that it sufficed; None = drawing checks by itself.
        """

    def centre(self, state: Any) -> np.ndarray:
        """Middle of what is drawn, [3] metres: what an orbiting camera looks at."""

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...


class TrainableAvatar(Avatar, Protocol):
    """An avatar that the training loop can train. The order of calls in a step is that of the methods below."""

    @property
    def splat_count(self) -> int: ...

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Everything that training may change, with rates and schedules."""

    def begin_step(self, step: int) -> Hashable:
        """Host decisions of a step (0-based); must depend on `step` and on `state` alone.

        Returns a key of whatever changes which operations the step launches: phase, SH degree, number of splats, frozen parts. A CUDA graph is
        captured once per key.
        """

    def losses(self, state: Any, rendering: Rendering, batch: Batch) -> Terms:
        """The avatar's own weighted terms, beside those of the images (`objective.ImageObjective`)."""

    def after_backward(self, rendering: Rendering, batch: Batch, skip: Tensor) -> None:
        """Collect statistics of gradients inside the step. skip: float32 [], not 0 where the step must change nothing."""

    def restructures_after(self, step: int) -> bool:
        """Whether `after_step(step)` will change tensors: the loop first makes sure that all steps so far are valid."""

    def after_step(self, step: int, optimiser: Optimiser) -> None:
        """Whatever happens between steps (densification); `step` steps are done."""

    def buffers_to_restore(self) -> Sequence[Tensor]:
        """Tensors that drawing itself changes (running means of normalisation layers): restored where a step turns out invalid."""

    def state(self) -> dict[str, Any]:
        """All that training changes, as tensors and plain values."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`, also where the number of splats differs."""

    def facts(self) -> dict[str, Any]:
        """What training changed besides the splats, for the manifest (JSON)."""

    def export(self) -> dict[str, np.ndarray]:
        """Arrays of avatar.npz, from which the method's `open_avatar` makes the avatar again."""

    def export_files(self, outputs: Mapping[str, Path]) -> None:
        """Write the method's further outputs (`Method.outputs`) by artefact name."""
