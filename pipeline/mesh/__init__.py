"""Triangle meshes: normals and adjacency, z-buffer rasteriser."""
