"""Room for the (splat, tile) pairs of a GPU call, whose number only the GPU knows."""

from __future__ import annotations

import torch

PAIRS_PER_SPLAT = 8  # first guess
HEADROOM = 2  # the host waits for the count after a call unless the last count known was this many times below the capacity
KEPT = 64  # shapes remembered


class Workspace:
    """How many pairs a call makes room for, and whether that was enough.

    Give one to `rasterise(..., workspace=)` to own the check, which is what a captured CUDA graph needs: nothing is read by the host then. Pairs
    beyond the capacity are left out, the gradients are then zero, and `overflowed` is set to 1 on the device; it stays 1 until `grow()`. So a captured training step may hand
    `overflowed` to its optimiser as "skip this step", and look at it from time to time::

        workspace = Workspace("cuda")
        step()                      # plain calls: the capacity finds itself
        capture(step)               # inside: rasterise(..., workspace=workspace); optimiser skips where workspace.overflowed
        if workspace.overflowed:    # outside, now and then; synchronises
            workspace.grow()        # then capture again: a graph keeps the capacity it was captured with

    In plain calls, `rasterise` waits for the number of pairs while that is not well below the capacity, and draws again with more room where it has to; otherwise it
    only looks at what the last finished call reported. Calls that want no gradient always wait. One that wants gradients, and has more than HEADROOM times
    the pairs of the calls before it, may go wrong once, with gradients of zero and `overflowed` set: the price of not waiting in every step.

    Attributes:
        capacity: pairs.
        overflowed: int32 tensor [1] on the device.
        state, seen: what the kernels write: (overflowed, most pairs wanted) on the device; pairs of the last finished call, in memory that the host reads.
    """

    def __init__(self, device: torch.device | str, capacity: int = 0) -> None:
        self.capacity = capacity
        self.state = torch.zeros(2, dtype=torch.int32, device=device)  # overflowed, most pairs wanted
        self.overflowed = self.state[:1]
        pinned = torch.device(device).type == "cuda"
        self.seen = torch.zeros(1, dtype=torch.int32, pin_memory=pinned)  # pairs of the last finished call, written by the GPU
        self._host = self.seen.numpy()
        self._known = False

    def grow(self) -> None:
        """Make room for the most pairs ever wanted, and a quarter more; clears `overflowed`. Synchronises."""
        wanted = int(self.state[1])
        self.capacity = max(self.capacity, _whole(wanted + wanted // 4))
        self.state.zero_()

    def begin(self, splats: int) -> None:
        """Before a call with this many splats, all views together. Looks at what the last finished call wanted, without waiting."""
        if self.capacity == 0:
            self.capacity = _whole(PAIRS_PER_SPLAT * splats + 4096)
        self._known = self._known and HEADROOM * int(self._host[0]) <= self.capacity

    def enough(self, certainly: bool) -> bool:
        """After a plain call: whether its pairs had room; grows if not. Waits for the GPU only while the capacity is not known to be ample, or to be certain."""
        if self._known and not certainly:
            return True
        if self.state.is_cuda:
            torch.cuda.current_stream(self.state.device).synchronize()
        wanted = int(self._host[0])
        if wanted <= self.capacity:
            self._known = True
            if HEADROOM * wanted > self.capacity:
                self.capacity = _whole((HEADROOM + 1) * wanted)  # from the next call on
            return True
        self.capacity = _whole((HEADROOM + 1) * wanted)
        self.state.zero_()
        return False


def _whole(pairs: int) -> int:
    return -(-pairs // 256) * 256 + 256


_workspaces: dict[tuple, Workspace] = {}


def workspace_of(device: torch.device, *shape: int) -> Workspace:
    """The workspace that plain calls of this device and shape share."""
    key = (device, *shape)
    if key not in _workspaces:
        if len(_workspaces) >= KEPT:
            _workspaces.pop(next(iter(_workspaces)))
        _workspaces[key] = Workspace(device)
    return _workspaces[key]
