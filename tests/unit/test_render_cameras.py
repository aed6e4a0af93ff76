"""`./c2a render`: what the options mean, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.initialise import initial_splats
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.settings import InitSettings
from pipeline.avatars.settings import RenderSettings
from pipeline.avatars.view import PosedView, ViewOptions
from pipeline.capture.calibration import write_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.processed import ImageSet, read_image_set
from pipeline.capture.record import Capture, write_capture
from pipeline.capture.trajectory import Step, Trajectory, write_trajectory
from pipeline.cli.render_options import Cameras, Files, Look
from pipeline.contract.layout import Layout
from pipeline.io.arrays import save_npz
from pipeline.io.errors import InputError
from pipeline.io.packed import over_background, read_image
from pipeline.io.video import probe
from pipeline.stages.shot_cameras import cameras_of
from pipeline.workflow.render_verb import render_avatar
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.shot_options import camera_request, output_paths, view_options
from tests.unit import rigged_toy, show_example

K = np.array([[200.0, 0, 64], [0, 200, 94], [0, 0, 1]])
TRAIN, TEST = [f"EMO_{i:06d}" for i in range(3)], ["SEN_000010", "SEN_000011"]


def camera(name, dist=(), width=128):
    return Camera(name, width, 188, K=K, R=np.eye(3), t=np.array([0, 0, 2.0]), dist=dist)


@pytest.fixture
def files(tmp_path):
    layout = Layout(tmp_path / "results" / "a", tmp_path / "work" / "a")
    capture = Capture("a", "rig", 30.0, (camera("left", (0.1, 0, 0, 0)), camera("right", width=256)), {}, {}, {}, None, ())
    layout.results.mkdir(parents=True)
    write_capture(layout.capture, capture)
    return layout


def opencv(folder, name):
    node = "%YAML:1.0\n---\n"

    def matrix(key, values, rows):
        data = ", ".join(f"{value:.3f}" for value in np.ravel(values))
        return f"{key}: !!opencv-matrix\n   rows: {rows}\n   cols: {np.size(values) // rows}\n   dt: d\n   data: [ {data} ]\n"

    names = f'names:\n   - "{name}"\n'
    (folder / "intri.yml").write_text(node + names + matrix(f"K_{name}", K, 3) + matrix(f"dist_{name}", np.zeros(4), 1))
    (folder / "extri.yml").write_text(node + names + matrix(f"R_{name}", np.zeros(3), 3) + matrix(f"T_{name}", [0, 0, 2], 3))
    return folder / "intri.yml"


def test_those_of_the_results_are_taken_without_their_distortion(files, capsys):
    cameras = cameras_of(files.capture, files)
    assert [(c.name, c.width, c.dist) for c in cameras] == [("left", 128, ()), ("right", 256, ())]
    assert "without their distortion (dist): left" in capsys.readouterr().err


def test_a_size_that_the_calibration_lacks_is_that_of_the_captures_camera(files, tmp_path):
    assert [(c.name, c.width, c.height) for c in cameras_of(opencv(tmp_path, "right"), files)] == [("right", 256, 188)]
    with pytest.raises(InputError, match="camera 'top' has no image size") as error:
        cameras_of(opencv(tmp_path, "top"), files)
    assert "W_top" in str(error.value) and "next:" in str(error.value)


def test_a_calibration_file_is_read_and_what_is_none_is_named(files, tmp_path):
    write_calibration(tmp_path / "mine.json", [camera("mine")])
    assert [c.name for c in cameras_of(tmp_path / "mine.json", files)] == ["mine"]
    (tmp_path / "frames.json").write_text('{"cameras": [{"name": "x"}]}')
    with pytest.raises(InputError, match="holds no cameras"):
        cameras_of(tmp_path / "frames.json", files)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A capture of three cameras and five frames, and an avatar of it, cam_a of which has a colour correction."""
    layout = show_example.make(tmp_path_factory.mktemp("render"))
    rows = {name: np.resize(value, (5, *value.shape[1:])) for name, value in rigged_toy.fit().items() if name in ("pose", "expression", "translation")}
    avatar = RiggedAvatar(PosedBody(rigged_toy.model(), {**rigged_toy.fit(), **rows, "frames": np.array(TRAIN + TEST)}), "example")
    avatar.initialise(initial_splats(avatar.body, ImageSet(None, (), (), {}, {}), (), TRAIN, InitSettings(splats=300)))
    red = np.eye(3, 4) + np.array([0, 0, 0, 0.4]) * np.array([[1], [0], [0]])
    colors = {"method": np.array("rigged"), "cameras": np.array(["cam_a"]), "camera_subject": np.array([0]), "camera_color": red[None].astype(np.float32)}
    save_npz(layout.avatar, colors)
    return SimpleNamespace(layout=layout, avatar=avatar.eval())


