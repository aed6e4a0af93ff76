"""The viewer in a real browser: a headless Chromium loads the page, moves sliders, saves a camera path and follows a training."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.avatars.captured import CapturedAvatar
from pipeline.avatars.view import view_image
from pipeline.capture.trajectory import read_trajectory
from pipeline.contract.layout import Layout
from pipeline.io.arrays import save_npz
from pipeline.training.watch import Watch, avatar_file, request_file
from pipeline.viewer.attach import AttachedTraining
from pipeline.viewer.opened import OpenedAvatar, open_file
from pipeline.viewer.panels.training import add_training_panel
from pipeline.viewer.server import ServerSettings, ViewerServer
from tests.browser.chromium import NAMES, Chromium, executable, until
from tests.unit.painted_head import FRAMES, head

pytestmark = pytest.mark.skipif(executable() is None, reason=f"no browser on this machine (one of {', '.join(NAMES)})")

WIDTH, HEIGHT = 1000, 600
LEFT, RIGHT = 320, 590  # columns that show neither messages nor controls


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("chromium"), WIDTH, HEIGHT) as page:
        yield page


@pytest.fixture
def server(tmp_path):
    made = ViewerServer(
        [OpenedAvatar("head", head(), 0, (), 25.0, CapturedAvatar(head(), 0, torch.device("cpu")))], ServerSettings("127.0.0.1", 0, tmp_path / "views", 320)
    )
    yield made
    made.stop()


def still(page: Chromium, unlike: np.ndarray | None = None) -> np.ndarray:
    """What is shown beside the controls when nothing changes any more, and once it is another image than `unlike`."""
    last: list[np.ndarray] = [np.zeros(0)]

    def settled() -> bool:
        before = last[0]
        last[0] = page.screenshot()[:, LEFT:RIGHT].astype(int)
        other = unlike is None or np.abs(last[0] - unlike).max() > 60
        return other and before.shape == last[0].shape and np.array_equal(before, last[0])

    until(settled, 30)
    time.sleep(0.6)  # until the whole image is there
    return page.screenshot()[:, LEFT:RIGHT].astype(int)


def loaded(page: Chromium, server: ViewerServer) -> np.ndarray:
    page.open("about:blank")
    page.open(server.address)
    until(lambda: "frame 1 of 3" in page.text(), 30)
    return still(page, unlike=np.full((HEIGHT, RIGHT - LEFT, 3), 255))


def pixel_box(server: ViewerServer, region: str) -> tuple[slice, slice]:
    """Where a region of the body is in `still` at the first frame, 4 pixels larger."""
    body = server.avatars[0].avatar.body_of(0)
    vertices = body.vertices(body.pose_at(0)).detach().numpy()[body.shaped.regions[region]]
    pixels = server.home.viewpoint.camera(WIDTH, HEIGHT).project(vertices) - (LEFT, 0)
    (left, top), (right, bottom) = pixels.min(0).astype(int) - 4, pixels.max(0).astype(int) + 4
    return slice(max(top, 0), bottom), slice(max(left, 0), right)


def test_the_page_shows_the_avatar_and_a_slider_opens_its_mouth(browser, server, tmp_path):
    closed = loaded(browser, server)
    assert 0.1 < (closed.min(-1) < 200).mean() < 0.9, "a head on white"
    browser.click("body")
    browser.set_number("jawOpen", 1)
    opened = still(browser, unlike=closed)
    browser.screenshot(tmp_path / "open.png")
    changed = np.abs(opened - closed).max(-1)
    lips, brows = pixel_box(server, "lips"), pixel_box(server, "brows")
    assert (changed[lips] > 60).mean() > 0.1, "the mouth"
    assert (changed[brows] > 60).mean() < 0.01, "not the brows"
    both_white = (closed.min(-1) > 250) & (opened.min(-1) > 250)
    assert both_white[:20].mean() > 0.95 and (changed[:20] > 60).mean() == 0, "nor the background"
    session = next(iter(server.sessions.values()))
    control = session.scene.avatars[0].control
    assert control.enabled and control.expression[control.expression_names.index("jawOpen")] == 1
    browser.click("control", "label")  # off again: the tracked frame is shown
    assert np.abs(still(browser, unlike=opened) - closed).mean() < 1


def test_time_mesh_and_regions(browser, server):
    first = loaded(browser, server)
    browser.click("next")
    until(lambda: "take_000001" in browser.text(), 10)
    turned = still(browser, unlike=first)
    browser.click("first")
    assert np.abs(still(browser, unlike=turned) - first).mean() < 1
    browser.set_number("mesh opacity", 1)
    mesh = still(browser, unlike=first)
    lips = pixel_box(server, "lips")
    assert np.ptp(mesh[lips], axis=-1).mean() < 20 < np.ptp(first[lips], axis=-1).mean(), "a grey surface in place of coloured splats"
    browser.set_number("mesh opacity", 0)
    again = still(browser, unlike=mesh)
    browser.click("regions")
    browser.click("lips", "label")
    part = still(browser, unlike=again)
    inside = part[lips].min(-1) < 200
    assert inside.mean() > 0.3 and (part.min(-1) < 200).sum() < 1.5 * inside.sum(), "nothing but the lips"


def test_a_camera_path_is_saved_rendered_and_loaded_again(browser, server, tmp_path):
    first = loaded(browser, server)
    browser.click("record")
    browser.click("add")
    browser.drag((350, 300), (420, 330))
    still(browser, unlike=first)
    browser.click("add")
    browser.set_number("seconds per keyframe", 0.2)
    browser.set_number("images per second", 10)
    browser.click("save trajectory")
    file = server.settings.folder / "trajectories" / "path.json"
    steps = until(lambda: file.is_file() and read_trajectory(file).steps, 15)
    assert len(steps) == 3 and [step.frame for step in steps] == [FRAMES[i] for i in (0, 2, 2)], "25 frames and 10 images a second"
    assert np.linalg.norm(steps[0].camera.centre - steps[2].camera.centre) > 0.05
    browser.click("render images and video")
    until(lambda: (server.settings.folder / "path.mp4").is_file(), 30)
    for number, step in enumerate(steps):
        image = cv2.imread(str(server.settings.folder / "path" / f"{number:06d}.png"))[..., ::-1]
        expected = view_image(server.avatars[0].avatar, FRAMES.index(step.frame), step.camera)[..., :3]
        assert np.abs(image.astype(int) - expected).max() <= 1, "what ./c2a render --trajectory draws"
    session = next(iter(server.sessions.values()))
    before = session.viewpoint.position
    browser.click("clear")
    browser.click("load")
    browser.click("go to")
    until(lambda: np.linalg.norm(session.viewpoint.position - before) > 0.05, 10)
    assert session.viewpoint.position == pytest.approx(steps[0].camera.centre, abs=1e-3)


def test_a_motion_that_is_uploaded_moves_the_face(browser, server, tmp_path):
    file = tmp_path / "talk.json"
    file.write_text(json.dumps({"fps": 50, "frames": [{"blendShapes": {"jawOpen": weight, "mouthLeft": 0}} for weight in (0, 0.3, 0.6, 0.9)]}))
    first = loaded(browser, server)
    browser.click("motion")
    browser.upload("motion file of this computer", file)
    until(lambda: "4 frames at 50 per second" in browser.text(), 20)
    until(lambda: "frame 1 of 4" in browser.text(), 10)
    browser.click("last")
    still(browser, unlike=first)
    (session,) = server.sessions.values()
    assert session.player.count == 4 and session.player.fps == 50
    browser.click("tracked frames")
    until(lambda: "of 3" in browser.text(), 10)
    file.write_text('{"frames": 3}')
    browser.upload("motion file of this computer", file)
    until(lambda: "talk.json: is no recording of expressions" in browser.text(), 10)


def test_attached_it_shows_a_training_and_pauses_it(browser, tmp_path):
    layout, skin = Layout(tmp_path / "results" / "anna", tmp_path / "work" / "anna"), 0.5

    def write(path: Path) -> None:
        save_npz(path, {"method": np.array("rigged"), **head(skin).export()})

    training = Watch(layout.watch, write)
    training.is_watched()
    layout.results.mkdir(parents=True)
    viewer = AttachedTraining("anna", layout, torch.device("cpu"))
    assert not viewer.update(), "no avatar yet"
    viewer.ask()
    training._asked = 0.0
    assert training.is_due()
    training.values = {"loss": 0.25}
    training.show(0, 100, 11366)
    assert viewer.update() and not viewer.update()
    server = ViewerServer(viewer.avatars, ServerSettings("127.0.0.1", 0, tmp_path / "views", 320))
    server.panels.append(lambda gui, session: add_training_panel(gui, session, viewer))
    viewer.follow(lambda: bool(server.sessions), server.replace)
    try:
        beat = request_file(layout.watch).read_text()
        time.sleep(1.3)
        assert request_file(layout.watch).read_text() == beat, "without a browser it asks for nothing"
        first = loaded(browser, server)
        assert request_file(layout.watch).read_text() != beat
        skin = -0.5
        training.show(40, 100, 11366)
        still(browser, unlike=first)
        until(lambda: "step 40 of 100" in browser.text() and "loss 0.25" in browser.text(), 10)
        browser.click("pause training", "label")
        until(lambda: json.loads(request_file(layout.watch).read_text())["paused"], 10)
        until(training.is_paused, 5)
        save_npz(layout.avatar, {"method": np.array("rigged"), **head(skin=-1.5).export()})
        until(lambda: viewer.avatars[0].avatar.local["sh_dc"].flatten()[0] == head(-1.5).local["sh_dc"].flatten()[0], 10)
        avatar_file(layout.watch).unlink()
    finally:
        server.stop()
        viewer.close()
    assert not request_file(layout.watch).exists() and open_file(layout.avatar, "anna", torch.device("cpu"))
