"""The CPU backend: numba kernels behind one autograd function per view."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from pipeline.splat.cpu import splats as cpu_splats
from pipeline.splat.cpu import tiles as cpu_tiles
from pipeline.splat.cpu.jit import use_threads
from pipeline.splat.cpu.project import SPLAT
from pipeline.splat.reference import frustum_limits
from pipeline.splat.splats import Splats


class Inputs(NamedTuple):
    """What one view is drawn from, as float32 arrays; shapes as in `splats.prepare`."""

    camera: np.ndarray
    means: np.ndarray
    quats: np.ndarray
    log_scales: np.ndarray
    opacities: np.ndarray
    colour: np.ndarray
    active: int


class Screen(NamedTuple):
    """Projected splats; see `splats.prepare`."""

    splat: np.ndarray
    radii: np.ndarray
    colours: np.ndarray
    boxes: np.ndarray
    counts: np.ndarray


class Lists(NamedTuple):
    """Which splats each tile draws; see `tiles.list_tiles`."""

    starts: np.ndarray
    splat_of: np.ndarray
    slot_of: np.ndarray
    first: np.ndarray


def rasterise_view(splats: Splats, K: torch.Tensor, R: torch.Tensor, t: torch.Tensor, width: int, height: int, background: torch.Tensor, *,
                   sh_degree: int | None, near: float, screen: torch.Tensor | None, antialias: bool = False) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """As `reference.rasterise_view`; K has no gradient."""
    if splats.sh is None:
        colour, active = splats.colours[:, None], 0
    else:
        colour, active = splats.sh, splats.sh.shape[1] if sh_degree is None else (sh_degree + 1) ** 2
    low, high = frustum_limits(K, width, height)
    intrinsics = torch.cat([K.diagonal()[:2], K[:2, 2], low, high, K.new_tensor([width, height, near, antialias])]).detach()
    screen = splats.means.new_empty(0, 2) if screen is None else screen
    background = background.expand(*background.shape[:2], colour.shape[-1])
    return _Rasterise.apply(splats.means, splats.quats, splats.log_scales, splats.opacities, colour, R, t, screen, background, intrinsics, active)


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, log_scales, opacities, colour, R, t, screen, background, intrinsics, active):
        ctx.set_materialize_grads(False)
        use_threads()
        camera = torch.cat([R.flatten(), t, intrinsics, -R.T @ t])
        inputs = Inputs(_array(camera), _array(means), _array(quats), _array(log_scales), _array(opacities), _array(colour), active)
        width, height = int(intrinsics[8]), int(intrinsics[9])
        columns, rows = -(-width // cpu_tiles.TILE), -(-height // cpu_tiles.TILE)
        projected = _prepare(inputs, _array(screen), columns, rows)
        lists = _list(projected, columns, rows)
        image, alpha, depth = np.empty((height, width, colour.shape[-1]), np.float32), *(np.empty((height, width), np.float32) for _ in range(2))
        ends, background = np.empty(columns * rows, np.int64), _array(background)
        cpu_tiles.draw(lists.starts, lists.splat_of, projected.splat, projected.colours, columns, background, image, alpha, depth, ends)
        ctx.state = inputs, projected, lists, ends, columns, (background, image, alpha, depth), screen.shape[1] if len(screen) else 0
        outputs = tuple(torch.from_numpy(x) for x in (image, alpha, depth, projected.radii))
        ctx.mark_non_differentiable(outputs[3])
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_image, d_alpha, d_depth, _):
        use_threads()
        inputs, projected, lists, ends, columns, rendered, screen_columns = ctx.state
        nothing, absolute, image = np.empty((0, 0), np.float32), screen_columns == 4, rendered[1]
        d_rendered = [nothing if x is None else _array(x) for x in (d_alpha, d_depth)]
        d_image = np.zeros_like(image) if d_image is None else _array(d_image)
        channels = image.shape[2] + (d_depth is not None)
        d_pairs = np.empty((len(lists.splat_of), 6 + channels + 2 * absolute), np.float32)
        cpu_tiles.draw_backward(lists.starts, ends, lists.splat_of, lists.slot_of, projected.splat, projected.colours, columns, *rendered, d_image, *d_rendered,
                                absolute, d_pairs)  # fmt: skip
        d_splats = [np.zeros_like(x) for x in (inputs.means, inputs.quats, inputs.log_scales, inputs.opacities, inputs.colour)]
        d_screen = np.zeros((len(inputs.means), max(screen_columns, 2)), np.float32)
        d_camera = np.zeros((-(-len(inputs.means) // cpu_splats.BLOCK), 15), np.float32)
        cpu_splats.prepare_backward(
            inputs.camera, inputs.means, inputs.quats, inputs.log_scales, inputs.colour, inputs.active, projected.radii, projected.splat, projected.colours,
            lists.first, projected.counts, d_pairs, d_depth is not None, *d_splats, d_screen, d_camera,
        )  # fmt: skip
        d_R, d_t = _pose_gradient(inputs.camera, d_camera.sum(0))
        d_background = _background_gradient(d_image, *rendered[:3]) if ctx.needs_input_grad[8] else None
        return *(torch.from_numpy(x) for x in d_splats), d_R, d_t, torch.from_numpy(d_screen) if screen_columns else None, d_background, None, None


def _prepare(inputs: Inputs, screen: np.ndarray, columns: int, rows: int) -> Screen:
    count, channels = len(inputs.means), inputs.colour.shape[2]
    projected = Screen(np.empty((count, SPLAT), np.float32), np.empty(count, np.float32), np.empty((count, channels + 1), np.float32),
                       np.empty((count, 4), np.int32), np.empty(count, np.int64))  # fmt: skip
    cpu_splats.prepare(*inputs, screen, columns, rows, *projected)
    return projected


def _list(projected: Screen, columns: int, rows: int) -> Lists:
    """Depth-sorted lists of splats per tile."""
    visible = np.flatnonzero(projected.counts)
    # bits of positive floats sort like the floats; with the splat below them numpy's fastest sort, which is not stable, is exact
    depth = np.ascontiguousarray(projected.splat[visible, 6]).view(np.uint32)
    order = np.sort(depth.astype(np.uint64) << np.uint64(32) | visible.astype(np.uint64)).astype(np.uint32)
    first = np.cumsum(projected.counts) - projected.counts
    pairs = int(projected.counts.sum())
    lists = Lists(np.empty(columns * rows + 1, np.int64), np.empty(pairs, np.int32), np.empty(pairs, np.int32), first)
    cpu_tiles.list_tiles(order, projected.boxes, projected.counts, columns, *lists)
    return lists


def _pose_gradient(camera: np.ndarray, d_camera: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of R [3, 3] and t [3]; the camera centre -R^T t enters through the view directions."""
    R, t, d_centre = camera[:9].reshape(3, 3), camera[9:12], d_camera[12:]
    d_R = d_camera[:9].reshape(3, 3) - np.outer(t, d_centre)
    return torch.from_numpy(d_R), torch.from_numpy(d_camera[9:12] - R @ d_centre)


def _background_gradient(d_image: np.ndarray, background: np.ndarray, image: np.ndarray, alpha: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(d_image * (1 - alpha)[..., None]).sum_to_size(background.shape)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), np.float32)
