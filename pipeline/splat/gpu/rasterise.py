"""The GPU backend: Triton kernels behind one autograd function for a batch of views; nothing is compiled at install.

Stages: `gpu_project`, `gpu_bin`, `gpu_forward`, then `gpu_backward`, `gpu_finish`. Deterministic: floats are never added atomically.
"""

from __future__ import annotations

import torch

from pipeline.splat.gpu.backward import draw_backward
from pipeline.splat.gpu.bin import fill, reserve
from pipeline.splat.gpu.forward import draw
from pipeline.splat.gpu.launch import Launcher, current_stream, pointers
from pipeline.splat.gpu.plan import Plan, Shape, plan_of
from pipeline.splat.gpu.project import project
from pipeline.splat.gpu.project_backward import finish, finish_pose
from pipeline.splat.gpu.workspace import Workspace, workspace_of
from pipeline.splat.splats import Rendered, Splats, Views

# fewer registers than the compiler would take: more warps hide more waiting
_PROJECT, _RESERVE, _FILL = Launcher(project, num_warps=1), Launcher(reserve), Launcher(fill, num_warps=1)
_DRAW, _DRAW_BACKWARD = Launcher(draw, num_warps=1, maxnreg=56), Launcher(draw_backward, num_warps=1, maxnreg=72)
_FINISH, _FINISH_POSE = Launcher(finish, num_warps=1), Launcher(finish_pose, num_warps=1)


def rasterise_views(splats: Splats, views: Views, background: torch.Tensor, *, sh_degree: int | None, near: float, screen: torch.Tensor | None,
                    antialias: bool, workspace: Workspace | None) -> Rendered:  # fmt: skip
    """See `rasterise.rasterise`; float32 tensors on one CUDA device (or on the CPU under TRITON_INTERPRET=1)."""
    device = splats.means.device
    if device.type == "cuda" and device.index != torch.cuda.current_device():
        with torch.cuda.device(device):
            return rasterise_views(splats, views, background, sh_degree=sh_degree, near=near, screen=screen, antialias=antialias, workspace=workspace)
    colour = splats.features if splats.sh is None else splats.sh
    channels, stored = colour.shape[-1], 0 if splats.sh is None else colour.shape[-2]
    active = stored if sh_degree is None or stored == 0 else (sh_degree + 1) ** 2
    count, number, width, height = len(views), len(splats), views.width, views.height
    spread = background.to(splats.means).expand(count, height, width, channels)
    columns = 0 if screen is None else screen.shape[-1]
    shape = Shape(device, count, number, width, height, not splats.batched, active, stored, channels, near, antialias, columns, spread.stride())
    workspace = workspace or workspace_of(device, count, number, width, height, channels)
    inputs = splats.means, splats.quats, splats.log_scales, splats.opacities, colour, views.R, views.t, screen, background
    wanted = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    return Rendered(*_Rasterise.apply(*inputs, views.K, spread, shape, workspace, wanted))


def _aligned(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, log_scales, opacities, colour, R, t, screen, background, K, spread, shape, workspace, wanted):
        ctx.set_materialize_grads(False)
        inputs = [_aligned(x) for x in (means, quats, log_scales, opacities, colour, K, R, t)]
        screen = inputs[0] if screen is None else _aligned(screen)
        capturing = means.is_cuda and torch.cuda.is_current_stream_capturing()
        while True:
            workspace.begin(shape.views * shape.splats)
            plan = plan_of(shape, workspace.capacity)
            drawn, state = _forward(plan, inputs, screen, spread, workspace)
            if capturing or workspace.enough(certainly=not wanted):
                break
        image, alpha, depth, radii = drawn
        ctx.save_for_backward(*inputs, spread, image, alpha, depth)
        ctx.state = plan, state, background.shape
        ctx.mark_non_differentiable(radii)
        return image, alpha, depth, radii

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_image, d_alpha, d_depth, _):
        *inputs, spread, image, alpha, depth = ctx.saved_tensors
        plan, state, bg_shape = ctx.state
        need = ctx.needs_input_grad
        d_image = torch.zeros_like(image) if d_image is None else _aligned(d_image)
        d_drawn = d_image, None if d_alpha is None else _aligned(d_alpha), None if d_depth is None else _aligned(d_depth)
        gradients = _backward(plan, inputs, state, spread, (image, alpha, depth), d_drawn, need[5] or need[6])
        d_background = (d_image * (1 - alpha)[..., None]).sum_to_size(bg_shape) if need[8] else None
        return *gradients, d_background, None, None, None, None, None