@pytest.fixture
def render(trained, tmp_path, monkeypatch):
    """Renders with the options of the command line, given as fields; returns the folder of the images, tmp_path / "out"."""
    monkeypatch.setattr("pipeline.avatars.avatar_file.method_of", lambda name: SimpleNamespace(function=lambda _: lambda *_, **__: trained.avatar))

    def call(frames="all", out="out", **values):
        chosen = [kind(**{name: value for name, value in values.items() if name in kind.__dataclass_fields__}) for kind in (Cameras, Look, Files)]
        options = RunOptions(("example",), results=trained.layout.results.parent, work=tmp_path / "work", sets=("train.device=cpu",), here=tmp_path)
        render_avatar("example", options, chosen[0], chosen[1], replace(chosen[2], out=out and tmp_path / out), frames, "")
        return tmp_path / "out"

    return call


def written(folder):
    return {path.name: sorted(file.stem for file in path.iterdir()) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"split": "train"}, {"cam_a": TRAIN, "cam_b": TRAIN}),
        ({"split": "val"}, {"cam_v": TRAIN}),
        ({"split": "test"}, {"cam_a": TEST, "cam_b": TEST, "cam_v": TEST}),
        ({"split": "test", "camera": "cam_v, cam_a", "frames": "1:"}, {"cam_a": TEST[1:], "cam_v": TEST[1:]}),
        ({"camera": "cam_b", "frames": "1:4"}, {"cam_b": [*TRAIN[1:], TEST[0]]}),
        ({"frames": f"{TEST[1]},{TRAIN[0]}"}, {"front": [TRAIN[0], TEST[1]]}),
        ({"cameras": "val"}, {"cam_v": TRAIN}),  # as --cameras was before
        ({"cameras": "front", "frames": ":1"}, {"front": TRAIN[:1]}),
    ],
)
def test_which_cameras_see_which_frames(render, values, expected):
    assert written(render(**values)) == expected


def test_training_cameras_show_their_own_colours_and_others_the_avatars(render, trained):
    folder = render(split="test", frames=TEST[0])
    cameras = read_image_set(trained.layout.alpha_json, trained.layout.alpha).by_name
    plain = PosedView(trained.avatar, 3)
    for name in ("cam_b", "cam_v"):
        assert np.array_equal(read_image(folder / name / f"{TEST[0]}.png"), plain.image(cameras[name])[..., :3])
    own, redder = plain.image(cameras["cam_a"]).astype(float), read_image(folder / "cam_a" / f"{TEST[0]}.png")
    expected = np.minimum(own[..., 0] + 0.4 * own[..., 3], 255)
    assert np.abs(redder[..., 0] - expected).max() <= 1.5 and np.array_equal(redder[..., 1:], own[..., 1:3])


