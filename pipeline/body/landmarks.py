"""Landmarks on a mesh: where a detector's points lie, as weighted means of vertices."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LandmarkTable:
    """Points of one detector on one mesh, in the detector's order.

    Attributes:
        vertices: [L,N] int64 vertex indices, weights: [L,N] float32, rows sum to 1 (a face and barycentrics where N = 3; a ring around a joint else).
        valid: [L] bool; rows that are not valid hold some vertex with weight 1 and mean nothing.
        spread_mm: [L] float32, how far the detector's own idea of the point wanders over the surface between views (root mean square), nan unknown.
    """

    vertices: torch.Tensor
    weights: torch.Tensor
    valid: torch.Tensor
    spread_mm: torch.Tensor

    def points(self, vertices: torch.Tensor) -> torch.Tensor:
        """vertices [...,V,3] -> landmarks [...,L,3]; differentiable."""
        rows, columns = self.vertices.shape
        corners = vertices.index_select(-2, self.vertices.reshape(-1)).unflatten(-2, (rows, columns))
        return (corners * self.weights[..., None].to(vertices.dtype)).sum(-2)

    def to(self, device: torch.device | str) -> LandmarkTable:
        """The same table on another device."""
        return LandmarkTable(*(getattr(self, name).to(device) for name in ("vertices", "weights", "valid", "spread_mm")))

    def renumbered(self, new_index: torch.Tensor) -> LandmarkTable:
        """The table for a subset of the vertices: new_index [V] int64, -1 where a vertex is gone; landmarks that lose a vertex become invalid."""
        moved = new_index[self.vertices]
        lost = ((moved < 0) & (self.weights > 0)).any(dim=1)
        return LandmarkTable(moved.clamp_min(0), self.weights, self.valid & ~lost, self.spread_mm)
