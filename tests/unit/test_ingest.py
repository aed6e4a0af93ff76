"""From raw trees of every layout to capture.json, and every mistake caught before or during the stage."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.capture.calibration import write_calibration
from pipeline.capture.record import read_capture
from pipeline.capture.roles import choose_test_sequences, choose_val_cameras
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.video import write_video
from pipeline.stages import ingest
from tests.unit.capture_trees import SIZE, look_at, make_nersemble, make_rig, pictures, real_data
from tests.unit.stage_jobs import run_stage


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "results" / "x", tmp_path / "work" / "x")


@pytest.fixture
def rig(tmp_path):
    cameras = [look_at("cam01", 0.0), look_at("cam02", 0.8, dist=(0.1, 0, 0, 0)), look_at("cam03", -0.8)]
    return CaptureRow("x", "rig", make_rig(tmp_path / "rig", cameras))


def read(row, layout):
    ingest.preflight(row)
    run_stage("ingest", IngestSettings(), layout, row)
    return read_capture(layout.capture)


def fails_early(row, layout, words):
    """Both the preflight and the stage refuse, and nothing is written."""
    for call in (lambda: ingest.preflight(row), lambda: run_stage("ingest", IngestSettings(), layout, row)):
        with pytest.raises(InputError, match=words):
            call()
    assert not layout.results.exists() or not list(layout.results.rglob("*"))


def fails_late(row, layout, words):
    with pytest.raises(InputError, match=words):
        run_stage("ingest", IngestSettings(), layout, row)
    assert not layout.capture.exists()


def test_a_flat_rig(rig, layout):
    capture = read(rig, layout)
    assert list(capture.sequences) == ["take"] and capture.fps == 24 and capture.sequences["take"]["frames"] == 6
    assert [c.name for c in capture.cameras] == ["cam01", "cam02", "cam03"] and capture.cameras[1].dist == (0.1, 0, 0, 0)
    assert {path.name for path in capture.plates.values()} == {"cam01_plate.png", "cam02_plate.png", "cam03_plate.png"}
    video = capture.sequences["take"]["videos"]["cam02"]
    assert video["size"] == (rig.path / "cam02.mp4").stat().st_size and len(video["sha256"]) == 64 and (video["width"], video["height"]) == SIZE
    assert all(check["ok"] for check in capture.checks) and capture.index("take", "cam02", 3) == 3
    first = layout.capture.read_bytes()
    read(rig, layout)
    assert layout.capture.read_bytes() == first


def test_videos_folder_and_calibration_in_the_folder_above(rig, layout):
    (rig.path / "videos").mkdir()
    for video in rig.path.glob("*.mp4"):
        video.rename(rig.path / "videos" / video.name)
    one = read(rig, layout)
    other = read(replace(rig, path=rig.path / "videos"), layout)
    assert one.plates == other.plates and one.sequences == other.sequences


def test_sequence_folders_image_folders_and_names_inside_longer_names(tmp_path, layout):
    cameras = [look_at("int_cam01_img", 0.0), look_at("int_cam02_img", 0.8)]
    for sequence in ("walk", "stand"):
        for name in ("cam01", "cam02"):
            folder = tmp_path / "rig" / sequence / name
            folder.mkdir(parents=True)
            for n, picture in enumerate(pictures(3, 80)):
                cv2.imwrite(str(folder / f"{n:04d}.png"), picture)
    write_calibration(tmp_path / "rig" / "cameras.json", cameras)
    capture = read(CaptureRow("x", "rig", tmp_path / "rig"), layout)
    assert sorted(capture.sequences) == ["stand", "walk"] and capture.sequences["walk"]["frames"] == 3
    assert [c.name for c in capture.cameras] == ["cam01", "cam02"] and set(capture.plates.values()) == {None} and capture.fps == 30
    only = read(CaptureRow("x", "rig", tmp_path / "rig", sequences=("walk",), plates="none"), layout)
    assert list(only.sequences) == ["walk"]
    fails_early(CaptureRow("x", "rig", tmp_path / "rig", sequences=("run",)), Layout(tmp_path / "r", tmp_path / "w"), "no sequence 'run'(?s:.*)stand, walk")
    shutil.copytree(tmp_path / "rig" / "walk", tmp_path / "flat")
    shutil.copy(tmp_path / "rig" / "cameras.json", tmp_path / "flat")
    write_calibration(tmp_path / "flat" / "cameras.json", [replace(c, name=c.name[4:9]) for c in cameras])
    assert list(read(CaptureRow("x", "rig", tmp_path / "flat"), layout).sequences) == ["take"]


def test_timestamps_lead_to_the_nearest_frames(rig, layout):
    write_video(rig.path / "cam02.mp4", pictures(5, 60), 24)  # it began one frame late
    read(rig, layout)
    with pytest.raises(InputError, match="different numbers of frames(?s:.*)cam01 6, cam02 5"):
        run_stage("frames", FramesSettings(trim=0), layout, rig)
    lines = [
        f"{camera},{t + 26},{(t + late) / 24 + (0.03 if (camera, t) == (2, 2) else 0):.6f}"
        for camera, late in ((0, 0), (1, 1), (2, 0))
        for t in range(5 if late else 6)
    ]
    (rig.path / "timestamps.csv").write_text("cam_id,frame_index,frame_time\n" + "\n".join(lines) + "\n")
    write_calibration(rig.path / "cameras.json", [look_at(f"cam_{n}", 0.1 * n) for n in range(3)])
    for n in range(3):
        (rig.path / f"cam0{n + 1}.mp4").rename(rig.path / f"cam_{n}.mp4")
    capture = read(replace(rig, plates="none"), layout)
    assert [capture.index("take", "cam_1", n) for n in range(6)] == [0, 0, 1, 2, 3, 4] and capture.flagged("take") == {0, 2}
    assert capture.time("take", 3) == pytest.approx(3 / 24, abs=1e-5) and capture.fps == pytest.approx(24, rel=1e-4)
    assert [c for c in capture.checks if not c["ok"]][0]["what"] == "time stamps"


def test_different_lengths_are_fine_where_only_the_common_frames_are_used(rig, layout):
    write_video(rig.path / "cam02.mp4", pictures(5, 60), 24)
    capture = read(rig, layout)
    assert capture.sequences["take"]["frames"] == 5 and not next(c for c in capture.checks if c["what"] == "frame counts")["ok"]
    assert run_stage("frames", FramesSettings(), layout, replace(rig, last=4))["frames"] == 5
    assert run_stage("frames", FramesSettings(), layout, replace(rig, last=4))["warnings"] == []
    for last in (5, None):
        with pytest.raises(InputError, match="different numbers of frames"):
            run_stage("frames", FramesSettings(trim=0), layout, replace(rig, last=last))
        trimmed = run_stage("frames", FramesSettings(), layout, replace(rig, last=last))
        assert trimmed["frames"] == 5 and "cut to 5 frames" in trimmed["warnings"][0] and "cam01 6" in trimmed["warnings"][0]


def test_more_frames_than_there_are_is_a_warning(rig, layout):
    read(rig, layout)
    assert "up to 70" in run_stage("frames", FramesSettings(), layout, replace(rig, first=3, last=70))["warnings"][0]
    assert run_stage("frames", FramesSettings(), layout, replace(rig, first=3, last=5))["warnings"] == []


def test_a_missing_video(rig, layout):
    (rig.path / "cam02.mp4").unlink()
    fails_early(rig, layout, "camera 'cam02' has no footage in sequence 'take'")


def test_a_truncated_video(rig, layout):
    data = (rig.path / "cam02.mp4").read_bytes()
    (rig.path / "cam02.mp4").write_bytes(data[: len(data) // 2])
    fails_late(rig, layout, "cam02.mp4")


def test_a_calibration_of_another_size_names_both(rig, layout):
    cameras = [look_at(f"cam0{n}", 0.3 * n, size=(SIZE[0] + 2, SIZE[1])) for n in (1, 2, 3)]
    write_calibration(rig.path / "cameras.json", cameras)
    fails_early(rig, layout, r"cam01.mp4: (?s:.*)64x48(?s:.*)66x48 as in .*cameras.json")
    far = [replace(camera, width=64, K=camera.K * [[1, 1, 40], [1, 1, 1], [1, 1, 1]]) for camera in cameras]
    write_calibration(rig.path / "cameras.json", far)
    fails_early(rig, layout, "K belongs to an image of another size")


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda path: cv2.imwrite(str(path), np.zeros((SIZE[1], SIZE[0], 3), np.uint8)), "plate of camera 'cam02' is blank"),
        (lambda path: path.write_bytes(b""), "cam02_plate.png: cannot be decoded"),
        (lambda path: path.unlink(), "camera 'cam02' has no plate"),
        (lambda path: cv2.imwrite(str(path), np.eye(30, dtype=np.uint8) * 255), "a different size than its video(?s:.*)30x30(?s:.*)64x48"),
        (lambda path: shutil.copy(path, path.with_name("cam02-plate2.png")), "more than one plate"),
    ],
)
def test_bad_plates(rig, layout, spoil, words):
    spoil(rig.path / "background" / "cam02_plate.png")
    fails_early(rig, layout, words)
    assert set(read(replace(rig, plates="none"), layout).plates.values()) == {None}


def test_what_is_not_there_is_named(rig, layout, tmp_path):
    fails_early(replace(rig, path=tmp_path / "nowhere"), layout, "nowhere: no such folder")
    fails_early(replace(rig, plates=str(tmp_path / "nowhere")), layout, "has no plate")
    fails_early(replace(rig, timestamps=tmp_path / "t.csv"), layout, "t.csv: no such table")
    (rig.path / "cameras.json").unlink()
    fails_early(rig, layout, "no calibration found")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"val_cameras": ("cam09",)}, "val camera 'cam09' does not exist(?s:.*)cam01"),
        ({"test_sequences": ("walk",)}, "test sequence 'walk' does not exist(?s:.*)take"),
        ({"test_sequences": ("take",)}, "every sequence is a test sequence"),
    ],
)
def test_roles_that_cannot_be_are_refused_before_the_run_and_by_sample(rig, layout, cells, words):
    read(rig, layout)
    run_stage("frames", FramesSettings(), layout, rig)
    for call in (lambda row: ingest.preflight(row), lambda row: run_stage("sample", SampleSettings(), layout, row)):
        with pytest.raises(InputError, match=words):
            call(replace(rig, **cells))
    assert not layout.sample.exists()


@pytest.mark.parametrize("version", [1, 2])
def test_nersemble(tmp_path, layout, version):
    serials = ["220700191", "222200037", "222200040"]
    root = make_nersemble(tmp_path / "data", serials, ["EMO-1", "EXP-6-tongue-1", "SEN-01", "SEN-02"], version=version)
    if version == 2:
        (root / "018" / "calibration" / "color_calibration.json").write_text(json.dumps({serial: np.eye(3, 11).tolist() for serial in serials}))
    capture = read(CaptureRow("18", "nersemble", root), layout)
    assert sorted(capture.sequences) == ["EMO-1", "SEN-01", "SEN-02"]
    assert all(capture.plates.values())
    assert choose_val_cameras(capture.cameras, ())[0] == ("222200037",) and choose_test_sequences(sorted(capture.sequences), ())[0] == ("SEN-02",)
    assert [c.name for c in capture.cameras] == serials and (capture.cameras[0].width, capture.cameras[0].height) == SIZE
    assert np.allclose(capture.cameras[2].R, look_at("x", 0.6).R) and (len(capture.color) == 3) == (version == 2)
    named = read(CaptureRow("018", "nersemble", root, sequences=("EXP-6-tongue-1", "EMO-1"), plates="none", color="none"), layout)
    assert list(named.sequences) == ["EMO-1", "EXP-6-tongue-1"] and named.color == {}


def test_nersemble_mistakes(tmp_path, layout):
    serials = ["220700191", "222200037"]
    root = make_nersemble(tmp_path / "data", serials, ["EMO-1"])
    fails_early(CaptureRow("19", "nersemble", root), layout, "no calibration of participant '19'")
    calibration = root / "raw" / "camera_params" / "018" / "camera_params.json"
    record = json.loads(calibration.read_text())
    calibration.write_text(json.dumps({key: value for key, value in record.items() if key not in ("width", "height")}))
    fails_early(CaptureRow("018", "nersemble", root), layout, "64x48(?s:.*)2200x3208")
    calibration.write_text(json.dumps(record))
    next(root.rglob("image_222200037.jpg")).unlink()
    fails_early(CaptureRow("018", "nersemble", root), layout, "camera '222200037' has no plate(?s:.*)none")
    next(root.rglob("cam_222200037.mp4")).unlink()
    fails_early(CaptureRow("018", "nersemble", root, plates="none"), layout, "camera '222200037' has no footage in sequence 'EMO-1'")


def test_a_synthetic_capture_is_read_as_nersemble_with_its_truth(tmp_path, layout):
    row = CaptureRow("demo", "synthetic", tmp_path / "demo")
    ingest.preflight(row)  # not made yet
    make_nersemble(tmp_path / "demo", ["a", "b"], ["FREE"], participant="demo")
    assert read(row, layout).truth == tmp_path / "demo" / "truth" and list(read(row, layout).sequences) == ["FREE"]


def test_roles_by_default():
    ring = [look_at(f"c{n}", angle) for n, angle in enumerate(np.radians([-50, -30, 10, 2, 30, 50]))]
    assert choose_val_cameras(ring, ())[0] == ("c3",) and choose_val_cameras(ring[:5], ())[0] == ()
    assert choose_val_cameras(ring, ("c1", "c0"))[0] == ("c1", "c0")
    assert choose_test_sequences(["a", "b"], ())[0] == () and choose_test_sequences(["b", "c", "a"], ())[0] == ("c",)


def test_the_real_webcams(layout):
    capture = read(CaptureRow("x", "rig", real_data("head-caliscope-4cam") / "take1", plates="none", last=65), layout)
    assert [c.name for c in capture.cameras] == ["cam_0", "cam_1", "cam_2", "cam_3"] and capture.fps == pytest.approx(6, rel=0.01)
    assert capture.sequences["take"]["frames"] == 111 and capture.flagged("take") == set() and capture.index("take", "cam_3", 65) == 65


def test_the_real_rig_and_its_trap():
    folder = real_data("body-pose2sim-balance")
    for row in (CaptureRow("x", "rig", folder / "videos", model="body"), CaptureRow("x", "rig", folder, calibration=folder / "cameras_qca_upstream.json")):
        ingest.preflight(row)
    row = CaptureRow("x", "rig", folder, calibration=folder / "calib_original_scene.toml")
    with pytest.raises(InputError, match="cam01.mp4(?s:.*)1080x1920(?s:.*)1088x1920"):
        ingest.preflight(row)
