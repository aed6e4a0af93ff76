"""Adam for every kind of parameter group: splats that grow and shrink, networks, rows of per-frame tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.machine.backend import backend_of
from pipeline.training.parameters import ParameterGroup
from pipeline.training.row_adam import RowAdam
from pipeline.training.rows import Rows


class Optimiser:
    """Adam (Kingma and Ba 2015) over parameter groups.

    Learning rates and the flag that skips a step are tensors on the device, so a step can be captured in a CUDA graph. A parameter without gradient is
    left alone. With B images in a step, rates are multiplied by sqrt(B) and both betas raised to the power B (Zhao et al. 2024, Grendel, section 3.2);
    rows, which see one image at a time, keep theirs.
    """

    def __init__(self, groups: Sequence[ParameterGroup], device: torch.device, images: int = 1, skip: Tensor | None = None, mark: Tensor | None = None):
        """Args: images: in a step. skip: float32 [], not 0 = a step changes nothing. mark: float32 [], the number of the step, counted from 1 (`nonfinite`)."""
        self._skip = torch.zeros((), device=device) if skip is None else skip
        mark = torch.ones((), device=device) if mark is None else mark
        self._images = images
        self._groups = {group.name: group for group in groups if group.lr > 0}
        for group in groups:
            for tensor in group.tensors:
                if group.kind != "rows":
                    tensor.requires_grad_(group.lr > 0)
        kinds = {kind: [group for group in self._groups.values() if group.kind == kind] for kind in ("splats", "dense", "rows")}
        self._ordered = [group for members in kinds.values() for group in members]
        self._rates = torch.zeros(max(len(self._ordered), 1), device=device)
        ends = [0, len(kinds["splats"]), len(kinds["splats"]) + len(kinds["dense"]), len(self._ordered)]
        splat_rates, dense_rates, row_rates = (self._rates[a:b] for a, b in zip(ends, ends[1:]))
        self._splats = _splat_adam(kinds["splats"], splat_rates, self._skip, mark, images)
        self._dense = _dense_adam(kinds["dense"], dense_rates, self._skip, images)
        self._rows = _row_adam(kinds["rows"], row_rates, mark)
        self._norms: dict[str, Tensor] = {}

    def begin_step(self, step: int) -> None:
        """Set the learning rates of a step, in one upload."""
        rates = [group.lr * group.schedule(step) * (1 if group.kind == "rows" else self._images**0.5) for group in self._ordered]
        if rates:
            self._rates.copy_(torch.tensor(rates), non_blocking=True)

    def gradient_norms(self, rows: Sequence[Rows]) -> Tensor:
        """[K] norms of gradients that must be finite for a step to be valid: of networks, and of splats and rows where no GPU kernel checks them itself."""
        members = [group for group in self._ordered if group.kind == "dense" or (group.kind == "splats" and backend_of(group.tensors[0], "adam") != "gpu")]
        gradients = {group.name: [p.grad for p in self._parameters(group.name) if p.grad is not None] for group in members}
        self._norms = {name: torch.stack(torch._foreach_norm(values)).norm() for name, values in gradients.items() if values}
        leaves = [part.leaf.grad.norm() for part in rows if part.leaf.grad is not None and backend_of(part.leaf, "adam") != "gpu"]
        return torch.stack([*self._norms.values(), *leaves]) if self._norms or leaves else self._rates[:0]

    def nonfinite(self) -> dict[str, int]:
        """Groups of which a GPU kernel met a gradient that is not finite, with the mark of the first such step. Waits for the GPU."""
        marks: dict[str, int] = {}
        for kernel, kind in ((self._splats, "splats"), (self._rows, "rows")):
            flags = getattr(kernel, "nonfinite", None)
            if flags is not None:
                groups = [group.name for group in self._ordered if group.kind == kind]
                marks |= {name: flag for name, flag in zip(groups, flags.tolist()) if flag}
        return marks

    def step_rows(self, rows: Rows) -> None:
        """Update the rows that a pose was made of."""
        if self._rows:
            self._rows.step(rows.index, {name: g for name, g in rows.gradients().items() if name in self._groups}, self._skip)

    def step(self) -> None:
        """Update all parameters; then forget their gradients."""
        for group in self._ordered:
            if group.max_norm is not None and group.name in self._norms:
                factor = (group.max_norm / (self._norms[group.name] + 1e-6)).clamp(max=1.0)
                torch._foreach_mul_([p.grad for p in group.tensors if p.grad is not None], factor)
        for adam in (self._splats, self._dense):
            if adam:
                adam.step()
                adam.zero_grad(set_to_none=True)

    def replace(self, name: str, parameter: Tensor, sources: Tensor | None = None) -> None:
        """Let `parameter` take the place of the one of the splats' group `name`; in a group that is frozen it is frozen too.

        Args:
            sources: int64 [N] old row that each new row continues, -1 for a new one, which starts without momentum; None = all start without.
        """
        parameter.requires_grad_(name in self._groups)
        if name not in self._groups:
            return
        assert self._splats is not None
        for entry in self._splats.param_groups:
            if entry["name"] == name:
                state = self._splats.state.pop(entry["params"][0], {})
                entry["params"] = [parameter]
                if state and sources is not None:
                    self._splats.state[parameter] = {key: _continued(value, sources) if value.ndim else value for key, value in state.items()}

    def reset_state(self, name: str) -> None:
        """Drop the moments of a group whose values were set by hand."""
        for parameter in self._parameters(name):
            for adam in (self._splats, self._dense):
                if adam:
                    adam.state.pop(parameter, None)

    def parameters(self) -> dict[str, list[nn.Parameter]]:
        """Everything with a gradient, by group."""
        return {group.name: self._parameters(group.name) for group in self._ordered if group.kind != "rows"}

    def state(self) -> dict[str, Any]:
        """Everything needed to resume exactly, as tensors and plain values."""
        moments = {name: [dict(self._adam_of(name).state.get(p, {})) for p in parameters] for name, parameters in self.parameters().items()}
        return {"moments": moments, "rows": self._rows.state() if self._rows else {}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`; the parameters must already have their saved shapes."""
        for name, parameters in self.parameters().items():
            for parameter, saved in zip(parameters, state["moments"][name], strict=True):
                own = self._adam_of(name).state
                own.pop(parameter, None)
                if saved:
                    own[parameter] = {key: value.to(parameter.device) if value.ndim else value.clone() for key, value in saved.items()}
        if self._rows:
            self._rows.load(state["rows"])

    def _adam_of(self, name: str) -> torch.optim.Optimizer:
        adam = self._splats if self._groups[name].kind == "splats" else self._dense
        assert adam is not None
        return adam

    def _parameters(self, name: str) -> list[nn.Parameter]:
        return next((entry["params"] for adam in (self._splats, self._dense) if adam for entry in adam.param_groups if entry["name"] == name), [])


