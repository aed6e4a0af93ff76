"""The matting backends behind one interface, and the stage that runs them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.avatars.registry import method_of
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, frame_id, read_image_set, write_image_set
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import InputError
from pipeline.io.packed import PackedImages, packed_writer, read_image
from pipeline.vision.matting.backends import choose_matting
from pipeline.vision.matting.matte_camera import matte_camera
from pipeline.vision.matting.plate import PlateMatting
from pipeline.vision.settings import MatteSettings
from tests.unit.stage_jobs import run_stage

DATA = Path(os.environ.get("C2A_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
HEIGHT, WIDTH = 60, 50
HEAD = CaptureRow("box", "rig", Path("raw"))
FRAMES = tuple(Frame(frame_id("take", i), "take", i, i / 10) for i in range(3))


def _image(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A red box that moves before a noisy grey wall, and the wall."""
    generator = np.random.default_rng(index)
    wall = np.random.default_rng(99).uniform(90, 150, (HEIGHT, WIDTH, 3))
    image = wall + generator.normal(0, 1.5, wall.shape)
    image[15:45, 10 + index : 30 + index] = (200, 40, 30)
    return np.clip(image, 0, 255).astype(np.uint8), wall.astype(np.uint8)


@pytest.fixture
def layout(tmp_path) -> Layout:
    """Two cameras with plates, three frames, of which two are sampled."""
    layout = Layout(tmp_path / "results/box", tmp_path / "work/box")
    cameras = tuple(Camera(name, WIDTH, HEIGHT, np.eye(3), np.eye(3), np.zeros(3)) for name in ("a", "b"))
    for camera in cameras:
        with packed_writer(layout.frames / f"{camera.name}.zip") as writer:
            for frame in FRAMES:
                writer.add(frame.id, _image(frame.frame)[0])
            writer.add("plate", _image(0)[1])
            writer.add("visible", np.full((HEIGHT, WIDTH), 255, np.uint8))
    write_image_set(layout.frames_json, layout.frames, cameras, FRAMES, {})
    sample = {"seed": 0, "frames": [{"id": FRAMES[0].id, "split": "train"}, {"id": FRAMES[2].id, "split": "test"}], "cameras": {"a": "train", "b": "val"}}
    layout.sample.write_text(json.dumps(sample | {"dropped": [], "rules": []}))
    return layout


def test_stage_mattes_the_sampled_frames_of_every_camera(layout):
    facts = run_stage("matte", MatteSettings(), layout, HEAD)
    mattes = read_image_set(layout.alpha_json, layout.alpha)
    mattes.verify()
    assert [frame.id for frame in mattes.frames] == [FRAMES[0].id, FRAMES[2].id]
    for camera in ("a", "b"):
        alpha = mattes.open(camera).read(FRAMES[2].id)[..., 3]
        truth = np.zeros((HEIGHT, WIDTH), bool)
        truth[15:45, 12:32] = True
        assert ((alpha > 127) == truth).mean() > 0.99
        assert facts["cameras"][camera]["mean_alpha"] == pytest.approx(0.2, abs=0.01)
        np.testing.assert_allclose(facts["cameras"][camera]["gain"], 1, atol=0.01)
    assert not list(layout.work.iterdir())


@pytest.mark.parametrize(
    ("person", "model", "expected"), [("auto", "head", "never"), ("auto", "body", "always"), ("always", "head", "always"), ("never", "body", "never")]
)
def test_only_body_captures_get_a_person_segmentation_by_default(layout, monkeypatch, person, model, expected):
    class Stop(Exception):
        pass

    def look(function, jobs, threads, title):
        assert {job[0].person for job in jobs} == {expected}
        raise Stop

    monkeypatch.setattr("pipeline.io.parallel.map_processes", look)
    with pytest.raises(Stop):
        run_stage("matte", MatteSettings(person=person), layout, replace(HEAD, model=model))


def test_same_input_gives_the_same_bytes(layout):
    run_stage("matte", MatteSettings(), layout, HEAD)
    first = layout.alpha_json.read_bytes()
    run_stage("matte", MatteSettings(), layout, HEAD)
    assert layout.alpha_json.read_bytes() == first


