"""Who belongs to whom, the other way round: the splats of each triangle, the corners of each vertex."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


@dataclass(eq=False)
class Groups:
    """Members of each of G groups, in ascending order.

    Attributes:
        members: int64 [M], group after group. starts: int64 [G + 1], where each group begins in `members`.
    """

    members: Tensor
    starts: Tensor

    @staticmethod
    def by(owners: Tensor, count: int) -> Groups:
        """Groups of the members 0..M-1 by their owners (int64, 0 to count - 1; of any shape). Never waits for the device."""
        ordered, members = torch.sort(owners.flatten(), stable=True)
        return Groups(members, torch.searchsorted(ordered, torch.arange(count + 1, device=owners.device)))


def groups_by(owners: Tensor, count: int) -> Groups:
    """`Groups.by`, remembered as long as the tensor `owners` lives; where its values were changed in place the remembered tensors are too, so that a captured
    graph that reads them stays right (after a call of this function outside of it)."""
    version, groups = _known.get(owners, (None, None))
    if groups is None or len(groups.starts) != count + 1:
        groups = Groups.by(owners, count)
    elif version != owners._version:
        fresh = Groups.by(owners, count)
        groups.members.copy_(fresh.members)
        groups.starts.copy_(fresh.starts)
    _known[owners] = owners._version, groups
    return groups