def _splat_adam(groups: Sequence[ParameterGroup], rates: Tensor, skip: Tensor, mark: Tensor, images: int) -> torch.optim.Optimizer | None:
    """One tensor per group; on a GPU our own kernel, which updates all of them in one launch."""
    if not groups:
        return None
    entries, (beta1, beta2) = _entries(groups, rates), groups[0].betas
    betas = beta1**images, beta2**images
    if backend_of(rates, "adam") == "gpu":
        from pipeline.training.adam_gpu import Adam

        return Adam(entries, betas, groups[0].epsilon, rates, skip, mark)
    return _torch_adam(torch.optim.Adam, entries, betas, groups[0].epsilon, skip)


def _dense_adam(groups: Sequence[ParameterGroup], rates: Tensor, skip: Tensor, images: int) -> torch.optim.Optimizer | None:
    if not groups:
        return None
    entries = _entries(groups, rates)
    for entry, group in zip(entries, groups):
        entry |= {"weight_decay": group.weight_decay, "betas": tuple(beta**images for beta in group.betas), "eps": group.epsilon}
    return _torch_adam(torch.optim.AdamW, entries, groups[0].betas, groups[0].epsilon, skip)


def _torch_adam(kind: type, entries: list[dict[str, Any]], betas: tuple[float, float], epsilon: float, skip: Tensor) -> torch.optim.Optimizer:
    adam = kind(entries, betas=betas, eps=epsilon, fused=True, capturable=skip.is_cuda)
    adam.grad_scale, adam.found_inf = None, skip  # torch's fused kernels change nothing where `found_inf` is 1
    return adam


def _row_adam(groups: Sequence[ParameterGroup], rates: Tensor, mark: Tensor) -> Any:
    if not groups:
        return None
    tables = {group.name: group.tensors[0] for group in groups}
    if backend_of(rates, "adam") == "gpu":
        from pipeline.training.row_adam_gpu import RowAdam as RowAdamOnGpu

        return RowAdamOnGpu(tables, rates, groups[0].betas, groups[0].epsilon, mark)
    return RowAdam(tables, rates, groups[0].betas, groups[0].epsilon)


def _entries(groups: Sequence[ParameterGroup], rates: Tensor) -> list[dict[str, Any]]:
    return [{"params": list(group.tensors), "lr": rates[k], "name": group.name} for k, group in enumerate(groups)]


def _continued(value: Tensor, sources: Tensor) -> Tensor:
    kept = value[sources.clamp_min(0)]
    kept[sources < 0] = 0
    return kept