def test_the_truth_has_the_names_and_the_background_of_the_renders(render, trained, tmp_path):
    folder = render(split="val", frames=":2", truth=tmp_path / "truth", beside_truth=True, background="0,0,255")
    assert written(tmp_path / "truth") == written(folder) == {"cam_v": TRAIN[:2]}
    processed = read_image_set(trained.layout.alpha_json, trained.layout.alpha).open("cam_v").read(TRAIN[1])
    truth, both = (read_image(place / "cam_v" / f"{TRAIN[1]}.png") for place in (tmp_path / "truth", folder))
    assert np.array_equal(truth, over_background(processed, (0, 0, 255))) and np.array_equal(both[:, :48], truth) and both.shape == (64, 96, 3)
    assert (both[0, 48:] == (0, 0, 255)).all()


def test_mattes_and_depth_are_written_beside_the_images(render, trained):
    folder = render(camera="cam_v", frames=TRAIN[0], alpha=True, depth=True, mesh=0.5) / "cam_v"
    cam = read_image_set(trained.layout.alpha_json, trained.layout.alpha).by_name["cam_v"]
    depth = cv2.imread(str(folder / f"{TRAIN[0]}_depth.png"), cv2.IMREAD_UNCHANGED)
    view = PosedView(trained.avatar, 0, ViewOptions(mesh_opacity=0.5))
    assert depth.dtype == np.uint16 and np.abs(depth - 1000.0 * view.depth(cam)).max() <= 0.5 and 800 < depth[depth > 0].min() < depth.max() < 1100
    alpha = cv2.imread(str(folder / f"{TRAIN[0]}_alpha.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(alpha, view.image(cam)[..., 3])


def test_another_size_shows_the_whole_view_in_the_middle(render):
    wide, own = (read_image(render(camera="cam_v", frames=TRAIN[0], size=size, out=out) / ".." / out / "cam_v" / f"{TRAIN[0]}.png")
                 for size, out in (("200x128", "out"), ("", "own")))  # fmt: skip
    assert wide.shape == (128, 200, 3) and (wide[:, :50] == 255).all() and (wide[:, -50:] == 255).all()
    shrunk = cv2.resize(wide[:, 52:-52], (48, 64), interpolation=cv2.INTER_AREA).astype(float)  # (200 - 2 * 48) / 2 columns at each side
    assert np.abs(shrunk - own).mean() < 3 and (own < 250).any()


def test_a_fitted_camera_keeps_directions():
    before = camera("x")
    after = before.fitted(300, 94)
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(after.project(points) - (150, 47), (before.project(points) - (64, 94)) * 0.5)


def test_a_path_says_what_the_avatar_does_and_an_orbit_plays_forth_and_back(render, trained, tmp_path):
    cam = read_image_set(trained.layout.alpha_json, trained.layout.alpha).by_name["cam_v"]
    steps = [Step(cam, frame) for frame in (TEST[1], 2, None, None, None, None)]
    write_trajectory(tmp_path / "path.json", Trajectory(steps, 12.0))
    folder = render(trajectory=tmp_path / "path.json", frames="0:3", video=tmp_path / "path.mp4") / "trajectory"
    expected = [4, 2, 2, 1, 0, 1]  # the last four go forth and back through three frames, by their number in the path
    for i, frame in enumerate(expected):
        assert np.array_equal(read_image(folder / f"{i:06d}.png"), PosedView(trained.avatar, frame).image(cam)[..., :3]), i
    assert probe(tmp_path / "path.mp4").fps == 12
    write_trajectory(tmp_path / "path.json", Trajectory([Step(cam, 5)]))
    with pytest.raises(InputError, match="image 0 of the camera path: no such frame"):
        render(trajectory=tmp_path / "path.json")
    assert len(written(render(orbit=True, out="orbit") / ".." / "orbit")["orbit"]) == RenderSettings().orbit_frames


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"frames": "EMO_000009"}, "no such frame: EMO_000009"),
        ({"frames": "9:12"}, "no such frame: 9:12"),
        ({"frames": f"{TEST[0]}", "split": "train"}, f"no such frame: {TEST[0]}"),
        ({"camera": "cam_x"}, "no such camera: cam_x(?s:.*)cam_a, cam_b, cam_v"),
        ({"camera": "cam_a", "split": "val"}, "no such camera: cam_a"),
        ({"regions": "beard"}, "no such region: beard"),
        ({"out": None}, "nothing to write"),
        ({"video": "film.avi"}, "is not an MP4 file"),
        ({"out": "a.mp4", "video": "b.mp4"}, "two videos"),
        ({"out": "a.mp4", "alpha": True}, "--alpha writes images"),
        ({"out": None, "video": "film.mp4", "alpha": True}, "--alpha writes images"),
        ({"out": None, "video": "film.mp4", "depth": True}, "--depth writes images"),
        ({"cameras": "nothing.json"}, "no such file"),
        ({"trajectory": "nothing.json"}, "no such file"),
        ({"beside_truth": True}, "--beside-truth needs images of the same cameras"),
        ({"truth": "t", "orbit": True}, "--truth needs images of the same cameras"),
        ({"beside_truth": True, "split": "val", "size": "10x10"}, "contradict(?s:.*)--beside-truth and --size"),
        ({"split": "val", "orbit": True}, "contradict(?s:.*)--split and --orbit"),
        ({"camera": "cam_a", "orbit": True}, "contradict(?s:.*)--camera and --orbit"),
        ({"show": "normals", "mesh": 0.5}, "contradict(?s:.*)--mesh and --show normals"),
        ({"size": "100"}, "not a size"),
        ({"background": "pink"}, "not a color"),
        ({"background": "0,0,300"}, "background out of range"),
        ({"mesh": 2.0}, "mesh opacity out of range"),
        ({"splat_scale": 0.0}, "scale out of range"),
    ],
)
def test_wrong_options_are_named_before_anything_is_written(render, tmp_path, values, expected):
    paths = {name: (tmp_path / value if name in ("cameras", "trajectory", "truth", "video") else value) for name, value in values.items()}
    with pytest.raises(InputError, match=expected):
        render(**paths)
    assert not list(tmp_path.rglob("*.png")) and not list(tmp_path.rglob("*.mp4"))


