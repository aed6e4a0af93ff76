"""Splats bound to the triangles of a fitted mesh (GaussianAvatars, arXiv 2312.02069)."""
