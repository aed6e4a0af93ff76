"""Tampered results and checkpoints: what later stages, `status`, `cohort` and the report read again."""

from __future__ import annotations

import functools
import io
import json
import pickle
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.calibrations import CAMERA
from tests.hostile.case import Case, Payload, written

FRAME = {"id": "take_000000", "sequence": "take", "frame": 0, "time": 0.0}
IMAGES = {"cameras": [CAMERA], "frames": [FRAME], "archives": {"a": {"size": 3, "sha256": "x"}}, "facts": {}}
SEQUENCES = {"take": {"frames": 1, "videos": {"a": {"path": "a.mp4"}}, "sync": {}}}
CAPTURE = {"id": "anna", "kind": "rig", "fps": 24, "cameras": [CAMERA], "sequences": SEQUENCES, "plates": {"a": None}, "color": {}, "truth": None, "checks": []}
SAMPLE = {"frames": [{"id": "take_000000", "split": "train"}], "cameras": {"a": "train"}}


def read_images(folder: Path) -> None:
    from pipeline.capture.processed import read_image_set

    images = read_image_set(folder / "frames.json", folder / "frames")
    images.verify()


def read_capture(folder: Path) -> None:
    from pipeline.capture.record import read_capture

    read_capture(folder / "capture.json")


def read_sample(folder: Path) -> None:
    from pipeline.capture.sample import read_sample

    read_sample(folder / "sample.json")


def read_keypoints(folder: Path) -> None:
    from pipeline.io.arrays import load_npz
    from pipeline.track.inputs import KEYPOINT_SHAPES

    load_npz(folder / "keypoints.npz", KEYPOINT_SHAPES, remedy="./c2a run anna --from keypoints")


def read_checkpoint(folder: Path) -> None:
    """A checkpoint that cannot be read is skipped: there must be none."""
    from pipeline.io.errors import InputError
    from pipeline.training.checkpoint import load_checkpoint, load_shorter

    for state in (load_checkpoint(folder, "mine"), load_shorter(folder, folder / "trained.pt", "mine", 100)):
        if state is not None:
            raise AssertionError(f"loaded {state}")
    raise InputError("skipped", expected="so")


def read_weights(folder: Path) -> None:
    from pipeline.evaluation.lpips import Lpips

    Lpips(folder / "x.pth", folder / "x.pth")


def read_avatar_colors(folder: Path) -> None:
    from pipeline.avatars.render import camera_colors

    camera_colors(folder / "avatar.npz")


def layout(folder: Path) -> Any:
    from pipeline.contract.layout import Layout

    return Layout(folder / "results" / "anna", folder / "work" / "anna")


def read_pages(folder: Path) -> None:
    """Report and cohort page over tampered files."""
    from pipeline.io.errors import InputError
    from pipeline.report.cohort import Member, cohort_page, cohort_table
    from pipeline.report.report import make_report
    from pipeline.report.settings import ReportSettings
    from pipeline.stages.failure import read_error
    from pipeline.workflow.status import describe

    place = layout(folder)
    make_report(place, ReportSettings())
    error = read_error(place, "ingest")
    members = [Member(place, "failed", "ingest", "ingest", error)]
    cohort_table(members), cohort_page(members, folder), describe("ingest", error)
    raise InputError("pages were written", expected="so")


