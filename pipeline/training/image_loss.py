"""How far rendered images are from their targets: L1, D-SSIM and alpha, each a mean over the valid pixels of the whole image, on every device."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.machine.backend import backend_of
from pipeline.splat.ssim import ssim_map
from pipeline.training.camera_color import color_maps
from pipeline.training.target import Target, Weights


def image_terms(
    image: Tensor, alpha: Tensor, target: Target, background: Tensor, color_change: Tensor | None = None, weights: Weights = (0.8, 0.2, 1.0)
) -> tuple[Tensor, Tensor]:
    """The terms [3] = (l1, dssim, alpha), differentiable in image, alpha and color_change, and the composed images [V, H, W, 3] (no gradient).

    Each view's map of camera colours (identity + change of its camera - mean change) is applied, the result put over the background and compared with its
    target over the same background. With three weights (Kerbl et al. 2023, eq. 7, and a term of alpha):

        l1 = w[0] mean |x - y|,  dssim = w[1] mean (1 - SSIM),  alpha = w[2] mean |alpha - target alpha|

    Means are over the valid pixels of the whole image, then over the views. Where a pixel is not valid both images show the background and alphas are equal;
    SSIM's windows cover all pixels (zero padding at the border), and the sum of 1 - SSIM over all pixels is divided by the number of valid ones.

    Args:
        image: [V, H, W, 3] over black (colour multiplied with alpha). alpha: [V, H, W]. background: [3].
        color_change: [C, 3, 4], the parameter of `CameraColor`, or None.

    Raises:
        ValueError: shapes that do not suit each other.
    """
    _check(image, alpha, target, background, color_change)
    match backend_of(image, "image_loss"):
        case "cpu":
            from pipeline.training.image_loss_cpu import image_terms_on_cpu

            return image_terms_on_cpu(image, alpha, target, background, color_change, weights)
        case "gpu":
            from pipeline.training.image_loss_gpu import image_terms_on_gpu

            return image_terms_on_gpu(image, alpha, target, background, color_change, weights)
    return image_terms_reference(image, alpha, target, background, color_change, weights)


def image_terms_reference(
    image: Tensor, alpha: Tensor, target: Target, background: Tensor, color_change: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor]:
    """`image_terms` in plain PyTorch on whole images: any device, any dtype; the oracle of the kernels."""
    background = background.to(image)
    color, target_alpha = target.over(background)
    maps = None if color_change is None else color_maps(color_change).index_select(0, target.camera)
    valid = None if target.valid is None else target.valid.index_select(0, target.camera) > 0
    composed, alpha = compose(image, alpha, background, maps, valid)
    weight = target.weight.to(image).index_select(0, target.camera) / len(image)
    sums = (composed - color).abs().sum((1, 2, 3)), (1 - ssim_map(composed, color)).sum((1, 2, 3)), (alpha - target_alpha).abs().sum((1, 2))
    scales = image.new_tensor([weights[0] / 3, weights[1] / 3, weights[2]])
    return scales * (torch.stack(sums) @ weight), composed.detach()


def compose(image: Tensor, alpha: Tensor, background: Tensor, maps: Tensor | None, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Images [V, H, W, 3] as their cameras see them, over the background, and their alpha [V, H, W]; where not valid the background and 0.

    Args:
        maps: [V, 3, 4] maps of camera colours, or None. valid: bool [V, H, W], or None.
    """
    views, height, width, _ = image.shape
    if maps is not None:
        shift = alpha.reshape(views, -1, 1) * maps[:, None, :, 3]
        image = torch.baddbmm(shift, image.reshape(views, -1, 3), maps[:, :, :3].transpose(1, 2)).view(views, height, width, 3)
    image = image + (1 - alpha)[..., None] * background
    return (image, alpha) if valid is None else (torch.where(valid[..., None], image, background), torch.where(valid, alpha, 0))


def _check(image: Tensor, alpha: Tensor, target: Target, background: Tensor, color_change: Tensor | None) -> None:
    views, height, width = image.shape[:3]
    cameras, size = len(target.weight), tuple(target.images.shape[1:])
    shapes = {
        "image": (image, (views, height, width, 3)),
        "alpha": (alpha, (views, height, width)),
        "target.images": (target.images, (len(target.images), height, width, 4)),
        "target.slot": (target.slot, (views,)),
        "target.camera": (target.camera, (views,)),
        "target.valid": (target.valid, (cameras, height, width)),
        "background": (background, (3,)),
        "color_change": (color_change, (cameras, 3, 4)),
    }
    for name, (tensor, shape) in shapes.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}; expected {shape} for {views} views of {cameras} cameras with images of {size}")
