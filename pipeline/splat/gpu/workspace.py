"""How many (splat, tile) pairs the buffers of a GPU call hold; how many are needed only the GPU knows."""

from __future__ import annotations

import torch

PAIRS_PER_SPLAT = 8  # first guess
HEADROOM = 2  # the host waits for the count after a call unless the last known count was this many times below the capacity
KEPT = 64  # workspaces of plain calls, by shape


class Workspace:
    """The capacity for pairs of a call, and whether it sufficed.

    Pass one to `rasterise(..., workspace=)` to own the check, which is what a captured CUDA graph needs: the host then reads nothing. Pairs beyond the capacity
    are left out, all gradients are then zero, and `overflowed` is set to 1 on the device; it stays 1 until `grow()`. So a captured training step can pass
    `overflowed` to its optimiser as "skip this step", and the host can check it from time to time::

        workspace = Workspace("cuda")
        step()                      # plain calls: the capacity grows as needed
        capture(step)               # inside: rasterise(..., workspace=workspace); optimiser skips where workspace.overflowed
        if workspace.overflowed:    # outside, now and then; synchronises
            workspace.grow()        # then capture again: a graph keeps the capacity it was captured with

    In plain calls, `rasterise` waits for the number of pairs while that is not well below the capacity, and draws again with a larger capacity if it has to;
    otherwise it only reads what the last finished call reported. Calls without gradients always wait. A call with gradients that has more than HEADROOM times
    the pairs of the calls before it may go wrong once, with gradients of zero and `overflowed` set: the price of not waiting in every step.

    Attributes:
        capacity: pairs.
        overflowed: int32 tensor [1] on the device.
        state: int32 [2] on the device, written by the kernels: overflowed, most pairs needed. pair_count: int32 [1] in pinned memory, pairs of the last
            finished call.
    """

    def __init__(self, device: torch.device | str, capacity: int = 0) -> None:
        self.capacity = capacity
        self.state = torch.zeros(2, dtype=torch.int32, device=device)
        self.overflowed = self.state[:1]
        pinned = torch.device(device).type == "cuda"
        self.pair_count = torch.zeros(1, dtype=torch.int32, pin_memory=pinned)
        self._host_count = self.pair_count.numpy()
        self._known = False

    def grow(self) -> None:
        """Raise the capacity to the most pairs ever needed, and a quarter more; clears `overflowed`. Synchronises."""
        needed = int(self.state[1])
        self.capacity = max(self.capacity, _rounded(needed + needed // 4))
        self.state.zero_()

    def begin(self, splats: int) -> None:
        """Before a call with this many splats, all views together. Reads what the last finished call needed, without waiting."""
        if self.capacity == 0:
            self.capacity = _rounded(PAIRS_PER_SPLAT * splats + 4096)
        self._known = self._known and HEADROOM * int(self._host_count[0]) <= self.capacity

    def enough(self, certainly: bool) -> bool:
        """After a plain call: whether the capacity sufficed; grows if not. Waits for the GPU while the capacity is not known to be ample, or to be certain."""
        if self._known and not certainly:
            return True
        if self.state.is_cuda:
            torch.cuda.current_stream(self.state.device).synchronize()
        needed = int(self._host_count[0])
        if needed <= self.capacity:
            self._known = True
            if HEADROOM * needed > self.capacity:
                self.capacity = _rounded((HEADROOM + 1) * needed)  # from the next call on
            return True
        self.capacity = _rounded((HEADROOM + 1) * needed)
        self.state.zero_()
        return False


def _rounded(pairs: int) -> int:
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