def pages(file: str, text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        place = layout(folder)
        for path in (folder / file.replace("*", stage) for stage in ("ingest", "train")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert place.results.parent.parent == folder

    return make


def read_staleness(folder: Path) -> None:
    """`status` over a tampered manifest with the right key: every such stage is stale."""
    from types import SimpleNamespace

    from pipeline.config import parse_config
    from pipeline.io.errors import InputError
    from pipeline.workflow.staleness import unfinished_reasons

    row = SimpleNamespace(path=folder)
    target: Any = SimpleNamespace(layout=layout(folder), stages=["ingest"], rows=[row], is_group=False, keys=lambda config: {"ingest": "k"})
    unfinished_reasons(target, parse_config({}))
    raise InputError("status was shown", expected="so")


@functools.cache
def saved(value: Any = None, **state: Any) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(value or state, file)
    return file.getvalue()


def payload(protocol: int = 2) -> Callable[[], bytes]:
    def make() -> bytes:
        import torch

        file = io.BytesIO()
        torch.save({"key": "mine", "x": Payload()}, file, pickle_protocol=protocol)
        return file.getvalue()

    return make


def torchscript() -> bytes:
    import torch

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    with tempfile.TemporaryDirectory() as place:
        torch.jit.script(Net()).save(f"{place}/x.pt")
        return Path(f"{place}/x.pt").read_bytes()


def flipped() -> bytes:
    """A checkpoint with one wrong bit among its numbers."""
    import torch

    numbers = torch.arange(4096, dtype=torch.float32)
    data = bytearray(saved(key="mine", iterations=5, step=5, but_length="mine", x=numbers))
    data[data.index(numbers.numpy().tobytes()[100:200]) + 7] ^= 1
    return bytes(data)


def checkpoint(what: str, data: Callable[[], bytes]) -> Case:
    def make(folder: Path) -> None:
        for name in ("checkpoint-0000001.pt", "trained.pt"):
            (folder / name).write_bytes(data())

    return Case("checkpoint", what, make, read_checkpoint)


def weights(what: str, data: Callable[[], bytes]) -> Case:
    return Case("weights", what, lambda folder: written("x.pth", data())(folder), read_weights)


def arrays(what: str, name: str, read: Callable[[Path], Any], expected: str = "refused", **values: Any) -> Case:
    return Case(
        name.removesuffix(".npz"), what, lambda folder: np.savez(folder / name, **{key: np.asarray(value) for key, value in values.items()}), read, expected
    )


def document(name: str, good: dict[str, Any], read: Callable[[Path], Any], good_is: str, **changes: Any) -> list[Case]:
    """A JSON file with each of its entries in turn missing, and of wrong kinds."""
    file = f"{name}.json"

    def case(what: str, text: str, expected: str = "refused") -> Case:
        return Case(file, what, written(file, text), read, expected)

    wrong = [case(f"{key} {what}", json.dumps(good | {key: value})) for key in changes for what, value in changes[key].items()]
    lacking = [case(f"without {key}", json.dumps({other: value for other, value in good.items() if other != key})) for key in good]
    odd = [
        ("a list", "[]"),
        ("a number", "5"),
        ("deep", "[" * 100_000),
        ("nan", json.dumps(good)[:-1] + ', "x": NaN}'),
        ("empty", ""),
        ("5000 digits", '{"cameras": ' + "9" * 5000 + "}"),
    ]
    return [case("good", json.dumps(good), good_is), *wrong, *lacking, *(case(*pair) for pair in odd)]


BAD_CAMERAS = {
    "a number": 5,
    "numbers": [1],
    "name ../x": [CAMERA | {"name": "../x"}],
    "width 10^30": [CAMERA | {"width": 10**30}],
    "K empty": [CAMERA | {"K": []}],
}
BAD_FRAMES = {
    "a number": 5,
    "numbers": [1],
    "id ../x": [FRAME | {"id": "../../x", "split": "train"}],
    "id a list": [FRAME | {"id": ["a", "/b"], "split": "train"}],
}
MANIFESTS = {
    "a list": "[]", "deep": "[" * 100_000, "outputs a number": '{"key": "k", "outputs": 5}', "outputs numbers": '{"key": "k", "outputs": {"a": 5}}',
    "sources a list": '{"key": "k", "sources": [1]}', "name with a null": '{"key": "k", "outputs": {"a\\u0000b": {"size": 1}}}', "not UTF-8": "\udcff",
    "timing a number": '{"key": "k", "timing": 5}', "timing text": '{"key": "k", "timing": {"seconds": "x", "peak_memory_mb": "y"}}', "warnings a number": '{"warnings": 5}',
    "settings missing": '{"defaults": {"a": 1}}', "facts a list": '{"facts": [1], "timing": {}}', "5000 digits": '{"key": ' + "9" * 5000 + "}", "nan": '{"timing": {"seconds": NaN}}',
    "defaults a list": '{"defaults": [1]}', "preset a list": '{"preset": [1]}', "seconds 10^400": '{"timing": {"seconds": 1' + "0" * 400 + "}}",
}  # fmt: skip
METRICS = {
    "a list": "[]", "splits numbers": '{"val": 5}', "psnr text": '{"val": {"psnr_box": "x"}}', "images a number": '{"images": 5}', "images numbers": '{"images": [1]}',
    "image of another folder": '{"images": [{"split": "val", "subject": "../../..", "camera": "../x", "frame": "x", "psnr": 1}]}', "splats a list": '{"splats": [1]}',
    "psnr of different kinds": '{"images": [{"split": "val", "psnr": "x"}, {"split": "val", "psnr": 1}]}', "deep": "[" * 100_000,
}  # fmt: skip
ERRORS = {
    "a list": "[]",
    "message empty": '{"message": ""}',
    "message a number": '{"message": 5}',
    "attempt text": '{"message": "x", "attempt": "y", "log": 5}',
    "log numbers": '{"log": [1]}',
}
KEYS = {"cameras": ["a"], "frames": ["f"], "face": np.zeros((1, 1, 478, 3), np.float32), "pose": np.zeros((1, 1, 33, 3), np.float32)}
COLORS = {"cameras": ["a"], "camera_subject": [0], "camera_color": np.zeros((1, 3, 4))}
CASES = [
    *document(
        "frames",
        IMAGES,
        read_images,
        "refused",
        cameras=BAD_CAMERAS,
        frames=BAD_FRAMES,
        archives={"a list": [1], "numbers": {"a": 5}, "size text": {"a": {"size": "x", "sha256": "y"}}},
        facts={"a number": 5},
    ),
    *document(
        "capture",
        CAPTURE,
        read_capture,
        "accepted",
        cameras=BAD_CAMERAS,
        sequences={"a list": [1], "numbers": {"a": 5}, "named ../x": {"../x": SEQUENCES["take"]}, "without videos": {"a": {"frames": 1, "sync": {}}}},
        fps={"text": "x"},
        color={"a list": [1], "matrix text": {"a": {"kind": "affine", "matrix": "x"}}},
        plates={"numbers": {"a": 5}},
    ),
    *document("sample", SAMPLE, read_sample, "accepted", cameras={"a list": [1], "named ../x": {"../x": "train"}}, frames=BAD_FRAMES),
    arrays("good", "keypoints.npz", read_keypoints, "accepted", **KEYS),
    arrays("of another number of frames", "keypoints.npz", read_keypoints, **(KEYS | {"frames": ["f", "g"]})),
    arrays("of another number of points", "keypoints.npz", read_keypoints, **(KEYS | {"face": np.zeros((1, 1, 68, 3))})),
    arrays("text", "keypoints.npz", read_keypoints, **(KEYS | {"face": np.full((1, 1, 478, 3), "x")})),
    arrays("objects", "keypoints.npz", read_keypoints, **(KEYS | {"face": np.full((1, 1, 478, 3), None)})),
    arrays("names numbers", "keypoints.npz", read_keypoints, **(KEYS | {"cameras": [5]})),
    arrays("good colours", "avatar.npz", read_avatar_colors, "accepted", **COLORS),
    arrays("colours short", "avatar.npz", read_avatar_colors, **(COLORS | {"cameras": ["a", "b"]})),
    arrays("colours text", "avatar.npz", read_avatar_colors, **(COLORS | {"camera_color": np.full((1, 3, 4), "x")})),
    checkpoint("a pickle that runs a command", payload()),
    checkpoint("the same, protocol 4", payload(4)),
    checkpoint("a bare pickle", lambda: pickle.dumps(Payload())),
    checkpoint("a TorchScript file", torchscript),
    checkpoint("truncated", lambda: saved(key="mine", iterations=5, step=5, x=tuple(range(2000)))[:2000]),
    checkpoint("one wrong bit", flipped),
    checkpoint("a list", lambda: saved((1, 2, 3))),
    checkpoint("a number", lambda: saved(5)),
    checkpoint("another key", lambda: saved(key="yours", but_length="yours", iterations=5, step=5)),
    checkpoint("empty", bytes),
    checkpoint("zeros", lambda: bytes(10_000)),
    weights("a pickle that runs a command", payload()),
    weights("a bare pickle", lambda: pickle.dumps(Payload())),
    weights("a TorchScript file", torchscript),
    weights("a list", lambda: saved((1, 2, 3))),
    weights("other tensors", lambda: saved(a=1)),
    weights("numbers for tensors", lambda: saved(**{"features.0.weight": 5})),
    weights("empty", bytes),
    *(
        Case("manifest", what, lambda folder, text=text: pages("results/anna/manifests/*.json", text.encode("utf-8", "replace").decode())(folder), read_pages)
        for what, text in MANIFESTS.items()
    ),
    *(
        Case("status", what, lambda folder, text=text: pages("results/anna/manifests/*.json", text.encode("utf-8", "replace").decode())(folder), read_staleness)
        for what, text in MANIFESTS.items()
    ),
    *(Case("metrics", what, pages("results/anna/rigged/metrics.json", text), read_pages) for what, text in METRICS.items()),
    *(Case("error file", what, pages("work/anna/errors/*.json", text), read_pages) for what, text in ERRORS.items()),
    *(
        Case("training log", what, pages("results/anna/rigged/train.csv", text), read_pages)
        for what, text in {"empty": "", "zeros": "\0" * 99, "text": "a,b\nx\n", "ragged": "a,b\n1,2,3,4\n1\n", "no numbers": "step,loss\nx,y\n"}.items()
    ),
]
random.seed(0)
