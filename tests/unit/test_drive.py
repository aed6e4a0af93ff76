"""`./c2a drive`: what is written is the avatar in the poses of the motion, beside the images of the capture that drives it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.avatars.render import render_views
from pipeline.avatars.shots import Output
from pipeline.avatars.view_options import ViewOptions
from pipeline.capture.calibration import write_calibration
from pipeline.capture.processed import read_image_set
from pipeline.cli.render_options import Cameras, Driving, Look
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.packed import over_background, read_image
from pipeline.motion.motion import save_motion
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target
from pipeline.stages import drive as stage
from pipeline.stages.shot_cameras import CameraRequest
from pipeline.workflow.drive_verb import drive_avatar
from pipeline.workflow.run_options import RunOptions
from tests.unit import rigged_toy


@pytest.fixture
def driven(tmp_path, monkeypatch):
    """A toy avatar, its capture, and its tracked motion as a file beside it."""
    avatar, layout = rigged_toy.avatar(), Layout(tmp_path / "results" / "a", tmp_path / "work" / "a")
    layout.results.mkdir(parents=True)
    cameras = rigged_toy.cameras(2)
    rigged_toy.images(layout.alpha, cameras)
    write_calibration(tmp_path / "mine.json", [replace(cameras[0], name="mine"), cameras[1]])
    body = avatar.body_of(0)
    save_motion(layout.results / "fit.npz", Target.of(body).motion(25.0, body.shaped.expression_names, body.frames))
    monkeypatch.setattr(stage, "open_subject", lambda *_: (avatar, 0, layout, "cpu"))

    def run(**others):
        values = {"cameras": CameraRequest(file=tmp_path / "mine.json"), "options": RetargetOptions(absolute=True)} | others
        request = stage.DriveRequest(str(layout.results / "fit.npz"), tmp_path / "results", view=ViewOptions(), output=Output(tmp_path / "out"), **values)
        return stage.drive(layout, request)

    return avatar, layout, cameras, run


def test_a_tracked_motion_gives_the_tracked_renders_beside_the_capture_s_images(driven, tmp_path):
    avatar, layout, cameras, run = driven
    assert run() == [tmp_path / "out" / "mine", tmp_path / "out" / "c1"]
    captured = read_image_set(layout.alpha_json, layout.alpha)
    for shot, camera, beside in (("mine", cameras[0], "c0"), ("c1", cameras[1], "c1")):
        for index, frame in enumerate(rigged_toy.FRAMES):
            written = read_image(tmp_path / "out" / shot / f"{index:06d}.png")
            left, right = written[:, : camera.width], written[:, camera.width :]
            drawn = render_views(avatar, index, [camera])[0][..., :3]
            assert np.abs(right.astype(int) - drawn).max() <= 2
            np.testing.assert_array_equal(left, over_background(captured.open(beside).read(frame)))


def test_frames_and_rate_count_in_the_motion_s_own_numbers(driven, tmp_path):
    avatar, _, cameras, run = driven
    run(frames=(1, 3), fps=50.0)  # frames 1 and 2 of 3 are instants 2 to 4 of 5
    names = sorted(path.name for path in (tmp_path / "out" / "mine").iterdir())
    assert names == ["000002.png", "000003.png", "000004.png"]
    right = read_image(tmp_path / "out" / "mine" / "000004.png")[:, cameras[0].width :]
    assert np.abs(right.astype(int) - render_views(avatar, 2, [cameras[0]])[0][..., :3]).max() <= 2
    with pytest.raises(InputError, match="no such frames") as error:
        run(frames=(2, 9))
    assert "0:3" in str(error.value)
    with pytest.raises(InputError, match="impossible frame rate"):
        run(fps=1e6)


def test_a_following_camera_sees_the_body_in_its_middle(driven, tmp_path):
    avatar, layout, _, run = driven
    target = Target.of(avatar.body_of(0))
    still = target.motion(25.0, avatar.body_of(0).shaped.expression_names, ())
    path = np.zeros((3, 3))
    path[:, 0] = [0, 0.2, 0.4]
    still = replace(still, rotations=still.rotations[[0, 0, 0]], expression=still.expression[[0, 0, 0]], translation=still.translation[:1] + path)
    save_motion(layout.results / "fit.npz", still)
    run(follow=True)
    images = [read_image(tmp_path / "out" / "mine" / f"{index:06d}.png").astype(int) for index in range(3)]
    assert np.abs(images[2] - images[0]).mean() < 1  # but for the view direction's colours
    run(follow=False)
    moved = read_image(tmp_path / "out" / "mine" / "000002.png").astype(int)
    assert np.abs(moved - images[0]).mean() > 5


def test_an_avatar_without_a_body_cannot_be_driven(driven, monkeypatch):
    avatar, layout, _, run = driven
    monkeypatch.setattr(avatar, "body_of", lambda subject=0: None)
    with pytest.raises(InputError, match="nothing of this avatar can be animated"):
        run()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"motion": ""}, "no motion"),
        ({"out": None}, "nothing to write"),
        ({"out": Path("a.mov")}, "not an MP4 file"),
        ({"frames": "7"}, "no such frames"),
        ({"frames": "a:b"}, "no such frames"),
        ({"driving": Driving(smooth=-1.0)}, "cannot be smoothed"),
        ({"driving": Driving(smooth=float("nan"))}, "cannot be smoothed"),
        ({"cameras": Cameras(split="val")}, "--split names frames"),
        ({"cameras": Cameras(orbit=True, camera="a")}, "contradict each other"),
    ],
)
def test_wrong_options_are_named_before_anything_is_loaded(tmp_path, change, expected):
    layout = Layout(tmp_path / "results" / "a", tmp_path / "work" / "a")
    layout.avatar.parent.mkdir(parents=True)
    layout.avatar.write_bytes(b"")
    values = {"motion": "b", "cameras": Cameras(), "look": Look(), "driving": Driving(), "out": tmp_path / "out", "frames": "all", "subject": ""} | change
    options = RunOptions(("a",), results=tmp_path / "results")
    with pytest.raises(InputError, match=expected) as error:
        drive_avatar("a", values.pop("motion"), options, **values)
    assert "next:" in str(error.value) and not (tmp_path / "out").exists()
