"""The viewer without a browser: what is shown, when, from where, and what is saved."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.captured import CapturedAvatar
from pipeline.avatars.view import PLAIN, view_image
from pipeline.capture.trajectory import read_trajectory
from pipeline.io.errors import InputError
from pipeline.motion.settings import RetargetOptions
from pipeline.viewer.address import free_port, is_own_page
from pipeline.viewer.body_control import BodyControl, folder_of
from pipeline.viewer.home import home_of
from pipeline.viewer.opened import OpenedAvatar, open_file
from pipeline.viewer.panels.motion import apply_motion
from pipeline.viewer.player import Player
from pipeline.viewer.quality import SECONDS, Quality
from pipeline.viewer.recording import Recording, load_keyframes, render, save_image, save_trajectory
from pipeline.viewer.scene import Scene, ShownAvatar
from pipeline.viewer.server import beside_one_another
from pipeline.viewer.viewpoint import PathSettings, Viewpoint
from pipeline.workflow import view_verb
from pipeline.workflow.run_options import RunOptions
from tests.unit import rigged_toy
from tests.unit.painted_head import head


def opened(cameras=(), avatar=None) -> OpenedAvatar:
    avatar = avatar or rigged_toy.avatar()
    return OpenedAvatar("toy", avatar, 0, tuple(cameras), 25.0, CapturedAvatar(avatar, 0, torch.device("cpu")))


class StandInSession:
    """What recording asks of a session."""

    def __init__(self, folder, count=3):
        self.folder, self.closed = folder, False
        self.scene = Scene([ShownAvatar(opened(), np.zeros(3))])
        self.player = Player(count, 25.0)
        self.viewpoint = Viewpoint.of(rigged_toy.cameras()[0])

    def draw(self, viewpoint, width, height, frame=None):
        return self.scene.image(self.player.frame if frame is None else frame, viewpoint.camera(width, height), PLAIN)


def test_sliders_follow_the_frames_until_they_are_under_control():
    shown = ShownAvatar(opened(), np.zeros(3))
    body, control = shown.body, shown.control
    shown.follow(2)
    assert control.expression == pytest.approx(body.pose_at(2).expression.detach().numpy()) and shown.pose(2) == 2
    control.enabled = True
    control.expression[1] = 0.75
    shown.follow(0)
    pose = shown.pose(1)
    assert pose.expression[1] == 0.75 and torch.equal(pose.translation, body.pose_at(1).translation), "the body still moves through its frames"
    assert torch.allclose(pose.rotations, body.pose_at(2).rotations), "and keeps what the sliders had"
    control.reset()
    assert not control.expression.any() and not control.rotations[1:].any() and control.rotations[0].any()


def test_control_without_a_change_shows_the_tracked_frame():
    shown = ShownAvatar(opened(), np.zeros(3))
    scene, camera = Scene([shown]), rigged_toy.cameras()[0]
    tracked = scene.image(1, camera, PLAIN)
    shown.follow(1)
    shown.control.enabled = True
    assert np.array_equal(scene.image(1, camera, PLAIN), tracked)
    assert np.array_equal(tracked, view_image(shown.opened.avatar, 1, camera)[..., :3])
    shown.control.rotations[1] = (0.0, 0.5, 0.0)
    assert not np.array_equal(scene.image(1, camera, PLAIN), tracked)


def test_expressions_have_folders_and_ranges_of_their_kind():
    names = ("browInnerUp", "cheekPuff", "eyeBlinkLeft", "jawOpen", "mouthLeft", "noseSneerLeft", "tongueOut", "expression07")
    assert [folder_of(name) for name in names] == ["brow", "cheek", "eye", "jaw", "mouth", "nose", "tongue", "other"]
    body = rigged_toy.body()
    assert BodyControl(body).expression_range == (0, 1) and list(BodyControl(body).joints) == ["root"]
    body.expression[0] = -2
    assert BodyControl(body).expression_range == (-3, 3)


def test_avatars_stand_beside_one_another_each_as_it_is_alone():
    one, two = opened(rigged_toy.cameras()), opened(rigged_toy.cameras())
    two.avatar.local["sh_dc"].data += 1
    avatars, home = beside_one_another([one, two])
    scene, camera = Scene(avatars), home.viewpoint.camera(120, 80)
    both = scene.image(0, camera, PLAIN)
    alone = []
    for avatar in avatars:
        for other in avatars:
            other.visible = other is avatar
        alone.append(scene.image(0, camera, PLAIN))
    assert np.abs(both.astype(int) - np.minimum(*alone)).max() <= 1, "on white, where they do not overlap"
    middles = [np.argwhere(image.min(-1) < 200)[:, 1].mean() for image in alone]
    assert middles[0] < 55 and middles[1] > 65
    assert alone[1].mean() > alone[0].mean()


def test_the_nearer_avatar_covers_the_other():
    near, far = opened(), opened()
    near.avatar.local["sh_dc"].data[:] = torch.tensor([3.0, -3, -3])
    far.avatar.local["sh_dc"].data[:] = torch.tensor([-3.0, -3, 3])
    for opened_avatar in (near, far):
        opened_avatar.avatar.local["opacities"].data[:] = 20
    camera = rigged_toy.cameras(1)[0]
    forward = camera.R[2]
    avatars = [ShownAvatar(near, -0.05 * forward), ShownAvatar(far, 0.05 * forward)]
    for order in (avatars, avatars[::-1]):
        image = Scene(order).image(0, camera, PLAIN)
        red, _, blue = image[20, 24].astype(int)
        assert red > blue + 100


def test_home_is_in_front_with_or_without_cameras():
    for cameras in ((), rigged_toy.cameras(3)):
        avatar = opened(cameras)
        home = home_of(avatar)
        view = home.viewpoint.camera(100, 100)
        assert view.project(home.target) == pytest.approx((50, 50), abs=1e-6) and view.to_camera(home.target)[2] > 0
        image = Scene([ShownAvatar(avatar, np.zeros(3))]).image(0, view, PLAIN)
        assert 0.05 < (image.min(-1) < 250).mean() < 0.9, "all of it, with a margin"
        assert abs(home.up @ view.R[1] + 1) < 0.1


def test_playing_keeps_time_and_ends_or_begins_again():
    player = Player(10, 5.0, frame=3, loop=False)
    assert not player.advance(100.0)
    player.play(100.0)
    assert not player.advance(100.1) and player.advance(100.45) and player.frame == 5
    assert player.advance(103.0) and player.frame == 9 and not player.playing
    player.loop = True
    player.play(200.0)
    assert player.advance(200.0) and player.frame == 0, "from the end it begins again"
    player.advance(202.3)
    assert player.frame == 1 and player.playing
    player.set_speed(10.0, 202.3)
    player.advance(202.55)
    assert player.frame == 3
    player.set_count(2, 203.0)
    assert player.frame == 1


def test_moving_images_become_as_large_as_there_is_time_for():
    quality, canvas, seconds = Quality(1000), (800, 400), 4e-6  # per pixel
    assert quality.whole(canvas) == (800, 400) and Quality(200).whole(canvas) == (200, 100)
    for _ in range(30):
        width, height = quality.moving(canvas)
        quality.took(seconds * width * height)
    assert seconds * width * height == pytest.approx(SECONDS, rel=0.2) and width / height == pytest.approx(2, rel=0.02)
    for _ in range(30):
        quality.took(1e-3)
    assert quality.moving(canvas) == (800, 400)


def test_a_trajectory_is_saved_loaded_and_rendered(tmp_path):
    session, recording = StandInSession(tmp_path), Recording(settings=PathSettings(interval=0.2, fps=10))
    keys = [Viewpoint.of(camera) for camera in rigged_toy.cameras(3)]
    session.player.frame = 1
    for number, key in enumerate(keys):
        recording.add(key, number, session.player.frame)
    whole, keyframes = save_trajectory(session, recording, "round", (48, 40))
    steps = read_trajectory(whole).steps
    assert [step.frame for step in steps] == [rigged_toy.FRAMES[i % 3] for i in (1, 3, 6, 8, 11)], "25 frames and 10 images a second"
    assert [step.camera.centre for step in steps[::2]] == [pytest.approx(key.position) for key in keys]
    again = Recording(settings=replace(recording.settings, interval=9.0))
    load_keyframes(again, keyframes)
    assert again.settings.interval == pytest.approx(0.2) and [key.position for key in again.keyframes] == [pytest.approx(key.position) for key in keys]
    reports = []
    video = render(session, recording, "round", (48, 40), lambda *done: reports.append(done))
    images = sorted((tmp_path / "round").glob("*.png"))
    assert video.is_file() and len(images) == 5 and reports == [(i, 5) for i in range(1, 6)]
    session.closed = True
    with pytest.raises(InputError, match="the browser was closed"):
        render(session, recording, "other", (48, 40), lambda *_: None)
    assert not (tmp_path / "other.mp4").exists()


def test_names_that_leave_the_folder_are_refused(tmp_path):
    session, recording = StandInSession(tmp_path / "views"), Recording([StandInSession(tmp_path).viewpoint] * 2)
    for name in ("../x", "a/b", "", ".hidden"):
        with pytest.raises(InputError, match="not a name"):
            save_trajectory(session, recording, name, (48, 40))
    assert not list(tmp_path.rglob("*.json"))


def test_saved_images_are_numbered(tmp_path):
    session = StandInSession(tmp_path)
    assert [save_image(session, (48, 40))[0].name for _ in range(2)] == ["000.png", "001.png"]


def test_an_avatar_file_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="no such avatar"):
        open_file(tmp_path / "avatar.npz", "x", torch.device("cpu"))
    np.savez(tmp_path / "avatar.npz", method=np.array("nothing"))
    with pytest.raises(InputError, match="no avatar method is called 'nothing'"):
        open_file(tmp_path / "avatar.npz", "x", torch.device("cpu"))


def test_a_host_or_port_that_cannot_be_used_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot listen on port"):
            free_port("127.0.0.1", taken.getsockname()[1])
    for host in ("nowhere.invalid", "192.0.2.1", "a..b"):
        with pytest.raises(InputError, match="no such host"):
            free_port(host, 0)
    with pytest.raises(InputError, match="no such port"):
        free_port("127.0.0.1", 70000)
    assert free_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize(("origin", "host", "listening", "own"), [
    ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", True),
    ("http://localhost:9000", "localhost:9000", "127.0.0.1", True),
    ("http://[::1]:8080", "[::1]:8080", "::1", True),
    (None, "127.0.0.1:8080", "127.0.0.1", True),
    ("http://evil.example", "127.0.0.1:8080", "127.0.0.1", False),
    ("http://127.0.0.1:3000", "127.0.0.1:8080", "127.0.0.1", False),
    ("http://evil.example:8080", "evil.example:8080", "127.0.0.1", False),
    ("null", "127.0.0.1:8080", "127.0.0.1", False),
    ("http://server.example:8080", "server.example:8080", "0.0.0.0", True),
    ("http://evil.example", "server.example:8080", "0.0.0.0", False),
])  # fmt: skip
def test_pages_of_other_sites_may_not_connect(origin, host, listening, own):
    assert is_own_page(origin, host, listening) is own


def test_a_motion_file_takes_the_place_of_the_tracked_frames():
    shown = ShownAvatar(opened(avatar=head()), np.zeros(3))
    weights, names = (0.0, 0.25, 0.5, 0.75), shown.control.expression_names
    document = {"fps": 50, "frames": [{"blendShapes": {"jawOpen": weight}} for weight in weights]}
    facts = apply_motion(shown, "talk.json", json.dumps(document).encode(), RetargetOptions(absolute=True))
    assert "talk.json, 4 frames at 50 per second" in facts and shown.frame_count == 4 and shown.fps == 50
    assert [float(shown.pose(i).expression[names.index("jawOpen")]) for i in range(4)] == pytest.approx(weights)
    shown.follow(2)
    assert shown.control.expression[names.index("jawOpen")] == pytest.approx(0.5), "the sliders follow it"
    with pytest.raises(InputError, match="^talk.json: is no recording"):
        apply_motion(shown, "talk.json", b'{"frames": 3}', RetargetOptions())
    assert shown.frame_count == 4
    shown.motion = None
    assert shown.frame_count == 3 and shown.pose(1) == 1


def test_a_model_folder_is_viewed_with_its_body_alone(tmp_path, monkeypatch):
    (tmp_path / "model" / "point_cloud").mkdir(parents=True)
    options, asked = RunOptions(here=tmp_path), []
    with pytest.raises(InputError, match="--body is missing"):
        view_verb._source("model", options, "", tmp_path / "views")
    monkeypatch.setattr(view_verb, "import_avatar", lambda *arguments: asked.append(arguments))
    source = view_verb._source("model", options, "flame", tmp_path / "views")
    assert source.path == tmp_path / "views" / "model.npz" and asked == [(tmp_path / "model", "gaussian_avatars", "flame", source.path, options)]