def _forward(plan: Plan, inputs: list, screen: torch.Tensor, spread: torch.Tensor, workspace: Workspace) -> tuple[tuple, tuple]:
    """Pictures (image, alpha, depth, radii) and what the backward pass needs (rows, counters, lists)."""
    shape, device = plan.shape, plan.shape.device
    fast, stream = _DRAW.knows(plan) and _PROJECT.knows(plan), current_stream(device)
    rows, entries = torch.empty((plan.instances + 1) * plan.row, device=device), torch.empty(2 * plan.capacity, dtype=torch.int64, device=device)
    counters, lists = plan.counters.allocate().zero_(), plan.lists.allocate()
    cursors = torch.empty(plan.tiles + 1, dtype=torch.int32, device=device)  # two counters in a word
    image = torch.empty((shape.views, shape.height, shape.width, shape.channels), device=device)
    alpha, depth = (torch.empty((shape.views, shape.height, shape.width), device=device) for _ in range(2))
    radii = torch.empty((shape.views, shape.splats), device=device)
    tile_counts, totals = plan.counters.parts(counters, fast)
    first_slot, counts, starts, sorted_splats, sorted_slots = plan.lists.parts(lists, fast)
    state, seen, cursor, *inputs = pointers([workspace.state, workspace.seen, cursors, *inputs], fast)
    screen, row, entry, spread, *out = pointers([screen, rows, entries, spread, image, alpha, depth, radii], fast)
    _PROJECT(plan, stream, plan.by_splats, (*inputs, screen, row, out[3], first_slot, counts, tile_counts, totals), *plan.project)
    _RESERVE(plan, stream, (-(-plan.tiles // plan.reserve[-1]), 1, 1), (tile_counts, starts, cursor, totals, state, seen, row), *plan.reserve)
    _FILL(plan, stream, plan.by_splats, (row, first_slot, counts, cursor, entry), *plan.fill)
    _DRAW(plan, stream, plan.by_tiles, (starts, tile_counts, entry, sorted_splats, sorted_slots, row, spread, *out[:3]), *plan.draw)
    return (image, alpha, depth, radii), (rows, counters, lists)


def _backward(plan: Plan, inputs: list, state: tuple, spread: torch.Tensor, drawn: tuple, d_drawn: tuple, posed: bool) -> tuple:
    """Gradients of means, quats, log_scales, opacities, colour, R, t, screen."""
    shape, device = plan.shape, plan.shape.device
    has_alpha, has_depth = d_drawn[1] is not None, d_drawn[2] is not None
    key, stream = (plan, has_alpha, has_depth, posed), current_stream(device)
    fast = _DRAW_BACKWARD.knows(key) and _FINISH.knows(key)
    rows, counters, lists = state
    d_rows = torch.empty(plan.capacity * plan.row, device=device)
    d_splats = [torch.empty_like(x) for x in inputs[:5]]
    d_screen = torch.empty((shape.views, shape.splats, shape.screened), device=device) if shape.screened else None
    d_pulls = torch.empty(2 * plan.capacity, device=device) if plan.absolute else None
    d_pose = torch.empty(plan.pose_floats(), device=device) if posed else None
    tile_counts, totals = plan.counters.parts(counters, fast)
    first_slot, counts, starts, sorted_splats, sorted_slots = plan.lists.parts(lists, fast)
    row, d_row, pull, spread, *given = pointers(
        [rows, d_rows, rows if d_pulls is None else d_pulls, spread, *drawn, *(d_drawn[0] if x is None else x for x in d_drawn)], fast
    )
    _DRAW_BACKWARD(key, stream, plan.by_tiles, (starts, tile_counts, sorted_splats, sorted_slots, row, spread, *given, d_row, pull),
                   *plan.draw_backward(has_alpha, has_depth))  # fmt: skip
    ends = pointers([*inputs, *d_splats, rows if d_screen is None else d_screen, rows if d_pose is None else d_pose], fast)
    _FINISH(key, stream, (plan.blocks, 1 if shape.shared else shape.views, 1), (*ends[:8], row, first_slot, counts, totals, d_row, pull, *ends[8:]),
            *plan.finish(posed, has_depth))  # fmt: skip
    d_R = d_t = None
    if posed:
        d_R, d_t = torch.empty_like(inputs[6]), torch.empty_like(inputs[7])
        _FINISH_POSE((plan, "tensors"), stream, (shape.views, 1, 1), (d_pose, inputs[6], inputs[7], d_R, d_t), plan.blocks, 64)
    return *d_splats, d_R, d_t, d_screen
