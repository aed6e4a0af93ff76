"""What people have beside their videos: calibrations of every form, mattes, images with numbers, turned phones."""

import json
import shutil
import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.capture.calibration import read_calibration, write_calibration
from pipeline.capture.media import images_in, inspect, read_frames, read_mattes
from pipeline.capture.record import read_capture
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.geometry.camera_readings import as_stored
from pipeline.io.errors import InputError
from pipeline.io.packed import PackedImages
from pipeline.io.video import decode, image_size, write_video
from pipeline.stages import ingest
from pipeline.vision.settings import MatteSettings
from tests.unit.capture_trees import SIZE, look_at, make_nersemble, make_rig
from tests.unit.stage_jobs import run_stage

CAMERAS = [look_at("cam01", 0.0), look_at("cam02", 0.8), look_at("cam03", -0.8)]


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "results" / "x", tmp_path / "work" / "x")


@pytest.fixture
def rig(tmp_path):
    return CaptureRow("x", "rig", make_rig(tmp_path / "rig", CAMERAS, frames=3))


def read(row, layout):
    ingest.preflight(row)
    run_stage("ingest", IngestSettings(), layout, row)
    return read_capture(layout.capture)


def write_opencv(path, cameras, suffix=True, parts=("K", "Rot", "T")):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for camera in cameras:
        for name, value in (("K", camera.K), ("dist", np.zeros((1, 5))), ("Rot", camera.R), ("T", camera.t.reshape(3, 1))):
            if name in parts:
                storage.write(f"{name}_{camera.name}" if suffix else name, value)
    storage.release()


def write_toml(path, cameras):
    entries = [
        f"[{c.name}]\nname = '{c.name}'\nsize = [{c.width}, {c.height}]\nmatrix = {c.K.tolist()}\ndistortions = [0.0, 0.0, 0.0, 0.0]\n"
        f"rotation = {cv2.Rodrigues(c.R)[0].ravel().tolist()}\ntranslation = {c.t.tolist()}\nfisheye = false\n"
        for c in cameras
    ]
    path.write_text("\n".join(entries))


def intri(root):
    write_opencv(root / "intri.yml", CAMERAS, parts=("K", "dist"))
    write_opencv(root / "extri.yml", CAMERAS, parts=("Rot", "T"))


def per_camera(root):
    root.mkdir(exist_ok=True)
    for camera in CAMERAS:
        write_opencv(root / f"{camera.name}.yml", [camera], suffix=False)


@pytest.mark.parametrize(
    "write, used",
    [
        (intri, "intri.yml"),
        (lambda root: intri(root.parent), "intri.yml"),
        (lambda root: write_toml(root / "Calib_scene.toml", CAMERAS), "Calib_scene.toml"),
        (lambda root: write_opencv(root / "calibration.yml", CAMERAS), "calibration.yml"),
        (lambda root: write_calibration(root / "my_cameras.json", CAMERAS), "my_cameras.json"),
        (lambda root: per_camera(root / "calibration"), "cam01.yml"),
        (per_camera, "cam01.yml"),
    ],
)
def test_every_form_of_calibration_is_found_beside_the_videos(rig, layout, write, used):
    (rig.path / "cameras.json").unlink()
    (rig.path / "config.toml").write_text("[project]\n")
    write(rig.path)
    capture = read(rig, layout)
    for camera, expected in zip(capture.cameras, CAMERAS):
        assert camera.name == expected.name and np.allclose(camera.R, expected.R, atol=1e-6) and np.allclose(camera.t, expected.t)
    facts = run_stage("ingest", IngestSettings(), layout, rig)
    assert any(path.endswith(used) and value for path, value in facts["sources"].items())


def test_cameras_json_comes_first_and_the_others_are_noted(rig, layout):
    intri(rig.path)
    capture = read(rig, layout)
    assert any("cameras.json; not used: intri.yml" in check["detail"] for check in capture.checks)


