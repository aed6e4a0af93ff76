"""What is drawn (Splats), from where (Views) and what comes out (Rendered)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch

from pipeline.capture.camera import Camera


@dataclass(frozen=True, eq=False)
class Splats:
    """Anisotropic 3D Gaussians, world coordinates in metres; every tensor may carry one leading batch axis, one set of splats per view.

    Attributes:
        means: [N, 3]. quats: [N, 4] wxyz, normalised at use. log_scales: [N, 3] natural log of the standard deviations in metres.
        opacities: [N] logits. sh: [N, K, 3] spherical harmonics of the colour, K = 1, 4, 9 or 16.
        features: [N, C] drawn as they are, in place of `sh`; any C.
    """

    means: torch.Tensor
    quats: torch.Tensor
    log_scales: torch.Tensor
    opacities: torch.Tensor
    sh: torch.Tensor | None = None
    features: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if (self.sh is None) == (self.features is None):
            raise ValueError("splats have either sh or features")
        lead = self.opacities.shape
        shapes = {"means": (*lead, 3), "quats": (*lead, 4), "log_scales": (*lead, 3)}
        shapes |= {"features": (*lead, self.colours.shape[-1])} if self.sh is None else {"sh": (*lead, *self.sh.shape[-2:])}
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"{name} has shape {tuple(getattr(self, name).shape)}; expected {shape} beside opacities {tuple(lead)}")

    def __len__(self) -> int:
        return self.opacities.shape[-1]

    @property
    def batched(self) -> bool:
        """Whether there is one set of splats per view."""
        return self.opacities.dim() == 2

    @property
    def colours(self) -> torch.Tensor:
        """`sh`, or `features` where there is no `sh`."""
        colours = self.features if self.sh is None else self.sh
        assert colours is not None  # see __post_init__
        return colours

    def of_view(self, index: int) -> Splats:
        """The unbatched splats of view `index`."""
        if not self.batched:
            return self
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self) if getattr(self, f.name) is not None})


@dataclass(frozen=True, eq=False)
class Views:
    """B pinhole cameras of one image size: OpenCV axes, `x_cam = R x_world + t`, pixel centres at +0.5, principal point anywhere, no skew.

    Attributes:
        K: [B, 3, 3] pixels. R: [B, 3, 3]. t: [B, 3] metres.
    """

    K: torch.Tensor
    R: torch.Tensor
    t: torch.Tensor
    width: int
    height: int

    def __len__(self) -> int:
        return self.K.shape[0]

    @staticmethod
    def from_cameras(cameras: Sequence[Camera], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Views:
        """Cameras of one size as views. Raises ValueError for mixed sizes or a camera with distortion."""
        sizes = {(camera.width, camera.height) for camera in cameras}
        if len(sizes) != 1:
            raise ValueError(f"views of one call must have one size, not {sorted(sizes)}")
        if any(any(camera.dist) for camera in cameras):
            raise ValueError("splats are drawn through pinhole cameras; undistort first (Camera.without_distortion)")
        K, R, t = (torch.stack([torch.as_tensor(getattr(camera, name), dtype=dtype) for camera in cameras]).to(device) for name in ("K", "R", "t"))
        return Views(K, R, t, *sizes.pop())


class Rendered(NamedTuple):
    """What `rasterise` returns.

    image: [B, H, W, C] over the background. alpha: [B, H, W] in 0..1. depth: [B, H, W] metres, mean over the splats of a pixel, 0 where there is none.
    radii: [B, N] pixels to where a splat fades below 1/255, 0 where it touches no pixel of the image.
    """

    image: torch.Tensor
    alpha: torch.Tensor
    depth: torch.Tensor
    radii: torch.Tensor
