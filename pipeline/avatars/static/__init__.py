"""The method `static`: a scene of splats that nothing moves (3DGS, Kerbl et al. 2023)."""
