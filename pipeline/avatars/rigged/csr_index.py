"""Inverse index (CSR) of a many-to-one map: the splats of each triangle, the corners of each vertex."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_cache: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


@dataclass(eq=False)
class InverseIndex:
    """Members of each of G owners, in ascending order.

    Attributes:
        members: int64 [M], owner after owner. starts: int64 [G + 1], where each owner's begin in `members`.
    """

    members: Tensor
    starts: Tensor

    @staticmethod
    def of(owners: Tensor, count: int) -> InverseIndex:
        """Of the owners of the members 0..M-1 (int64, 0 to count - 1; of any shape). Never waits for the device."""
        ordered, members = torch.sort(owners.flatten(), stable=True)
        return InverseIndex(members, torch.searchsorted(ordered, torch.arange(count + 1, device=owners.device)))


def inverse_index(owners: Tensor, count: int) -> InverseIndex:
    """`InverseIndex.of`, cached as long as the tensor `owners` lives. Where its values were changed in place the cached tensors are updated in place, so that
    a captured graph that reads them stays right (after a call of this function outside of it)."""
    version, index = _cache.get(owners, (None, None))
    if index is None or len(index.starts) != count + 1:
        index = InverseIndex.of(owners, count)
    elif version != owners._version:
        updated = InverseIndex.of(owners, count)
        index.members.copy_(updated.members)
        index.starts.copy_(updated.starts)
    _cache[owners] = owners._version, index
    return index