def test_the_error_lists_what_was_seen(rig):
    (rig.path / "cameras.json").unlink()
    (rig.path / "notes.txt").write_text("hello")
    (rig.path / "poses.csv").write_text("1,2")
    with pytest.raises(InputError, match="no calibration found(?s:.*)notes.txt(?s:.*)poses.csv(?s:.*)intri.yml with extri.yml(?s:.*)column 'calibration'"):
        ingest.preflight(rig)


@pytest.mark.parametrize(("convention", "units", "factor"), [("opengl_c2w", "mm", 1000), ("opencv_c2w", "cm", 100), ("opencv", "m", 1), ("opengl", "", 1)])
def test_convention_and_units_make_a_foreign_calibration_right(tmp_path, convention, units, factor):
    stored = [replace(camera, R=R, t=t * factor) for camera in CAMERAS for R, t in [as_stored(convention, camera.R, camera.t)]]
    write_calibration(tmp_path / "cameras.json", stored)
    record = json.loads((tmp_path / "cameras.json").read_text())
    (tmp_path / "cameras.json").write_text(json.dumps({**record, "convention": "whatever its program says"}))
    with pytest.raises(InputError, match="'convention' of captures.tsv(?s:.*)opengl_c2w"):
        read_calibration(tmp_path / "cameras.json")
    for camera, expected in zip(read_calibration(tmp_path / "cameras.json", convention=convention, units=units), CAMERAS):
        assert np.allclose(camera.R, expected.R) and np.allclose(camera.t, expected.t) and np.allclose(camera.centre, expected.centre)


def test_images_are_in_the_order_of_their_numbers(tmp_path):
    for n in (1, 2, 10, 11, 9):
        cv2.imwrite(str(tmp_path / f"IMG_{n}.png"), np.full((4, 4, 3), n, np.uint8))
    assert [path.stem for path in images_in(tmp_path)] == ["IMG_1", "IMG_2", "IMG_9", "IMG_10", "IMG_11"]
    assert [int(image[0, 0, 0]) for _, image in read_frames(tmp_path, range(5))] == [1, 2, 9, 10, 11]


def test_names_with_and_without_numbers_can_be_sorted_together(tmp_path):
    for name in ("10", "a", "a2", "2a", "_", "02"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((4, 4), np.uint8))
    assert [path.stem for path in images_in(tmp_path)] == ["02", "2a", "10", "_", "a", "a2"]


def image_folders(root, channels, count=3):
    """Three cameras with a disc in the alpha of their images, or in masks."""
    for camera in CAMERAS:
        (root / camera.name).mkdir(parents=True)
        for n in range(count):
            alpha = cv2.circle(np.zeros((SIZE[1], SIZE[0]), np.uint8), (20 + 8 * n, 24), 10, 255, -1)
            image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            image[alpha > 0] = (200, 150, 120)
            value = {1: alpha, 3: image, 4: np.dstack([image, alpha])}[channels]
            cv2.imwrite(str(root / camera.name / f"{n}.png"), value)
    return root


def mattes_of(row, layout, settings=None):
    run_stage("ingest", IngestSettings(), layout, row)
    run_stage("frames", FramesSettings(), layout, row)
    run_stage("sample", SampleSettings(blur=0), layout, row)
    facts = run_stage("matte", settings or MatteSettings(), layout, row)
    return facts, [PackedImages(layout.alpha / "cam02.zip").read(f"take_{n:06d}")[..., 3] for n in range(3)]


def check_discs(alphas, tolerance=0):
    for n, alpha in enumerate(alphas):
        truth = cv2.circle(np.zeros((SIZE[1], SIZE[0]), np.uint8), (20 + 8 * n, 24), 10, 255, -1)
        assert np.abs(alpha.astype(int) - truth).mean() <= tolerance and alpha.max() > 250


