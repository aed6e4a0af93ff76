"""How fast an avatar is drawn: what is measured, and that it needs none of the command line's packages."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.benchmark import WAYS, Protocol, benchmark, table
from pipeline.avatars.orbit import circle
from pipeline.avatars.replay import CHECK_EVERY, Replay
from pipeline.avatars.view import view_image
from pipeline.avatars.view_options import ViewOptions
from pipeline.body.model import load_model
from pipeline.io.arrays import save_npz
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT
from pipeline.splat.splats import Views
from pipeline.workflow.benchmark_verb import measure
from pipeline.workflow.run_options import RunOptions
from tests.unit import rigged_toy

SMALL = Protocol(width=32, height=40, frames=4, rounds=3, batch=2)


def test_the_protocols_camera_is_the_published_one():
    camera = Protocol().camera()
    assert (camera.width, camera.height) == (550, 802)
    assert 2 * np.degrees(np.arctan(camera.height / 2 / camera.K[1, 1])) == pytest.approx(20) and camera.K[0, 0] == camera.K[1, 1]
    assert camera.K[:2, 2].tolist() == [275, 401] and (Protocol().frames, Protocol().rounds, Protocol().radius, Protocol().batch) == (500, 3, 1.0, 16)


def test_a_circle_goes_around_at_its_distance_and_begins_in_front():
    target, forward, up = np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.5, 2]), np.array([0, 2.0, 0])
    cameras = circle(Protocol().camera(), target, forward, up, 1.5, 8)
    offsets = np.stack([camera.centre - target for camera in cameras])
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), 1.5)
    np.testing.assert_allclose(offsets.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(offsets[0] / 1.5, np.array([1, 0, 2]) / np.sqrt(5))  # forward, without its part along the axis
    for camera in cameras:
        np.testing.assert_allclose(camera.project(target), [275, 401])
        assert camera.R[1] @ up < 0 and np.linalg.det(camera.R) == pytest.approx(1)


def test_all_ways_are_timed_and_the_median_of_the_rounds_counts(monkeypatch):
    clock = iter(np.cumsum([0.0, 1.0, 0.0, 4.0, 0.0, 2.0] * 6).tolist())  # rounds of 1, 4 and 2 seconds
    monkeypatch.setattr("pipeline.avatars.benchmark.time.perf_counter", lambda: next(clock))
    drawn = []
    avatar = rigged_toy.avatar().eval()
    original = avatar.draw
    monkeypatch.setattr(avatar, "draw", lambda *arguments: drawn.append(len(arguments[1])) or original(*arguments))
    figures = benchmark(avatar, torch.device("cpu"), SMALL)
    for scenes in figures["ways"].values():
        images = 4  # 4 frames, or 2 batches of 2 views
        for scene in ("still", "moving"):
            assert scenes[scene]["rounds"] == [round(images / seconds, 2) for seconds in (1, 4, 2)] and scenes[scene]["fps"] == images / 2
            assert scenes[scene]["spread"] == pytest.approx((images - images / 4) / (images / 2))
    assert set(figures["ways"]) == {"viewer", "drawn", "batch"} and figures["splats"] == 300 and figures["frames_of_subject"] == 3
    assert drawn.count(2) == 2 * 2 * 3 + 1 + 2 and drawn.count(1) == 2 * (2 * 4 * 3) + 2 * (1 + 4)  # both scenes, and the warm-ups of 1 step and of all
    shown = table(figures)
    assert "300 splats, 32x40, 3 rounds of 4 frames" in shown and all(f"\n{way}" in shown and WAYS[way] in shown for way in figures["ways"])


@torch.no_grad()
def test_a_replay_draws_what_posing_and_drawing_draws():
    """On the CPU it runs step by step; as a graph the same in tests/gpu."""
    avatar = rigged_toy.avatar().eval()
    cameras = circle(SMALL.camera(), np.zeros(3), np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), 0.6, 3)
    replay = Replay(avatar, 0, (SMALL.width, SMALL.height), 2, torch.device("cpu"))
    for i in range(CHECK_EVERY + 2):
        drawn = replay(i % 3, [cameras[i % 3], cameras[(i + 1) % 3]])
        if i in (0, 1, CHECK_EVERY + 1):
            expected = avatar.draw(avatar.pose(i % 3), Views.from_cameras([cameras[i % 3], cameras[(i + 1) % 3]]))
            assert torch.equal(drawn.image, expected.image) and drawn.image.max() > 0.2


@torch.no_grad()
def test_images_of_a_replay_are_those_of_a_view():
    avatar, cpu = rigged_toy.avatar().eval(), torch.device("cpu")
    camera, other = circle(SMALL.camera(), np.zeros(3), np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), 0.6, 2)
    pose = avatar.body_of(0).pose_at(1)
    opened = replace(pose, expression=pose.expression + 1, rotations=pose.rotations - 0.3)
    for first, more in ((0, (2, 1)), (pose, (opened, pose))):
        replay = Replay(avatar, first, (SMALL.width, SMALL.height), 1, cpu, with_bytes=True)
        for at, seen, background in ((first, camera, (255, 255, 255)), *((at, other, (0, 51, 102)) for at in more)):
            image = replay.image(at, seen, tuple(value / 255 for value in background))
            expected = view_image(avatar, at, seen, ViewOptions(background=background))
            assert np.abs(image.astype(int) - expected).max() <= 1 and image[..., 3].max() > 200


@pytest.fixture
def head(tmp_path):
    """An avatar.npz of a head with a splat on each triangle."""
    model = load_model("anny_head")
    count = len(model.faces)
    splats = {"binding": np.arange(count), "means": np.zeros((count, 3)), "quats": np.tile([1.0, 0, 0, 0], (count, 1)), "log_scales": np.full((count, 3), -0.7)}
    splats |= {"opacities": np.full(count, 4.0), "sh_dc": np.zeros((count, 1, 3)), "sh_rest": np.zeros((count, 0, 3)), "method": np.array("rigged")}
    body = {"model": np.array("anny_head"), "frames": np.array(["a_000000", "a_000001"]), "scale": np.array(1.0), "identity": np.zeros(200)}
    body |= {"offsets": np.zeros((model.vertex_count, 3)), "pose": np.zeros((2, 14, 3)), "expression": np.zeros((2, 52)), "translation": np.zeros((2, 3))}
    path = tmp_path / "results" / "anna" / "rigged" / "avatar.npz"
    save_npz(path, {name: a if a.dtype.kind in "iU" else a.astype(np.float32) for name, a in (splats | body).items()})
    return path


def test_it_runs_without_the_packages_of_the_command_line(head, tmp_path):
    code = (
        "import sys\n"
        "for name in ('tyro', 'rich', 'pydantic', 'pandas', 'av', 'snakemake', 'mediapipe', 'tensorboard'): sys.modules[name] = None\n"
        f"sys.argv = ['benchmark', {str(head)!r}, '--device', 'cpu', '--images', '1', '--rounds', '1', '--out', {str(tmp_path / 'speed.json')!r}]\n"
        "from pipeline.avatars.benchmark import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "speed.json").read_text())
    assert figures["splats"] == 11366 and figures["ways"]["drawn"]["still"]["fps"] > 0 and "11366 splats, 550x802" in done.stdout


def test_the_verb_measures_an_avatar_of_results_and_names_what_is_wrong(head, tmp_path, capsys, monkeypatch):
    asked = {}
    figures = {"device": "cpu", "splats": 3, "protocol": vars(SMALL), "ways": {"drawn": dict.fromkeys(("still", "moving"), {"fps": 7.0, "spread": 0.1})}}
    monkeypatch.setattr("pipeline.avatars.benchmark.benchmark_file", lambda *arguments: asked.update(arguments=arguments) or figures)
    options = RunOptions(("anna",), results=tmp_path / "results", work=tmp_path / "work", sets=("render.device=cpu",), here=tmp_path)
    measure("anna", options, "", None, 5, 2, tmp_path / "speed.json")
    assert asked["arguments"] == (head, "cpu", 5, 2, "") and json.loads((tmp_path / "speed.json").read_text()) == figures
    assert "7.0" in capsys.readouterr().out
    for change, expected in (({"frames": 0}, "--images out of range"), ({"rounds": 0}, "--rounds out of range"), ({"out": tmp_path / "a.txt"}, "as JSON")):
        values = {"frames": 5, "rounds": 2, "out": None} | change
        with pytest.raises(InputError, match=expected):
            measure("anna", options, "", None, values["frames"], values["rounds"], values["out"])
    with pytest.raises(InputError, match="no avatar of 'bob'"):
        measure("bob", replace(options, names=("bob",)), "", None, None, 3, None)
    with pytest.raises(InputError, match="no avatar of 'anna'(?s:.*)found: +rigged\n(?s:.*)--method and --name"):
        measure("anna", replace(options, method="static"), "", None, None, 3, None)
    with pytest.raises(InputError, match="names no capture(?s:.*)results/anna/avatar.npz(?s:.*)view and export take files"):
        measure("results/anna/avatar.npz", replace(options, names=("results/anna/avatar.npz",)), "", None, None, 3, None)
