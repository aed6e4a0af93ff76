"""The GPU backend: Triton kernels behind one autograd function for a batch of views; nothing is compiled at install.

Forward: `project`, `allocate` and `scatter` (bin.py), `draw` (forward.py). Backward: `draw_backward` (backward.py), `project_backward`, `pose_backward`.
Deterministic: floats are never added atomically.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.splat.gpu.backward import draw_backward
from pipeline.splat.gpu.bin import allocate, scatter
from pipeline.splat.gpu.forward import draw
from pipeline.splat.gpu.launch import Launcher, current_stream, pointers
from pipeline.splat.gpu.plan import Plan, Shape, plan_of
from pipeline.splat.gpu.project import project
from pipeline.splat.gpu.project_backward import pose_backward, project_backward
from pipeline.splat.gpu.workspace import Workspace, workspace_of
from pipeline.splat.splats import Rendered, Splats, Views

# fewer registers than the compiler would choose: more warps hide more latency
_PROJECT, _ALLOCATE, _SCATTER = Launcher(project, num_warps=1), Launcher(allocate), Launcher(scatter, num_warps=1)
_DRAW, _DRAW_BACKWARD = Launcher(draw, num_warps=1, maxnreg=56), Launcher(draw_backward, num_warps=1, maxnreg=72)
_PROJECT_BACKWARD, _POSE_BACKWARD = Launcher(project_backward, num_warps=1), Launcher(pose_backward, num_warps=1)


class Pairs(NamedTuple):
    """What the backward pass needs of the forward one: projected splats, counters per tile, lists (see `Plan`)."""

    projected: Tensor
    counters: Tensor
    lists: Tensor


def rasterise_views(splats: Splats, views: Views, background: Tensor, *, sh_degree: int | None, near: float, screen: Tensor | None, antialias: bool,
                    workspace: Workspace | None) -> Rendered:  # fmt: skip
    """See `rasterise.rasterise`; float32 tensors on one CUDA device (or on the CPU under TRITON_INTERPRET=1)."""
    device = splats.means.device
    if device.type == "cuda" and device.index != torch.cuda.current_device():
        with torch.cuda.device(device):
            return rasterise_views(splats, views, background, sh_degree=sh_degree, near=near, screen=screen, antialias=antialias, workspace=workspace)
    colour = splats.colours
    channels, stored = colour.shape[-1], 0 if splats.sh is None else colour.shape[-2]
    active = stored if sh_degree is None or stored == 0 else (sh_degree + 1) ** 2
    count, number, width, height = len(views), len(splats), views.width, views.height
    expanded = background.to(splats.means).expand(count, height, width, channels)
    columns = 0 if screen is None else screen.shape[-1]
    shape = Shape(device, count, number, width, height, not splats.batched, active, stored, channels, near, antialias, columns, expanded.stride())
    workspace = workspace or workspace_of(device, count, number, width, height, channels)
    inputs = splats.means, splats.quats, splats.log_scales, splats.opacities, colour, views.R, views.t, screen, background
    with_gradients = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    return Rendered(*_Rasterise.apply(*inputs, views.K, expanded, shape, workspace, with_gradients))


def _aligned(tensor: Tensor) -> Tensor:
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, log_scales, opacities, colour, R, t, screen, background, K, expanded, shape, workspace, with_gradients):
        ctx.set_materialize_grads(False)
        inputs = [_aligned(x) for x in (means, quats, log_scales, opacities, colour, K, R, t)]
        screen = inputs[0] if screen is None else _aligned(screen)
        capturing = means.is_cuda and torch.cuda.is_current_stream_capturing()
        while True:
            workspace.begin(shape.views * shape.splats)
            plan = plan_of(shape, workspace.capacity)
            rendered, pairs = _forward(plan, inputs, screen, expanded, workspace)
            if capturing or workspace.enough(certainly=not with_gradients):
                break
        ctx.save_for_backward(*inputs, expanded, rendered.image, rendered.alpha, rendered.depth)
        ctx.state = plan, pairs, background.shape
        ctx.mark_non_differentiable(rendered.radii)
        return tuple(rendered)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_image, d_alpha, d_depth, _):
        *inputs, expanded, image, alpha, depth = ctx.saved_tensors
        plan, pairs, background_shape = ctx.state
        _, _, _, _, _, need_R, need_t, _, need_background, *_ = ctx.needs_input_grad
        d_image = torch.zeros_like(image) if d_image is None else _aligned(d_image)
        d_rendered = d_image, None if d_alpha is None else _aligned(d_alpha), None if d_depth is None else _aligned(d_depth)
        gradients = _backward(plan, inputs, pairs, expanded, (image, alpha, depth), d_rendered, need_R or need_t)
        d_background = (d_image * (1 - alpha)[..., None]).sum_to_size(background_shape) if need_background else None
        return *gradients, d_background, None, None, None, None, None


def _forward(plan: Plan, inputs: list, screen: Tensor, background: Tensor, workspace: Workspace) -> tuple[Rendered, Pairs]:
    shape, device = plan.shape, plan.shape.device
    fast, stream = _DRAW.knows(plan) and _PROJECT.knows(plan), current_stream(device)
    projected, entries = torch.empty((plan.instances + 1) * plan.record, device=device), torch.empty(2 * plan.capacity, dtype=torch.int64, device=device)
    counters, lists = plan.counters.allocate().zero_(), plan.lists.allocate()
    cursors = torch.empty(plan.tiles + 1, dtype=torch.int32, device=device)  # two counters in a word
    image = torch.empty((shape.views, shape.height, shape.width, shape.channels), device=device)
    alpha, depth = (torch.empty((shape.views, shape.height, shape.width), device=device) for _ in range(2))
    radii = torch.empty((shape.views, shape.splats), device=device)
    tile_counts, totals = plan.counters.parts(counters, fast)
    first_slot, counts, starts, sorted_splats, sorted_slots = plan.lists.parts(lists, fast)
    state, pair_count, to_projected, to_entries, to_cursors, to_image, to_alpha, to_depth, to_radii, screen, background, *inputs = pointers(
        [workspace.state, workspace.pair_count, projected, entries, cursors, image, alpha, depth, radii, screen, background, *inputs], fast
    )
    _PROJECT(plan, stream, plan.by_splats, (*inputs, screen, to_projected, to_radii, first_slot, counts, tile_counts, totals), *plan.project)
    _ALLOCATE(plan, stream, plan.by_allocations, (tile_counts, starts, to_cursors, totals, state, pair_count, to_projected), *plan.allocate)
    _SCATTER(plan, stream, plan.by_splats, (to_projected, first_slot, counts, to_cursors, to_entries), *plan.scatter)
    _DRAW(plan, stream, plan.by_tiles,
          (starts, tile_counts, to_entries, sorted_splats, sorted_slots, to_projected, background, to_image, to_alpha, to_depth), *plan.draw)  # fmt: skip
    return Rendered(image, alpha, depth, radii), Pairs(projected, counters, lists)


def _backward(plan: Plan, inputs: list, pairs: Pairs, background: Tensor, rendered: tuple, d_rendered: tuple, with_pose: bool) -> tuple:
    """Gradients of means, quats, log_scales, opacities, colour, R, t, screen.

    Args: rendered, d_rendered: image, alpha and depth, and their gradients, of which those of alpha and depth may be None.
    """
    shape, device = plan.shape, plan.shape.device
    d_image, d_alpha, d_depth = d_rendered
    with_alpha, with_depth = d_alpha is not None, d_depth is not None
    key, stream = (plan, with_alpha, with_depth, with_pose), current_stream(device)
    fast = _DRAW_BACKWARD.knows(key) and _PROJECT_BACKWARD.knows(key)
    *splats, _, R, t = inputs
    unused = pairs.projected  # in place of arrays that a kernel will not touch
    d_pairs = torch.empty(plan.capacity * plan.record, device=device)
    d_splats = [torch.empty_like(x) for x in splats]
    d_screen = torch.empty((shape.views, shape.splats, shape.screen_columns), device=device) if shape.screen_columns else None
    d_absolute = torch.empty(2 * plan.capacity, device=device) if plan.absolute else unused
    d_pose = torch.empty(plan.pose_floats, device=device) if with_pose else unused
    tile_counts, totals = plan.counters.parts(pairs.counters, fast)
    first_slot, counts, starts, sorted_splats, sorted_slots = plan.lists.parts(pairs.lists, fast)
    projected, background, to_pairs, to_absolute, to_screen, to_pose, *images = pointers(
        [pairs.projected, background, d_pairs, d_absolute, unused if d_screen is None else d_screen, d_pose,
         *rendered, d_image, d_alpha if with_alpha else unused, d_depth if with_depth else unused], fast
    )  # fmt: skip
    _DRAW_BACKWARD(key, stream, plan.by_tiles, (starts, tile_counts, sorted_splats, sorted_slots, projected, background, *images, to_pairs, to_absolute),
                   *plan.draw_backward(with_alpha, with_depth))  # fmt: skip
    _PROJECT_BACKWARD(key, stream, plan.by_sets,
                      (*pointers(inputs, fast), projected, first_slot, counts, totals, to_pairs, to_absolute, *pointers(d_splats, fast), to_screen, to_pose),
                      *plan.project_backward(with_pose, with_depth))  # fmt: skip
    d_R = d_t = None
    if with_pose:
        d_R, d_t = torch.empty_like(R), torch.empty_like(t)
        _POSE_BACKWARD((plan, "tensors"), stream, (shape.views, 1, 1), (d_pose, R, t, d_R, d_t), plan.blocks, 64)
    return *d_splats, d_R, d_t, d_screen
