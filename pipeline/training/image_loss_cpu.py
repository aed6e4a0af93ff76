"""`image_terms` on the CPU (numba), on the part of each image where it or its target differs from the background.

Outside of the bounding box of both subjects the two images are equal, so that nothing there adds to a term. SSIM's window reaches RADIUS pixels beyond the
box, and what it covers there reaches as many further: cut that much wider, values and gradients are those of the whole image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from pipeline.splat.cpu.jit import use_threads
from pipeline.splat.cpu.ssim import ssim_backward, ssim_maps
from pipeline.splat.ssim import RADIUS, window
from pipeline.training.camera_color import color_maps
from pipeline.training.target import Target, Weights

MARGIN = 2 * RADIUS
_IDENTITY = np.eye(3, 4, dtype=np.float32)


def image_terms_on_cpu(
    image: Tensor, alpha: Tensor, target: Target, background: Tensor, color_change: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor]:
    """See `image_terms`; float32."""
    return _ImageTerms.apply(image, alpha, color_change, target, background, weights)


class View(NamedTuple):
    """One view's arrays. valid: [H, W], or [0, 0] = all. matrix: [3, 4] map of colours. top, left: where the window begins. weight: 1 / valid pixels."""

    image: np.ndarray
    alpha: np.ndarray
    rgba: np.ndarray
    valid: np.ndarray
    background: np.ndarray
    matrix: np.ndarray
    top: int
    left: int
    weight: float


class _ImageTerms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, alpha, change, target, background, weights):
        use_threads()
        composed, terms, ctx.windows = background.detach().expand(image.shape).clone(), np.zeros(3), []
        scales = np.array([weights[0] / 3, weights[1] / 3, weights[2]]) / len(image)
        for number, (view, height, width) in enumerate(_views(image, alpha, change, target, background)):
            shown, color = np.empty((2, height, 3 * width), np.float32)
            maps, sums = np.empty((3, height, 3 * width), np.float32), np.zeros((3, height), np.float32)
            _compose(*view[:-1], shown, color, sums[2])
            ssim_maps(shown, color, window(), 3, maps, sums[0], sums[1])
            terms += view.weight * scales * sums.sum(axis=1, dtype=np.float64)
            composed[number, view.top : view.top + height, view.left : view.left + width] = torch.from_numpy(shown).view(height, width, 3)
            ctx.windows.append((view, shown, color, maps))
        ctx.scales, ctx.cameras, ctx.change = scales, target.camera, change
        ctx.mark_non_differentiable(composed)
        return image.new_tensor(terms), composed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_terms, _):
        use_threads()
        first = ctx.windows[0][0]
        d_image, d_alpha = (torch.zeros(len(ctx.windows), *x.shape) for x in (first.image, first.alpha))
        d_maps = None if ctx.change is None else torch.zeros_like(ctx.change)
        for number, (view, shown, color, maps) in enumerate(ctx.windows):
            l1_scale, dssim_scale, alpha_scale = (view.weight * ctx.scales * d_terms.numpy()).astype(np.float32)
            d_shown, d_rows = np.empty_like(shown), np.zeros((len(shown), 12), np.float32)
            ssim_backward(shown, color, window(), 3, maps, l1_scale, dssim_scale, d_shown)
            _compose_backward(*view[:-1], d_shown, alpha_scale, d_image[number].numpy(), d_alpha[number].numpy(), d_rows)
            if d_maps is not None:
                d_maps[ctx.cameras[number]] += torch.from_numpy(d_rows.sum(axis=0)).view(3, 4)
        d_change = None if d_maps is None else d_maps - d_maps.mean(0)
        return d_image, d_alpha, d_change, None, None, None


