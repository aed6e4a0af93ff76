"""The rasteriser's numba kernels."""
