"""Rotations, similarity transforms, triangulation, triangle frames."""
