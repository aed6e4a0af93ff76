"""docs/avatar-files.md: its example runs as it is written, and its lists are those of the files."""

import re
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, write_image_set
from pipeline.io.arrays import save_npz
from pipeline.io.files import ROOT
from pipeline.io.packed import packed_writer

PAGE = (ROOT / "docs" / "avatar-files.md").read_text()
FRONT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # a camera in front of the face looks along +y


@pytest.fixture(scope="module")
def model():
    return load_model("anny_head")


@pytest.fixture
def results(tmp_path, model):
    """A head with a splat on each triangle, and a camera in front of it."""
    place, count = tmp_path / "results" / "demo", len(model.faces)
    quats = np.zeros((count, 4), np.float32)
    quats[:, 0] = 1
    splats = {"binding": np.arange(count), "means": np.zeros((count, 3)), "quats": quats, "log_scales": np.full((count, 3), -0.7)}
    splats |= {"opacities": np.full(count, 4.0), "sh_dc": np.zeros((count, 1, 3)), "sh_rest": np.zeros((count, 0, 3))}
    body = {"model": np.array("anny_head"), "frames": np.array(["a_000000"]), "scale": np.array(1.0), "identity": np.zeros(200)}
    body |= {"offsets": np.zeros((model.vertex_count, 3)), "pose": np.zeros((1, 14, 3)), "expression": np.zeros((1, 52)), "translation": np.zeros((1, 3))}
    save_npz(place / "rigged" / "avatar.npz", {name: a if a.dtype.kind in "iU" else a.astype(np.float32) for name, a in (splats | body).items()})
    camera = Camera("front", 96, 128, np.array([[200.0, 0, 48], [0, 200, 64], [0, 0, 1]]), FRONT, FRONT @ np.array([0, 0.6, 0]))
    with packed_writer(place / "alpha" / "front.zip") as images:
        images.add("a_000000", np.zeros((128, 96, 4), np.uint8))
    write_image_set(place / "alpha.json", place / "alpha", (camera,), (Frame("a_000000", "a", 0, 0.0),), {})
    return place


def run(code: str, folder: Path, monkeypatch) -> np.ndarray:
    monkeypatch.chdir(folder)
    (folder / "pose.py").write_text(code)
    runpy.run_path("pose.py")
    return cv2.imread("pose.png").astype(int)


def test_the_example_opens_the_mouth(results, monkeypatch):
    code = re.search("```python\n(.*?)```", PAGE, re.DOTALL)[1]
    opened, closed = (run(text, results.parents[1], monkeypatch) for text in (code, code.replace("= 0.8", "= 0.0")))
    assert opened.shape == (128, 96, 3) and (opened < 200).any(-1).mean() > 0.2, "a head is seen over white"
    changed = np.flatnonzero(np.abs(opened - closed).max(-1).max(1) > 20)
    seen = np.flatnonzero((closed < 200).any(-1).any(1))
    assert len(changed), "the weight moves the jaw"
    assert changed.min() > seen.min() + 10, "the top of the head stays"


def test_the_expressions_are_listed_in_the_order_of_the_model(model):
    listed = PAGE.partition("in this order:")[2].partition("##")[0]
    assert tuple(re.findall("`(.*?)`", listed)) == model.expression_names and len(model.expression_names) == 52


def test_the_arrays_of_the_page_are_those_of_the_file(results):
    table = PAGE.partition("## avatar.npz")[2].partition("`posed vertex")[0]
    named = set(re.findall("`(.*?)`", " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))))
    with np.load(results / "rigged" / "avatar.npz") as arrays:
        assert named == set(arrays) | {"method", "cameras", "camera_subject", "camera_color"}
