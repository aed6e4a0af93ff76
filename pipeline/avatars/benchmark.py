"""How fast an avatar is drawn, its rig included, by GaussianAvatars' protocol. Needs torch, numpy, OpenCV, and on a GPU Triton.

`python -m pipeline.avatars.benchmark AVATAR.npz` works without the command line's packages; `./c2a benchmark ID` calls the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.avatars.avatar_file import open_avatar, subject_number
from pipeline.avatars.captured import CapturedAvatar
from pipeline.avatars.orbit import circle, orbit
from pipeline.avatars.replay import Replay
from pipeline.capture.camera import Camera
from pipeline.capture.processed import read_image_set
from pipeline.capture.sample import read_sample
from pipeline.io.files import write_json
from pipeline.machine.device import choose_device, describe
from pipeline.splat.splats import Views
from pipeline.training.contract import Avatar

WAYS = {
    "viewer": "posed, drawn and brought to the host as 8-bit RGBA, as the viewer does: on a GPU by replaying a CUDA graph",
    "drawn": "posed and drawn, the image stays on the device: what GaussianAvatars' script times",
    "captured": "the same, replayed as one CUDA graph; frame and camera come from the host",
    "batch": "views per second: posed once for all views of a batch",
    "captured batch": "the same, replayed as one CUDA graph",
}
TO_CAPTURE = 4  # calls until a graph is replayed
ON_CPU = 10  # frames of a round, where nobody says how many


@dataclass(frozen=True)
class Protocol:
    """GaussianAvatars' `fps_benchmark_demo`: image size, vertical field of view in degrees, distance in metres, frames of a round, rounds; views of a batch."""

    width: int = 550
    height: int = 802
    fovy: float = 20.0
    radius: float = 1.0
    frames: int = 500
    rounds: int = 3
    batch: int = 16

    def camera(self) -> Camera:
        """The camera at the origin."""
        focal = self.height / 2 / np.tan(np.radians(self.fovy) / 2)
        K = np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])
        return Camera("benchmark", self.width, self.height, K, np.eye(3), np.zeros(3))


@torch.no_grad()
def benchmark(avatar: Avatar, device: torch.device, protocol: Protocol = Protocol(), front: Camera | None = None, subject: int = 0) -> dict[str, Any]:
    """Frames per second of every way of drawing: the median of the rounds, each timed between two waits for the device, after a warm-up.

    "still" is the protocol's: the first frame, one camera. "moving" plays all frames of the subject while the camera goes around.

    Args:
        front: looks at the subject's front; None: the protocol's own axes, y up, the face towards z.

    Returns:
        figures as JSON: {"ways": {way: {"still": {"fps", "rounds", "spread"}, "moving": ...}}, ...}; spread: of the rounds, largest minus smallest over median.
    """
    centre = avatar.centre(avatar.pose(0, subject))
    forward, up = (front.centre - centre, -front.R[1]) if front else (np.array([0.0, 0, 1]), np.array([0.0, 1, 0]))
    around = circle(protocol.camera(), centre, forward, up, protocol.radius, protocol.frames)
    count = len(list(avatar.subjects.values())[subject])
    steps = {"still": [(0, around[0])], "moving": [(i % count, camera) for i, camera in enumerate(around)]}
    ways: dict[str, dict[str, Any]] = {}
    for scene, plan in steps.items():
        for way, (call, views) in _ways(avatar, device, plan, protocol, subject).items():
            ways.setdefault(way, {})[scene] = _timed(call, len(plan), views, protocol, device)
    splats = getattr(avatar.pose(0, subject), "splats", None)
    return {
        "device": describe(device),
        "torch": torch.__version__,
        "splats": None if splats is None else len(splats),
        "frames_of_subject": count,
        "protocol": {name: getattr(protocol, name) for name in protocol.__dataclass_fields__},
        "ways": ways,
        "definitions": WAYS,
    }