@pytest.mark.parametrize(("version", "again"), [(CAPTURE_STAGES["matte"].version, 2), (-1, 4)])
def test_a_finished_camera_survives_a_failure_and_no_new_version(layout, monkeypatch, version, again):
    calls = []
    plain = PlateMatting.matte

    def failing(self, image, plate, visible=None):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(self, image, plate, visible)

    monkeypatch.setattr(PlateMatting, "matte", failing)
    with pytest.raises(KeyboardInterrupt):
        run_stage("matte", MatteSettings(), layout, HEAD)
    assert not layout.alpha.exists() and len(calls) == 4  # camera a twice, b's first, the interruption
    monkeypatch.setitem(method_of(layout.method).table, "matte", replace(CAPTURE_STAGES["matte"], version=version))
    run_stage("matte", MatteSettings(), layout, HEAD)
    assert len(calls) == 4 + again


def test_nothing_but_background_is_an_error(layout):
    for name in ("a", "b"):
        with packed_writer(layout.frames / f"{name}.zip") as writer:
            for frame in FRAMES:
                writer.add(frame.id, _image(0)[1])
            writer.add("plate", _image(0)[1])
    images = read_image_set(layout.frames_json, layout.frames)
    write_image_set(layout.frames_json, layout.frames, images.cameras, images.frames, {})
    with pytest.raises(InputError, match="found no subject"):
        run_stage("matte", MatteSettings(), layout, HEAD)
    assert not layout.alpha_json.exists()


def test_a_changed_input_is_named(layout):
    (layout.frames / "b.zip").write_bytes((layout.frames / "a.zip").read_bytes()[:-1])
    with pytest.raises(InputError, match="b.zip"):
        run_stage("matte", MatteSettings(), layout, HEAD)


def test_backends_that_need_a_plate_say_so():
    for backend in ("plate", "bgm2"):
        with pytest.raises(InputError, match="cam7 has no clean plate"):
            choose_matting(MatteSettings(backend=backend), None, "cam7")
    assert choose_matting(MatteSettings(), np.zeros((4, 4, 3), np.uint8), "cam7").name == "plate"


class _ScriptedMatting(torch.nn.Module):
    """Stub network: alpha where the image differs from the plate."""

    def __init__(self):
        super().__init__()
        self.backbone_scale = 0.5
        self.refine_mode = "full"
        self.refine_sample_pixels = 1

    def forward(self, src: torch.Tensor, bgr: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float, int]:
        assert src.shape[2] % 4 == 0 and src.shape[3] % 4 == 0
        alpha = ((src - bgr).abs().amax(1, keepdim=True) > 0.2).float()
        return alpha, src * alpha, self.backbone_scale, self.refine_sample_pixels


def test_bgm2_runs_a_users_torchscript_file(tmp_path):
    checkpoint = tmp_path / "model.pth"
    torch.jit.script(_ScriptedMatting()).save(str(checkpoint))
    image, plate = (x[:57, :49] for x in _image(1))  # sizes that 4 does not divide
    matting = choose_matting(
        MatteSettings(backend="bgm2", trust_model_files=True, checkpoint=str(checkpoint), backbone_scale=0.125, refine_pixels=77), plate, "a"
    )
    rgba = matting.matte(image, plate).rgba
    assert rgba.shape == (57, 49, 4) and rgba[30, 20, 3] == 255 and rgba[5, 5, 3] == 0
    np.testing.assert_array_equal(rgba[30, 20, :3], image[30, 20])
    assert matting._model.backbone_scale == 0.125 and matting._model.refine_sample_pixels == 77


def test_bgm2_refuses_weights_without_architecture(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "state.pth")
    with pytest.raises(InputError, match="TorchScript"):
        choose_matting(MatteSettings(backend="bgm2", trust_model_files=True, checkpoint=str(tmp_path / "state.pth")), np.zeros((4, 4, 3), np.uint8), "a")
    with pytest.raises(InputError, match="checkpoint"):
        choose_matting(MatteSettings(backend="bgm2"), np.zeros((4, 4, 3), np.uint8), "a")


def test_selfie_matting_finds_a_person_without_a_plate(tmp_path, capfd):
    photo = DATA / "face-photo-nasa/astronaut.png"
    if not photo.is_file():
        pytest.skip("no photograph: shared data is absent")
    with packed_writer(tmp_path / "cam.zip") as writer:
        writer.add("photo", read_image(photo))
    facts = matte_camera(MatteSettings(), tmp_path / "cam.zip", ["photo"], tmp_path / "alpha.zip")
    assert facts["backend"] == "selfie" and 0.3 < facts["mean_alpha"] < 0.7
    alpha = PackedImages(tmp_path / "alpha.zip").read("photo")[..., 3]
    assert alpha[120, 220] == 255 and alpha[450, 250] == 255  # forehead, chest
    assert alpha[:150, 400:].max() == 0 and alpha[20:200, :60].max() == 0  # shuttle, flag
    assert capfd.readouterr().err == ""