def _views(image: Tensor, alpha: Tensor, change: Tensor | None, target: Target, background: Tensor) -> list[tuple[View, int, int]]:
    """Each view with the height and width of its window."""
    images, alphas, rgba = (x.detach().contiguous().numpy() for x in (image, alpha, target.images))
    valid, weight = None if target.valid is None else target.valid.contiguous().numpy(), target.weight.numpy()
    maps = None if change is None else color_maps(change.detach()).numpy()
    views, everywhere = [], np.empty((0, 0), np.uint8)
    for number, (slot, camera) in enumerate(zip(target.slot.tolist(), target.camera.tolist())):
        mask, matrix = everywhere if valid is None else valid[camera], _IDENTITY if maps is None else maps[camera]
        top, left, height, width = _window(images[number], alphas[number], rgba[slot], mask)
        arrays = images[number], alphas[number], rgba[slot], mask, background.detach().numpy(), matrix
        views.append((View(*arrays, top, left, float(weight[camera])), height, width))
    return views


def _window(image: np.ndarray, alpha: np.ndarray, rgba: np.ndarray, valid: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, height and width of the bounding box of everything that is not 0 in image or alpha or has a target, MARGIN wider."""
    height, width = alpha.shape
    first, last = np.empty(height, np.int64), np.empty(height, np.int64)
    _find_filled(image, alpha, rgba, valid, first, last)
    rows = np.flatnonzero(last >= 0)
    if not len(rows):
        return 0, 0, 0, 0
    top, bottom = max(int(rows[0]) - MARGIN, 0), min(int(rows[-1]) + 1 + MARGIN, height)
    left, right = max(int(first.min()) - MARGIN, 0), min(int(last.max()) + 1 + MARGIN, width)
    return top, left, bottom - top, right - left


@njit(parallel=True, cache=True)
def _find_filled(image, alpha, rgba, valid, first, last):
    """first, last [H]: columns between which everything of a row lies, W and -1 where there is nothing."""
    height, width = alpha.shape
    for y in prange(height):
        first[y], last[y] = width, -1
        for x in range(width):
            filled = alpha[y, x] > 0 or rgba[y, x, 3] > 0 or image[y, x, 0] != 0 or image[y, x, 1] != 0 or image[y, x, 2] != 0
            if filled and (len(valid) == 0 or valid[y, x] > 0):
                first[y], last[y] = min(first[y], x), x


@njit(parallel=True, cache=True)
def _compose(image, alpha, rgba, valid, background, matrix, top, left, shown, color, differences):
    """Of a window: the image as its camera sees it and the target [h, 3 w], both over the background, and each row's sum of |alpha - target alpha| [h]."""
    full, one = np.float32(255), np.float32(1)
    for row in prange(shown.shape[0]):
        y, total = top + row, np.float32(0)
        for column in range(shown.shape[1] // 3):
            x = left + column
            live = len(valid) == 0 or valid[y, x] > 0
            a, target_alpha = alpha[y, x], rgba[y, x, 3] / full
            total += abs(a - target_alpha) if live else np.float32(0)
            for c in range(3):
                base, m = background[c], matrix[c]
                seen = m[0] * image[y, x, 0] + m[1] * image[y, x, 1] + m[2] * image[y, x, 2] + m[3] * a + (one - a) * base
                shown[row, 3 * column + c] = seen if live else base
                color[row, 3 * column + c] = base + target_alpha * (rgba[y, x, c] / full - base) if live else base
        differences[row] = total


@njit(parallel=True, cache=True)
def _compose_backward(image, alpha, rgba, valid, background, matrix, top, left, d_shown, alpha_scale, d_image, d_alpha, d_rows):
    """Gradients of image and alpha where they are not 0, and of the matrix by row [h, 12]."""
    full = np.float32(255)
    for row in prange(d_shown.shape[0]):
        y, out = top + row, d_rows[row]
        for column in range(d_shown.shape[1] // 3):
            x = left + column
            if len(valid) and valid[y, x] == 0:
                continue
            a, target_alpha = alpha[y, x], rgba[y, x, 3] / full
            da = alpha_scale if a > target_alpha else (-alpha_scale if a < target_alpha else np.float32(0))
            for c in range(3):
                g, m = d_shown[row, 3 * column + c], matrix[c]
                da += g * (m[3] - background[c])
                out[4 * c + 3] += g * a
                for k in range(3):
                    d_image[y, x, k] += g * m[k]
                    out[4 * c + k] += g * image[y, x, k]
            d_alpha[y, x] = da
