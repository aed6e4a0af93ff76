"""Per-frame parameters by value: a step uses one row of some tables, and only that row gets a gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Rows:
    """One row of each of several tables.

    Attributes:
        index: which row. leaf: [sum of sizes], the rows' values as one leaf of the graph. shapes: of a row, by table.
    """

    index: int | Tensor
    leaf: Tensor
    shapes: Mapping[str, torch.Size]

    def values(self) -> dict[str, Tensor]:
        """The rows by table, differentiable with respect to `leaf`."""
        return self._split(self.leaf)

    def gradients(self) -> dict[str, Tensor]:
        """Their gradients by table after a backward pass; empty where none reached them."""
        return {} if self.leaf.grad is None else self._split(self.leaf.grad)

    def _split(self, flat: Tensor) -> dict[str, Tensor]:
        sizes = [shape.numel() for shape in self.shapes.values()]
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), flat.split(sizes))}


def select_rows(tables: Mapping[str, Tensor], index: int | Tensor) -> Rows:
    """Row `index` (an int, or int64 [] on the tables' device) of every table [F, ...], as a new leaf where gradients are enabled."""
    leaf = torch.cat([row(table, index).flatten() for table in tables.values()]).detach()
    return Rows(index, leaf.requires_grad_(torch.is_grad_enabled()), {name: table.shape[1:] for name, table in tables.items()})


def row(table: Tensor, index: int | Tensor) -> Tensor:
    """Row `index` of a table. Indexing by a tensor on a GPU would wait for its value; this does not."""
    return table[index] if isinstance(index, int) else table.index_select(0, index.view(1)).squeeze(0)
