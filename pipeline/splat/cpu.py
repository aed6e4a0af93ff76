"""The CPU backend: numba kernels behind one autograd function per view."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from pipeline.splat import cpu_project, cpu_tiles
from pipeline.splat.cpu_jit import use_threads
from pipeline.splat.reference import frustum_limits
from pipeline.splat.splats import Splats


class Lists(NamedTuple):
    """Which splats each tile draws; see `cpu_tiles.list_tiles`."""

    starts: np.ndarray
    splat_of: np.ndarray
    row_of: np.ndarray
    first: np.ndarray
    counts: np.ndarray
    columns: int


def rasterise_view(splats: Splats, K: torch.Tensor, R: torch.Tensor, t: torch.Tensor, width: int, height: int, *, sh_degree: int | None, near: float,
                   screen: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """One view of unbatched splats: sums [H, W, C + 1] of colours and depth, alpha [H, W], radii [N]; K [3, 3] (no gradient), R [3, 3], t [3], screen [N, 2]."""
    shaded = splats.sh is not None
    active = 0 if not shaded else splats.sh.shape[1] if sh_degree is None else (sh_degree + 1) ** 2
    colour = splats.sh if shaded else splats.features
    low, high = frustum_limits(K, width, height)
    intrinsics = torch.cat([K.diagonal()[:2], K[:2, 2], low, high, K.new_tensor([width, height, near])]).detach()
    screen = splats.means.new_empty(0, 2) if screen is None else screen
    return _Rasterise.apply(splats.means, splats.quats, splats.log_scales, splats.opacities, colour, R, t, screen, intrinsics, active)


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, log_scales, opacities, colour, R, t, screen, intrinsics, active):
        use_threads()
        camera = torch.cat([R.flatten(), t, intrinsics, -R.T @ t]).numpy()
        width, height = int(intrinsics[8]), int(intrinsics[9])
        arrays = [_array(x) for x in (means, quats, log_scales, opacities, colour, screen)]
        splat, radii, colours = _project(camera, arrays, active)
        lists = _list(splat, radii, width, height)
        sums, alpha = np.empty((height, width, colours.shape[1]), np.float32), np.empty((height, width), np.float32)
        ends = np.empty(len(lists.starts) - 1, np.int64)
        cpu_tiles.draw(lists.starts, lists.splat_of, splat, colours, lists.columns, sums, alpha, ends)
        ctx.state = camera, arrays, splat, radii, colours, lists, sums, alpha, ends, active
        outputs = tuple(torch.from_numpy(x) for x in (sums, alpha, radii))
        ctx.mark_non_differentiable(outputs[2])
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_sums, d_alpha, _):
        use_threads()
        camera, arrays, splat, radii, colours, lists, sums, alpha, ends, active = ctx.state
        means, quats, log_scales, opacities, colour, screen = arrays
        d_rows = np.empty((len(lists.splat_of), 6 + colours.shape[1]), np.float32)
        cpu_tiles.draw_backward(lists.starts, ends, lists.splat_of, lists.row_of, splat, colours, lists.columns, sums, alpha,
                                _array(d_sums), _array(d_alpha), d_rows)  # fmt: skip
        d_splat = np.empty((len(means), d_rows.shape[1]), np.float32)
        cpu_tiles.sum_rows(lists.first, lists.counts, d_rows, d_splat)
        gradients = [np.empty_like(x) for x in (means, quats, log_scales, opacities)]
        blocks = -(-len(means) // cpu_project.BLOCK)
        d_pose, d_centre = np.empty((blocks, 12), np.float32), np.zeros((blocks, 3), np.float32)
        cpu_project.project_backward(camera, means, quats, log_scales, radii, splat, d_splat, d_splat[:, -1], *gradients, d_pose)
        if active:
            d_colour = np.empty_like(colour)
            cpu_project.shade_backward(camera, means, radii, colour, active, colours, d_splat[:, 6:], d_colour, gradients[0], d_centre)
        else:
            d_colour = d_splat[:, 6:-1]
        d_R, d_t = _pose_gradient(camera, d_pose.sum(0), d_centre.sum(0))
        d_screen = torch.from_numpy(d_splat[:, :2]) if len(screen) else None
        return *(torch.from_numpy(x) for x in (*gradients, d_colour)), d_R, d_t, d_screen, None, None


def _project(camera: np.ndarray, arrays: list[np.ndarray], active: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projected splats [N, SPLAT], radii [N] and colours with depth [N, C + 1]; rows of splats that are not drawn hold anything."""
    means, quats, log_scales, opacities, colour, screen = arrays
    splat, radii = np.empty((len(means), cpu_project.SPLAT), np.float32), np.empty(len(means), np.float32)
    cpu_project.project(camera, means, quats, log_scales, opacities, screen, splat, radii)
    colours = np.empty((len(means), colour.shape[-1] + 1), np.float32)
    if active:
        cpu_project.shade(camera, means, radii, splat, colour, active, colours)
    else:
        colours[:, :-1], colours[:, -1] = colour, splat[:, 6]
    return splat, radii, colours


def _list(splat: np.ndarray, radii: np.ndarray, width: int, height: int) -> Lists:
    """Depth-sorted lists of splats per tile."""
    columns, rows = -(-width // cpu_tiles.TILE), -(-height // cpu_tiles.TILE)
    boxes, counts = np.empty((len(radii), 4), np.int32), np.empty(len(radii), np.int64)
    cpu_tiles.tile_boxes(splat, radii, columns, rows, boxes, counts)
    visible = np.flatnonzero(counts)
    order = visible[np.argsort(splat[visible, 6], kind="stable")]
    first = np.cumsum(counts) - counts
    pairs = int(counts.sum())
    starts, splat_of, row_of = np.empty(columns * rows + 1, np.int64), np.empty(pairs, np.int32), np.empty(pairs, np.int32)
    cpu_tiles.list_tiles(order, boxes, counts, columns, starts, first, splat_of, row_of)
    return Lists(starts, splat_of, row_of, first, counts, columns)


def _pose_gradient(camera: np.ndarray, d_pose: np.ndarray, d_centre: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of R [3, 3] and t [3]; the camera centre -R^T t enters through the view directions."""
    R, t = camera[:9].reshape(3, 3), camera[9:12]
    d_R = d_pose[:9].reshape(3, 3) - np.outer(t, d_centre)
    return torch.from_numpy(d_R), torch.from_numpy(d_pose[9:] - R @ d_centre)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), np.float32)
