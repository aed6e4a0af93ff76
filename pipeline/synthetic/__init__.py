"""Synthetic captures with ground truth, in the layout of NeRSemble v1."""