def _ways(avatar: Avatar, device: torch.device, plan: Sequence[tuple[int, Camera]], protocol: Protocol, subject: int) -> dict[str, tuple[Any, int]]:
    """{way: (function of the step's number, views that it draws)}."""
    views = [Views.from_cameras([camera], device) for _, camera in plan]
    cameras = [plan[(i * max(len(plan) // protocol.batch, 1)) % len(plan)][1] for i in range(protocol.batch)]
    many = Views.from_cameras(cameras, device)
    frames, viewer = [frame for frame, _ in plan], CapturedAvatar(avatar, subject, device)
    ways: dict[str, tuple[Callable[[int], Any], int]] = {
        "viewer": (lambda i: viewer.view(frames[i]).image(plan[i][1]), 1),
        "drawn": (lambda i: avatar.draw(avatar.pose(frames[i], subject), views[i]), 1),
        "batch": (lambda i: avatar.draw(avatar.pose(frames[i], subject), many), protocol.batch),
    }
    if device.type == "cuda":
        one, all_ = (Replay(avatar, 0, (protocol.width, protocol.height), count, device, subject) for count in (1, protocol.batch))
        ways["captured"] = (lambda i: one(frames[i], [plan[i][1]]), 1)
        ways["captured batch"] = (lambda i: all_(frames[i], cameras), protocol.batch)
    return ways


def _timed(call: Callable[[int], Any], steps: int, views: int, protocol: Protocol, device: torch.device) -> dict[str, Any]:
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    number = max(protocol.frames // views, 1)
    for i in range(max(min(steps, number), TO_CAPTURE if device.type == "cuda" else 1)):  # compiles kernels, makes room for the pairs of every view
        call(i % steps)
    rates = []
    for _ in range(protocol.rounds):
        wait()
        start = time.perf_counter()
        for i in range(number):
            call(i % steps)
        wait()
        rates.append(number * views / (time.perf_counter() - start))
    median = statistics.median(rates)
    return {"fps": round(median, 2), "rounds": [round(rate, 2) for rate in rates], "spread": round((max(rates) - min(rates)) / median, 4)}


def front_camera(results: Path, centre: np.ndarray) -> Camera | None:
    """A camera in the middle of the training cameras of a capture; None where its files are not at hand. results: of the capture."""
    if not ((results / "alpha.json").is_file() and (results / "sample.json").is_file()):
        return None
    known = read_image_set(results / "alpha.json", results / "alpha").by_name
    return orbit([known[name] for name in read_sample(results / "sample.json").train_cameras], centre, 1, 0.0)[0]


def benchmark_file(path: Path, device: str = "auto", frames: int | None = None, rounds: int = 3, subject: str = "") -> dict[str, Any]:
    """The same of an avatar.npz where a run has put it, or elsewhere.

    Args:
        frames: of a round; None = as published, on a CPU fewer. subject: its name; empty = the first.

    Raises:
        InputError: the file is no avatar, or the subject is none of its.
    """
    chosen = choose_device(device)
    avatar = open_avatar(path, chosen)
    number = subject_number(avatar, subject, path)
    above = path.absolute().parents[1:3]  # of avatar.npz and of its snapshots
    captures = [*above, *(folder.parent / (list(avatar.subjects)[number] or "_") for folder in above)]  # the last two of a group
    centre = avatar.centre(avatar.pose(0, number))
    front = next((camera for folder in captures if (camera := front_camera(folder, centre))), None)
    protocol = Protocol(frames=frames or (Protocol.frames if chosen.type == "cuda" else ON_CPU), rounds=rounds)
    return {"avatar": str(path), **benchmark(avatar, chosen, protocol, front, number)}


def table(figures: dict[str, Any]) -> str:
    """The figures as text, a line for each way."""
    protocol = figures["protocol"]
    about = f"{figures['splats']} splats, {protocol['width']}x{protocol['height']}, {protocol['rounds']} rounds of {protocol['frames']} frames"
    lines = [f"{figures['device']}: {about}", f"{'images per second':<20}{'still':>12}{'moving':>12}{'spread':>9}"]
    for way in (name for name in WAYS if name in figures["ways"]):
        still, moving = (figures["ways"][way][scene] for scene in ("still", "moving"))
        lines.append(f"{way:<20}{still['fps']:>12,.1f}{moving['fps']:>12,.1f}{max(still['spread'], moving['spread']):>9.1%}")
    return "\n".join(lines + [f"{way}: {WAYS[way]}" for way in WAYS if way in figures["ways"]])


def main() -> None:
    """Entry point of the module."""
    parser = argparse.ArgumentParser(description="Frames per second of an avatar.npz.")
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    figures = benchmark_file(options.avatar, device=options.device, frames=options.images, rounds=options.rounds)
    print(table(figures))
    if options.out:
        write_json(options.out, figures)


if __name__ == "__main__":
    main()