def test_masks_beside_the_images_are_taken_and_none_leaves_them(tmp_path, layout):
    root = image_folders(tmp_path / "rig" / "videos", 3).parent
    image_folders(root / "masks", 1)
    write_calibration(root / "cameras.json", CAMERAS)
    row = CaptureRow("x", "rig", root)
    facts, alphas = mattes_of(row, layout)
    check_discs(alphas)
    assert all(fact["backend"] == "given" for fact in facts["cameras"].values()) and facts["warnings"] == []
    for path in (root / "masks").rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), 0) // 255)
    check_discs(mattes_of(row, layout)[1])
    for path in (root / "masks" / "cam01").glob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), 0) * 128)
    assert "the mattes of camera cam01 reach only 128 of 255" in mattes_of(row, layout)[0]["warnings"][0]
    assert "matte" not in read(replace(row, mattes="none"), layout).sequences["take"]["videos"]["cam01"]
    (root / "masks" / "cam03" / "2.png").unlink()
    with pytest.raises(InputError, match="mattes of camera 'cam03' do not belong(?s:.*)2 frames(?s:.*)3 frames(?s:.*)'mattes'"):
        run_stage("ingest", IngestSettings(), layout, row)
    shutil.rmtree(root / "masks" / "cam02")
    with pytest.raises(InputError, match="camera 'cam02' has no mattes"):
        ingest.preflight(row)


def test_the_alpha_of_rgba_images_is_the_matte(tmp_path, layout):
    root = image_folders(tmp_path / "rig", 4)
    write_calibration(root / "cameras.json", CAMERAS)
    row = CaptureRow("x", "rig", root)
    check_discs(mattes_of(row, layout)[1])
    assert "matte" not in read(replace(row, mattes="none"), layout).sequences["take"]["videos"]["cam01"]


def test_images_of_16_bits_are_read_and_their_alpha_is_the_matte(tmp_path, layout):
    root = image_folders(tmp_path / "rig", 4)
    for path in root.rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 257)
    write_calibration(root / "cameras.json", CAMERAS)
    row = CaptureRow("x", "rig", root)
    check_discs(mattes_of(row, layout)[1])
    for path in root.rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., :3])
    assert "matte" not in read(row, layout).sequences["take"]["videos"]["cam01"]


def test_opaque_rgba_images_are_no_mattes(tmp_path, layout):
    root = image_folders(tmp_path / "rig", 4)
    for path in root.rglob("*.png"):
        cv2.imwrite(str(path), np.dstack([cv2.imread(str(path)), np.full((SIZE[1], SIZE[0]), 255, np.uint8)]))
    write_calibration(root / "cameras.json", CAMERAS)
    assert "matte" not in read(CaptureRow("x", "rig", root), layout).sequences["take"]["videos"]["cam01"]


def test_a_camera_without_a_video_is_said_before_its_plate(rig):
    write_calibration(rig.path / "cameras.json", [replace(CAMERAS[0], name="Left-1"), *CAMERAS[1:]])
    with pytest.raises(InputError, match="camera 'Left-1' has no footage(?s:.*)cam02"):
        ingest.preflight(rig)


def test_videos_of_masks_in_a_column(rig, layout, tmp_path):
    for camera in CAMERAS:
        discs = [cv2.circle(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), (20 + 8 * n, 24), 10, (255, 255, 255), -1) for n in range(3)]
        write_video(tmp_path / "mine" / f"{camera.name}.mp4", discs, 24)
    check_discs(mattes_of(replace(rig, mattes=str(tmp_path / "mine")), layout)[1], tolerance=1.5)
    with pytest.raises(InputError, match="nowhere: no such folder(?s:.*)'mattes'"):
        ingest.preflight(replace(rig, mattes=str(tmp_path / "nowhere")))


def test_colours_at_soft_edges_are_the_foregrounds(tmp_path):
    from pipeline.vision.matting.given import given_matte

    alpha = cv2.GaussianBlur(cv2.circle(np.zeros((80, 80), np.uint8), (40, 40), 20, 255, -1), (0, 0), 2)
    share = alpha[..., None] / 255
    image = (share * np.float32([200, 150, 120]) + (1 - share) * np.float32([20, 90, 30])).round().astype(np.uint8)
    found = given_matte(image, alpha, None).rgba
    edge = (alpha > 60) & (alpha < 200)
    assert np.abs(found[edge][:, :3].astype(int) - [200, 150, 120]).mean() < 6 < np.abs(image[edge].astype(int) - [200, 150, 120]).mean()
    np.testing.assert_allclose(found[edge][:, 3], alpha[edge], atol=1)


