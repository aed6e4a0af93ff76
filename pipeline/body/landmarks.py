"""Landmark tables: the points of a detector as weighted means of mesh vertices."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LandmarkTable:
    """Points of one detector on one mesh, in the detector's order.

    Attributes:
        vertices: [L, N] int64 vertex indices.
        weights: [L, N] float32, rows sum to 1 (N = 3: barycentrics of a face; else a ring of vertices around a joint).
        valid: [L] bool; invalid rows contain an arbitrary vertex with weight 1.
        spread_mm: [L] float32, RMS distance of the detections in different views on the surface; nan: unknown.
    """

    vertices: torch.Tensor
    weights: torch.Tensor
    valid: torch.Tensor
    spread_mm: torch.Tensor

    def points(self, vertices: torch.Tensor) -> torch.Tensor:
        """Landmarks [..., L, 3] on vertices [..., V, 3]; differentiable."""
        rows, columns = self.vertices.shape
        corners = vertices.index_select(-2, self.vertices.reshape(-1)).unflatten(-2, (rows, columns))
        return (corners * self.weights[..., None].to(vertices.dtype)).sum(-2)

    def to(self, device: torch.device | str) -> LandmarkTable:
        """The same table on another device."""
        return LandmarkTable(*(getattr(self, name).to(device) for name in ("vertices", "weights", "valid", "spread_mm")))

    def renumbered(self, new_index: torch.Tensor) -> LandmarkTable:
        """The table for a subset of the vertices; landmarks that lose a vertex become invalid.

        new_index: [V] int64 index of each vertex in the subset, -1 if it is removed.
        """
        moved = new_index[self.vertices]
        lost = ((moved < 0) & (self.weights > 0)).any(dim=1)
        return LandmarkTable(moved.clamp_min(0), self.weights, self.valid & ~lost, self.spread_mm)
