"""LPIPS v0.1 (Zhang et al. 2018, arXiv 1801.03924, eq. 1) with the user's weights; none are shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.io.errors import MALFORMED, InputError

# Per stage: the convolutions (their number in torchvision's `features`, stride, padding), after a max pooling (kernel, stride) or none.
_ALEXNET = ((None, ((0, 4, 2),)), ((3, 2), ((3, 1, 2),)), ((3, 2), ((6, 1, 1),)), (None, ((8, 1, 1),)), (None, ((10, 1, 1),)))
_VGG16 = (
    (None, ((0, 1, 1), (2, 1, 1))),
    ((2, 2), ((5, 1, 1), (7, 1, 1))),
    ((2, 2), ((10, 1, 1), (12, 1, 1), (14, 1, 1))),
    ((2, 2), ((17, 1, 1), (19, 1, 1), (21, 1, 1))),
    ((2, 2), ((24, 1, 1), (26, 1, 1), (28, 1, 1))),
)
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # the paper's whitening of images in -1..1
_NAMES = {11: ("alex", _ALEXNET), 3: ("vgg", _VGG16)}  # identified by the width of the first kernel


class Lpips:
    """Perceptual distance of two images; smaller is closer. Images are scaled to -1..1 as in the authors' package."""

    def __init__(self, backbone: str | Path, linear: str | Path):
        """Args: state dicts of the network (torchvision's names) and of its linear layers (`lin0.model.1.weight` ...).

        Raises:
            InputError: a file cannot be read or contains other tensors.
        """
        self._weights, layers = _state(backbone), _state(linear)
        first = self._weights.get("features.0.weight")
        if not isinstance(first, Tensor) or not first.ndim or first.shape[-1] not in _NAMES:
            found = ", ".join(list(self._weights)[:4])
            raise InputError(
                "is neither AlexNet nor VGG16",
                file=backbone,
                found=found,
                expected="torchvision's state dict, features.0.weight ...",
                remedy="correct evaluate.lpips_backbone",
            )
        self.name, self._stages = _NAMES[first.shape[-1]]
        try:
            self._linear = [layers[f"lin{i}.model.1.weight"].reshape(-1) for i in range(5)]
            self.distance(np.zeros((64, 64, 3), np.float32), np.zeros((64, 64, 3), np.float32))
        except (*MALFORMED, RuntimeError) as error:
            raise InputError(f"does not fit the network '{self.name}'", file=linear, found=error, remedy="correct evaluate.lpips_linear") from None

    @torch.no_grad()
    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """LPIPS of two images [H, W, 3] in 0..1."""
        batch = torch.from_numpy(np.stack([a, b]).astype(np.float32)).permute(0, 3, 1, 2) * 2 - 1
        x = (batch - torch.tensor(_SHIFT)[:, None, None]) / torch.tensor(_SCALE)[:, None, None]
        total = 0.0
        for (pooling, convolutions), weight in zip(self._stages, self._linear):
            if pooling:
                x = nn.functional.max_pool2d(x, *pooling)
            for index, stride, padding in convolutions:
                x = nn.functional.conv2d(x, self._weights[f"features.{index}.weight"], self._weights[f"features.{index}.bias"], stride, padding).relu()
            unit = x / (x.norm(dim=1, keepdim=True) + 1e-10)
            total += float(((unit[0] - unit[1]).square() * weight[:, None, None]).sum(0).mean())
        return total


def _state(path: str | Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(
            "cannot be read as weights",
            file=path,
            found=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            expected="a state dict saved by torch",
            remedy="correct evaluate.lpips_* in config.yaml",
        ) from None
    if not isinstance(state, dict):
        raise InputError("contains no state dict", file=path, found=type(state).__name__, remedy="correct evaluate.lpips_* in config.yaml")
    return state
