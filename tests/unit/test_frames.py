"""Undistortion, crop and resize: the pictures and the cameras that describe them agree to a hundredth of a pixel."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.avatars.registry import method_of
from pipeline.capture.camera import Camera
from pipeline.capture.frames import choose_frames
from pipeline.capture.processed import read_image_set
from pipeline.capture.record import Capture, read_capture
from pipeline.capture.settings import FramesSettings, IngestSettings
from pipeline.capture.warp import frame_window, make_warp, window_camera
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import InputError
from tests.unit.capture_trees import look_at, make_nersemble, make_rig, real_data
from tests.unit.stage_jobs import run_stage

POINTS = np.array([[0.0, 0, 0], [0.25, 0.1, -0.1], [-0.2, -0.15, 0.1], [0.1, -0.2, 0.2], [-0.28, 0.18, 0.0]])
BARREL = (-0.25, 0.06, 0.002, -0.003, 0.01)
CASES = [
    pytest.param((), None, None, 999, id="identity"),
    pytest.param(BARREL, None, None, 999, id="undistort"),
    pytest.param(BARREL, None, None, 150, id="shrink"),
    pytest.param((0.1, -0.05, 0.001, 0), (-40, 30, 400, 300), None, 173, id="crop with padding"),
    pytest.param(BARREL, (60, 20, 250, 230), (256, 374), 999, id="size of another shape"),
    pytest.param((), (10, 20, 200, 100), None, 100, id="whole factor"),
]


def camera(dist=()):
    K = np.array([[380.0, 0, 161.3], [0, 377.0, 118.2], [0, 0, 1]])
    return Camera("c", 320, 240, K, look_at("c", 0.3).R, np.array([0.02, -0.01, 1.5]), dist)


def processed(raw, crop, size, longest):
    window, output = frame_window(raw, crop, size, longest)
    return window_camera(raw, window, output), window


@pytest.mark.parametrize("dist, crop, size, longest", CASES)
def test_known_points_land_where_the_new_camera_says(dist, crop, size, longest):
    raw = camera(dist)
    new, (left, top, width, height) = processed(raw, crop, size, longest)
    # the pixel's own way: undistort, shift by the crop, scale by the ratio of the sizes
    by_hand = (raw.undistort_points(raw.project(POINTS)) - [left, top]) * [new.width / width, new.height / height]
    assert np.abs(new.project(POINTS) - by_hand).max() < 0.01
    assert new.dist == () and np.array_equal(new.R, raw.R) and np.array_equal(new.t, raw.t)


def draw_dots(view: Camera, spread: float) -> np.ndarray:
    """Gaussian dots around the (distorted) projections of POINTS, exact at every pixel centre."""
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    dots = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * spread**2)) for u, v in view.project(POINTS))
    return np.repeat((20 + 200 * np.clip(dots, 0, 1))[..., None], 3, axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("dist, crop, size, longest", CASES)
def test_rendered_dots_lie_where_the_new_camera_says(dist, crop, size, longest):
    raw = camera(dist)
    new, _ = processed(raw, crop, size, longest)
    scale = new.K[0, 0] / raw.K[0, 0]
    picture = make_warp(raw, new).apply(draw_dots(raw, 4.0)).astype(float)[..., 0] - 20
    seen = 0
    for u, v in new.project(POINTS):
        half = round(13 * scale)
        if min(u, v, new.width - u, new.height - v) < half + 1:
            continue
        left, top = round(u - 0.5) - half, round(v - 0.5) - half
        patch = picture[top : top + 2 * half + 1, left : left + 2 * half + 1]
        y, x = np.mgrid[top : top + patch.shape[0], left : left + patch.shape[1]] + 0.5
        centroid = np.array([(patch * x).sum(), (patch * y).sum()]) / patch.sum()
        # a round dot in a distorted picture is not quite round when straightened: that is the tolerance, not the tables
        assert np.abs(centroid - [u, v]).max() < (0.06 if dist else 0.02)
        seen += 1
    assert seen >= 2


def test_half_a_pixel_is_not_lost():
    """A picture shrunk by two is the mean of each two by two block, and K follows."""
    raw = replace(camera(), width=320, height=240)
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    new, _ = processed(raw, None, None, 160)
    blocks = image.reshape(120, 2, 160, 2, 3).mean(axis=(1, 3))
    assert np.abs(make_warp(raw, new).apply(image) - blocks).max() <= 0.5001
    cropped, _ = processed(raw, (7, 11, 100, 90), None, 999)
    assert np.array_equal(make_warp(raw, cropped).apply(image), image[11:101, 7:107])


def test_undistortion_is_opencv_s():
    raw = camera(BARREL)
    new, _ = processed(raw, None, None, 999)
    warp = make_warp(raw, new)
    shifted = raw.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]  # cv2 counts pixel centres at whole numbers
    columns, rows = cv2.initUndistortRectifyMap(shifted, np.array(BARREL), None, shifted, (320, 240), cv2.CV_32FC1)
    assert np.abs(warp.columns - columns).max() < 1e-3 and np.abs(warp.rows - rows).max() < 1e-3


def test_visible_is_where_a_real_pixel_is():
    raw = camera()
    new, _ = processed(raw, (-40, 0, 400, 240), None, 200)
    warp = make_warp(raw, new)
    assert (warp.visible[:, :20] == 0).all() and (warp.visible[:, 20:180] == 255).all() and (warp.visible[:, 180:] == 0).all()
    white = warp.apply(np.full((240, 320, 3), 255, np.uint8))
    assert np.array_equal(white[..., 0], warp.visible)
    # far outside a strong barrel model folds back into the picture: that is no real pixel
    fold = camera((-0.4, 0, 0, 0))
    wide, _ = processed(fold, (-400, -400, 1120, 1040), None, 224)
    shown = make_warp(fold, wide).visible
    assert all((corner == 0).all() for corner in (shown[:60, :60], shown[-60:, :60], shown[:60, -60:], shown[-60:, -60:])) and shown.max() == 255


def test_which_frames():
    sequences = {"b": {"frames": 10, "videos": {}, "sync": {}}, "a": {"frames": 4, "videos": {}, "sync": {"times": [0, 0.1, 0.25, 0.4]}}}
    capture = Capture("x", "rig", 73.0, (), sequences, {}, {}, None, ())
    assert [f.id for f in choose_frames(capture, None, None, None, 30.0)[0]] == ["a_000000", "a_000003", "b_000000", "b_000003", "b_000006", "b_000009"]
    assert [f.frame for f in choose_frames(capture, 2, 6, 2, 30.0)[0]] == [2, 2, 4, 6]
    chosen, _ = choose_frames(capture, None, None, 1, 30.0)
    assert chosen[2].time == 0.25 and chosen[-1].time == pytest.approx(9 / 73, abs=1e-6)
    with pytest.raises(InputError, match="no frame is left"):
        choose_frames(capture, 10, None, 1, 30.0)


def prepared(tmp_path, row, settings):
    layout = Layout(tmp_path / "results" / row.id, tmp_path / "work" / row.id)
    run_stage("ingest", IngestSettings(), layout, row)
    facts = run_stage("frames", settings, layout, row)
    images = read_image_set(layout.frames_json, layout.frames)
    images.verify()
    return layout, images, facts


def test_the_stage_packs_every_camera(tmp_path):
    rig = make_rig(tmp_path / "rig", [look_at("cam01", 0.0), look_at("cam02", 0.8, dist=BARREL)])
    row = CaptureRow("x", "rig", rig, stride=2, last=4)
    layout, images, facts = prepared(tmp_path, row, FramesSettings())
    assert facts["frames"] == 3 and [f.id for f in images.frames] == ["take_000000", "take_000002", "take_000004"]
    packed = images.open("cam01")
    assert packed.names() == ["take_000000", "take_000002", "take_000004", "plate", "visible"]
    for frame in images.frames:  # the left half tells the frame number
        assert abs(int(packed.read(frame.id)[24, 10, 0]) - (20 + 8 * frame.frame)) <= 3
    assert (packed.read("visible") == 255).all() and images.open("cam02").read("plate").shape == (48, 64, 3)
    assert images.facts["size"] == {"cam01": [64, 48], "cam02": [64, 48]} and images.facts["crop"]["cam01"] == [0, 0, 64, 48]
    assert not layout.scratch("frames").exists() and sorted(p.name for p in layout.frames.iterdir()) == ["cam01.zip", "cam02.zip"]
    first = [(layout.frames / name).read_bytes() for name in ("cam01.zip", "cam02.zip")] + [layout.frames_json.read_bytes()]
    run_stage("frames", FramesSettings(), layout, row, 2)
    assert first == [(layout.frames / name).read_bytes() for name in ("cam01.zip", "cam02.zip")] + [layout.frames_json.read_bytes()]


@pytest.mark.parametrize(("version", "expected"), [(CAPTURE_STAGES["frames"].version, ["cam02.mp4"]), (-1, ["cam01.mp4", "cam02.mp4"])])
def test_finished_cameras_survive_a_failure_and_no_new_version(tmp_path, monkeypatch, version, expected):
    import pipeline.capture.frames as science

    rig = make_rig(tmp_path / "rig", [look_at("cam01", 0.0), look_at("cam02", 0.8)])
    row, layout = CaptureRow("x", "rig", rig), Layout(tmp_path / "results" / "x", tmp_path / "work" / "x")
    run_stage("ingest", IngestSettings(), layout, row)
    (rig / "cam02.mp4").rename(rig / "away.mp4")
    with pytest.raises(InputError, match="cam02.mp4"):
        run_stage("frames", FramesSettings(), layout, row, 1)
    assert not layout.frames.exists() and not layout.frames_json.exists() and len(list(layout.work.rglob("cam01.zip"))) == 1
    (rig / "away.mp4").rename(rig / "cam02.mp4")
    monkeypatch.setitem(method_of(layout.method).table, "frames", replace(CAPTURE_STAGES["frames"], version=version))
    decoded = []
    read = science.read_frames
    monkeypatch.setattr(science, "read_frames", lambda path, indices: decoded.append(path.name) or read(path, indices))
    run_stage("frames", FramesSettings(), layout, row, 1)
    assert decoded == expected


def test_settings_crop_size_and_color(tmp_path):
    root = make_nersemble(tmp_path / "data", ["a", "b"], ["EMO"], participant="7")
    A = np.zeros((4, 4))
    A[:3, 3] = [1.0, 0.5, 0.0]
    np.save(tmp_path / "7_a.npy", A)
    np.save(tmp_path / "7_b.npy", np.eye(4))
    row = CaptureRow("7", "nersemble", root, color=str(tmp_path / "{id}_{camera}.npy"), size=(40, 40))
    layout, images, _ = prepared(tmp_path, row, FramesSettings(crop={"all": (-16, 0, 80, 48), "b": (0, 0, 32, 32)}))
    picture, visible = images.open("a").read("EMO_000000"), images.open("a").read("visible")
    assert picture.shape == (40, 40, 3) and images.facts["crop"]["a"] == [-16.0, -16.0, 80.0, 80.0]
    assert (picture[visible == 255] == [255, 128, 0]).all() and (picture[visible == 0] == 0).all() and (visible == 0).any()
    assert images.by_name["b"].K[0, 0] == pytest.approx(80 * 40 / 32) and (images.open("b").read("visible") == 255).all()
    assert (read_capture(layout.capture).color["a"].matrix == A).all()


def test_frames_of_cameras_that_began_at_different_times(tmp_path):
    rig = make_rig(tmp_path / "rig", [look_at("cam01", 0.0), look_at("cam02", 0.8)])
    lines = [f"{camera},{(t + late) / 24:.6f}" for camera, late in (("cam01", 0), ("cam02", 2)) for t in range(6)]
    (rig / "timestamps.csv").write_text("camera,time\n" + "\n".join(lines) + "\n")
    _, images, _ = prepared(tmp_path, CaptureRow("x", "rig", rig, first=1, last=5, stride=1), FramesSettings())
    shown = [round((int(images.open("cam02").read(f.id)[24, 10, 0]) - 20) / 8) for f in images.frames]
    assert [f.frame for f in images.frames] == [1, 2, 3, 4, 5] and shown == [0, 0, 1, 2, 3]


def test_real_webcams_come_out_straight():
    """A scene line that is straight in the world: points on a 3D line, put through the real distortion and back, are collinear."""
    from pipeline.capture.calibration import read_calibration

    raw = read_calibration(real_data("head-caliscope-4cam") / "take1" / "cameras.json")[0]
    new, _ = processed(raw, None, None, 960)
    line = raw.R.T @ (np.array([[-0.4, -0.2, 1.0]]) + np.linspace(0, 1, 9)[:, None] * np.array([[0.7, 0.3, 0.2]]) - raw.t).T
    back = raw.undistort_points(raw.project(line.T)) * [new.width / raw.width, new.height / raw.height]
    assert np.abs(back - new.project(line.T)).max() < 0.01
    assert np.linalg.matrix_rank(back - back.mean(axis=0), tol=0.05) == 1


@pytest.mark.parametrize("values", [{"max_rate": 0}, {"longest_side": 8}, {"crop": {"a": [0, 0, 4, 40]}}])
def test_impossible_settings_are_refused(values):
    with pytest.raises(ValueError, match="allowed"):
        FramesSettings(**values)