def test_rate_of_image_folders(tmp_path, layout):
    root = image_folders(tmp_path / "rig", 3)
    write_calibration(root / "cameras.json", CAMERAS)
    assert read(CaptureRow("x", "rig", root), layout).fps == 30
    capture = read(CaptureRow("x", "rig", root, fps=12.5), layout)
    assert capture.fps == 12.5 and capture.time("take", 2) == pytest.approx(2 / 12.5)


def test_cells_that_change_nothing_are_a_warning(rig, layout, tmp_path):
    assert "'fps' is not used" in run_stage("ingest", IngestSettings(), layout, replace(rig, fps=25.0))["warnings"][0]
    root = make_nersemble(tmp_path / "data", ["1", "2"], ["EMO-1"], frames=2)
    warnings = run_stage("ingest", IngestSettings(), layout, CaptureRow("18", "nersemble", root, units="mm"))["warnings"]
    assert len(warnings) == 1 and "'units' is not used by the kind 'nersemble'" in warnings[0]
    assert run_stage("ingest", IngestSettings(), layout, rig)["warnings"] == []


def turned(path, degrees):
    """The video with the rotation that a phone notes: a matrix in the track's header of an mp4."""
    matrix = {90: (0, 1, 0, -1, 0, 0), 180: (-1, 0, 0, 0, -1, 0), 270: (0, -1, 0, 1, 0, 0)}[degrees]
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    data[start : start + 24] = struct.pack(">6i", *(value * 65536 for value in matrix))
    path.write_bytes(data)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_phone_is_read_as_opencv_reads_it(tmp_path, degrees):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:10, :20], image[-10:, :10] = 255, (255, 0, 0)
    write_video(tmp_path / "a.mp4", [image] * 2, 24)
    turned(tmp_path / "a.mp4", degrees)
    expected = cv2.VideoCapture(str(tmp_path / "a.mp4")).read()[1][..., ::-1]
    frames = [frame for _, frame in decode(tmp_path / "a.mp4")]
    assert frames[0].shape == expected.shape and np.abs(frames[0].astype(int) - expected).max() <= 2
    found = inspect(tmp_path / "a.mp4")
    assert (found.width, found.height) == expected.shape[1::-1] == image_size(tmp_path / "a.mp4")
    assert next(read_mattes(tmp_path / "a.mp4", [1]))[1].shape == expected.shape[:2]


def test_a_turned_camera_passes_with_the_calibration_of_upright_images(rig, layout):
    turned(rig.path / "cam02.mp4", 90)
    with pytest.raises(InputError, match="cam02(?s:.*)48x64(?s:.*)64x48"):
        ingest.preflight(replace(rig, plates="none"))
    upright = replace(CAMERAS[1], width=48, height=64, K=CAMERAS[1].K[[1, 0, 2]][:, [1, 0, 2]])
    write_calibration(rig.path / "cameras.json", [CAMERAS[0], upright, CAMERAS[2]])
    assert read(replace(rig, plates="none"), layout).sequences["take"]["videos"]["cam02"]["height"] == 64
    run_stage("frames", FramesSettings(), layout, rig)
    assert PackedImages(layout.frames / "cam02.zip").read("take_000000").shape == (64, 48, 3)


def test_one_camera_is_refused_before_anything_runs(rig):
    write_calibration(rig.path / "cameras.json", CAMERAS[:1])
    with pytest.raises(InputError, match="two training cameras(?s:.*)1 calibrated camera with footage .cam01(?s:.*)names"):
        ingest.preflight(rig)
    ingest.preflight(rig, single=True)
    write_calibration(rig.path / "cameras.json", CAMERAS)
    with pytest.raises(InputError, match="two training cameras(?s:.*)held out: cam01, cam02(?s:.*)val_cameras"):
        ingest.preflight(replace(rig, val_cameras=("cam01", "cam02")))
