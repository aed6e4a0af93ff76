"""Rendering of synthetic subjects: procedural textures, shading, the studio background."""
