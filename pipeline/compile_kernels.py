"""Compiles the numba kernels into their cache by using each once on next to nothing; `./c2a` does it after an install."""

from __future__ import annotations


def main() -> None:
    """Draw, differentiate and compare a handful of splats, rasterise one triangle, triangulate one point; then the kernels of each method."""
    import numpy as np
    import torch

    from pipeline.avatars.registry import METHODS
    from pipeline.geometry.triangulation import triangulate
    from pipeline.mesh.raster import zbuffer
    from pipeline.splat.rasterise import rasterise
    from pipeline.splat.splats import Splats, Views
    from pipeline.training.image_loss import image_terms
    from pipeline.training.target import Target

    corners = np.array([[1.0, 1.0], [30.0, 2.0], [5.0, 30.0]])
    zbuffer(corners, np.ones(3), np.array([[0, 1, 2]]), 32, 32)
    ahead, beside = np.eye(3, 4), np.eye(3, 4) - [[0, 0, 0, 1], [0] * 4, [0] * 4]
    triangulate(np.array([[[0.5, 0.0]], [[0.0, 0.0]]]), np.ones((2, 1)), np.stack([ahead, beside]), 1.0)
    shape = torch.rand(8, 3), torch.rand(8, 4), torch.full((8, 3), -3.0)
    splats = Splats(*(value.requires_grad_() for value in (*shape, torch.zeros(8), torch.rand(8, 9, 3))))
    K = torch.tensor([[[40.0, 0, 16], [0, 40, 16], [0, 0, 1]]])
    views = Views(K, torch.eye(3)[None], torch.tensor([[0.0, 0, 2]]), 32, 32)
    drawn = rasterise(splats, views, torch.zeros(3), sh_degree=2, screen=torch.zeros(1, 8, 2, requires_grad=True))
    target = Target.of(torch.zeros(1, 32, 32, 4, dtype=torch.uint8))
    image_terms(drawn.image, drawn.alpha, target, torch.ones(3))[0].sum().backward()
    for method in METHODS.values():
        if method.has("compile_kernels"):
            method.function("compile_kernels")()


if __name__ == "__main__":
    main()