def test_a_name_of_a_video_is_never_that_of_a_folder(tmp_path):
    assert output_paths(tmp_path, Path("a.MP4"), None) == output_paths(tmp_path, None, Path("a.MP4")) == (None, tmp_path / "a.MP4")
    assert output_paths(tmp_path, Path("a"), Path("a.mp4")) == (tmp_path / "a", tmp_path / "a.mp4")


def test_options_become_what_is_shown():
    shown = view_options(Look(show="counts", regions="face, ears", background="black"))
    assert shown == ViewOptions("none", "counts", 1.0, background=(0, 0, 0), regions=("face", "ears"))
    assert view_options(Look(mesh=0.3)) == ViewOptions(mesh_opacity=0.3) and view_options(Look()) == ViewOptions()


@pytest.mark.parametrize(("setting", "expected"), [("train.device=cpu", "cpu"), ("render.device=cuda", "cuda")])
def test_the_device_is_that_of_the_configuration(trained, tmp_path, monkeypatch, setting, expected):
    requests = []
    monkeypatch.setattr("pipeline.stages.render_cameras.render_cameras", lambda layout, request: requests.append(request) or [])
    options = RunOptions(("example",), results=trained.layout.results.parent, work=tmp_path, sets=(setting,))
    render_avatar("example", options, Cameras(), Look(), Files(out=tmp_path / "images"), "all", "")
    assert requests[0].device == expected


def test_an_orbit_has_the_length_of_the_configuration(tmp_path):
    request = camera_request(Cameras(orbit=True), tmp_path, RenderSettings(orbit_frames=7, orbit_degrees=5))
    assert (request.orbit_frames, request.orbit_degrees) == (7, 5)
    assert json.dumps(camera_request(Cameras(size="20x30"), tmp_path, RenderSettings()).size) == "[20, 30]"
