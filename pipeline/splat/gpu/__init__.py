"""The rasteriser's Triton kernels."""
