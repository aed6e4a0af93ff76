"""Keypoints: crops there and back, outliers across cameras, real detections on a photograph."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay

from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame, write_image_set
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.geometry import blocks
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.io.packed import packed_writer, read_image
from pipeline.vision.crops import Crop, box_crop, head_crop, upright_face_crop
from pipeline.vision.keypoints.cross_view import face_crops, pose_crops, reject_outliers
from pipeline.vision.keypoints.detect_per_camera import on_subject, redetect_small_face
from pipeline.vision.keypoints.face_alignment import load_network, locate
from pipeline.vision.keypoints.mediapipe_detector import facing_cosine
from pipeline.vision.keypoints.multi_camera import _reject_outliers
from pipeline.vision.settings import KeypointsSettings
from tests.unit.stage_jobs import run_stage

DATA = Path(os.environ.get("C2A_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
ROW = CaptureRow("x", "rig", Path("raw"))


def _ring(count: int) -> list[Camera]:
    """Cameras on an arc of 0.8 m around the origin, looking at it; the middle one along -z from +z, y down."""
    K = np.array([[900.0, 0, 320], [0, 900, 240], [0, 0, 1]])
    cameras = []
    for index, angle in enumerate(np.linspace(-0.7, 0.7, count)):
        forward = -np.array([np.sin(angle), 0, np.cos(angle)])
        right = np.cross([0, 1.0, 0], forward)
        cameras.append(Camera(f"c{index}", 640, 480, K, np.stack([right, np.cross(forward, right), forward]), np.array([0, 0, 0.8])))
    return cameras


def _face(generator: np.random.Generator) -> np.ndarray:
    """478 points on the front of a head of 10 cm at the origin that stub to +z, with eye corners, forehead and chin in their places."""
    directions = generator.normal(0, 1, (478, 3))
    directions[:, 2] = np.abs(directions[:, 2])
    directions[[33, 263, 10, 152]] = [[0.8, -0.2, 1], [-0.8, -0.2, 1], [0, -1, 0.7], [0, 1, 0.7]]  # seen from +z with y down, the subject's right is at +x
    return 0.1 * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _seen(points: np.ndarray, cameras: list[Camera]) -> np.ndarray:
    """[1, C, N, 3] detections of one frame."""
    pixels = np.stack([camera.project(points) for camera in cameras])[None]
    return np.concatenate([pixels, np.full((*pixels.shape[:-1], 1), 0.8)], axis=-1).astype(np.float32)


def test_crop_goes_there_and_back():
    crop = Crop((130.0, 90.0), 60.0, 0.6)
    image = np.zeros((200, 240, 3), np.uint8)
    cv2.circle(image, (145, 80), 4, (255, 255, 255), -1)
    view = crop.cut(image, 128)
    rows, columns = np.nonzero(view[..., 0] > 127)
    found = crop.to_image(np.array([[columns.mean() + 0.5, rows.mean() + 0.5]]), 128)
    np.testing.assert_allclose(found, [[145.5, 80.5]], atol=0.1)


def test_a_head_crop_is_upright():
    pose = np.zeros((33, 3), np.float32)
    pose[:, 2] = 0.9
    pose[:11, :2] = np.array([200, 100]) + np.random.default_rng(0).uniform(-20, 20, (11, 2))
    pose[11:13, :2] = [[120, 160], [160, 200]]  # shoulders to the lower left: the head leans to the right
    crop = head_crop(pose)
    shoulders = np.linalg.inv(crop.matrix(1)[:, :2]) @ (pose[11:13, :2].mean(0) - crop.centre)
    assert abs(shoulders[0]) < 0.1 and shoulders[1] > 0.3  # below the head in the crop
    pose[:11, 2] = 0.1
    assert head_crop(pose) is None


def test_a_face_crop_is_upright_and_holds_the_face():
    face = np.random.default_rng(0).uniform((200, 100), (260, 160), (478, 2))
    face[10], face[152] = [250, 105], [210, 155]  # forehead to the upper right of the chin
    crop = upright_face_crop(face, 1.35)
    forehead, chin = (np.linalg.inv(crop.matrix(1)[:, :2]) @ (face[k] - crop.centre) for k in (10, 152))
    assert abs(forehead[0] - chin[0]) < 1e-9 and forehead[1] < chin[1]
    assert np.isclose(crop.side, 1.35 * np.ptp(face, axis=0).max())


class _DetectorOf:
    """Stub detector: always the same face; counts the calls."""

    def __init__(self, face: np.ndarray):
        self.detection, self.calls = face, 0

    def face(self, image: np.ndarray, crop: Crop, pixels: int) -> np.ndarray:
        self.calls += 1
        return self.detection


def test_small_faces_are_redetected_and_large_ones_are_not():
    alpha, image = np.full((400, 400), 255, np.uint8), np.zeros((400, 400, 3), np.uint8)
    face = np.column_stack([np.random.default_rng(0).uniform(100, 160, (478, 2)), np.full(478, 0.9)])
    sharper, elsewhere = _DetectorOf(face + [2, 1, 0]), _DetectorOf(face + [40, 0, 0])
    assert redetect_small_face(sharper, image, alpha, face) is sharper.detection
    assert redetect_small_face(elsewhere, image, alpha, face) is face
    large = face * [3, 3, 1] - [200, 200, 0]
    assert redetect_small_face(sharper, image, alpha, large) is large and sharper.calls == 1


def test_an_outlier_is_dropped_and_the_others_stay():
    cameras, face = _ring(4), _face(np.random.default_rng(0))
    points = _seen(face, cameras)
    points[0, 2, :, 0] += 60
    kept, points3d = reject_outliers(points, cameras, 12)
    assert np.isnan(kept[0, 2]).all() and np.isfinite(kept[0, [0, 1, 3]]).all()
    np.testing.assert_allclose(points3d[0], face, atol=1e-4)


def test_frames_are_compared_in_blocks_as_if_at_once(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_WORK", 11 * 16**2)
    cameras, generator = _ring(16), np.random.default_rng(0)
    faces = np.concatenate([_seen(_face(generator)[:40] + generator.normal(0, 0.02, 3), cameras) for _ in range(30)])
    faces[np.arange(30), np.arange(30) % 16, :, 0] += 60  # in every frame one camera sees something else
    poses = faces[:, :, :33]
    expected = [reject_outliers(points, cameras, 12) for points in (faces, poses)]
    for threads in (1, 2):
        face, pose, face3d, pose3d, dropped = _reject_outliers(faces, poses, cameras, (12, 12), threads)
        np.testing.assert_array_equal(face, expected[0][0])
        np.testing.assert_array_equal(pose, expected[1][0])
        np.testing.assert_allclose(face3d, expected[0][1], atol=1e-9)
        np.testing.assert_allclose(pose3d, expected[1][1], atol=1e-9)
        np.testing.assert_array_equal(dropped, 2 * np.bincount(np.arange(30) % 16))


def test_of_two_detections_that_disagree_the_better_score_stays():
    cameras = _ring(2)
    points = _seen(_face(np.random.default_rng(0)), cameras)
    points[0, 1, :, 1] += 80
    points[0, 1, :, 2] = 0.6
    kept, points3d = reject_outliers(points, cameras, 12)
    assert np.isfinite(kept[0, 0]).all() and np.isnan(kept[0, 1]).all() and np.isnan(points3d).all()


def test_a_single_detection_is_kept_and_missing_ones_stay_missing():
    cameras = _ring(3)
    points = _seen(_face(np.random.default_rng(0)), cameras)
    points[0, 1:] = np.nan
    kept, _ = reject_outliers(points, cameras, 12)
    np.testing.assert_array_equal(kept, points)


def test_cameras_get_a_crop_of_a_face_they_can_see():
    cameras, face = _ring(3), _face(np.random.default_rng(0))
    nowhere = np.full((1, 11, 3), np.nan)
    (crop,) = face_crops(face[None], nowhere, cameras[1])
    np.testing.assert_allclose(crop.centre, (320, 240), atol=15)
    assert 200 < crop.side < 500 and abs(crop.angle) < 0.01
    assert face_crops((face * [-1, 1, -1])[None], nowhere, cameras[1]) == [None]  # back-facing
    assert face_crops((face + [3, 0, 0])[None], nowhere, cameras[1]) == [None]  # outside the image
    assert face_crops(np.full((1, 478, 3), np.nan), nowhere, cameras[1]) == [None]


def test_body_crops_follow_the_trunk():
    camera = _ring(1)[0]
    pose = np.zeros((33, 3))
    pose[11:13], pose[23:25] = camera.centre * 0 + [0.1, -0.1, 0], [-0.1, 0.1, 0]
    (crop,) = pose_crops(pose[None], camera)
    top, bottom = camera.project(pose[11]), camera.project(pose[23])
    back = np.linalg.inv(crop.matrix(1)[:, :2]) @ (top - bottom)
    assert abs(back[0]) < 1e-6 and back[1] < 0


def test_back_facing_points_score_less():
    generator = np.random.default_rng(1)
    face = _face(generator) * [-1, 1, -1]  # as MediaPipe gives it: x right, y down, z away
    triangles = Delaunay(face[:468, :2]).simplices
    frontal = facing_cosine(face, triangles)
    c, s = np.cos(1.0), np.sin(1.0)
    turned = facing_cosine(face @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T, triangles)
    flank = np.abs(face[:468, 0]) > 0.07
    left, right = flank & (face[:468, 0] < 0), flank & (face[:468, 0] > 0)
    assert frontal[:468][np.hypot(*face[:468, :2].T) < 0.04].min() > 0.7
    assert abs(turned[:468][left].mean() - turned[:468][right].mean()) > 0.8
    assert min(turned[:468][left].mean(), turned[:468][right].mean()) < 0.1


def test_detections_beside_the_subject_are_rejected():
    alpha = np.zeros((100, 100), np.uint8)
    alpha[20:80, 10:40] = 255
    points = np.column_stack([np.random.default_rng(0).uniform((12, 25), (38, 75), (50, 2)), np.full(50, 0.9)])
    assert on_subject(points, alpha) is points
    assert on_subject(points + [50, 0, 0], alpha) is None
    assert on_subject(points + [500, 0, 0], alpha) is None


class _PeaksAtKnownPlaces(torch.nn.Module):
    """Stub of FAN: heat map i has its peak in cell (10 + i // 8, 5 + i % 8), a little towards the right."""

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        maps = torch.zeros(1, 68, 64, 64)
        for i in range(68):
            maps[0, i, 10 + i // 8, 5 + i % 8] = 0.9
            maps[0, i, 10 + i // 8, 6 + i % 8] = 0.5
        return [maps]


def test_68_points_come_from_heat_map_peaks(tmp_path):
    torch.jit.script(_PeaksAtKnownPlaces()).save(str(tmp_path / "fan.pt"))
    points = locate(load_network(str(tmp_path / "fan.pt")), np.zeros((300, 300, 3), np.uint8), Crop((100.0, 120.0), 128.0))
    np.testing.assert_allclose(points[9], [100 - 64 + 2 * (6.5 + 0.25), 120 - 64 + 2 * 11.5, 0.9], rtol=1e-5)
    with pytest.raises(InputError, match="weights"):
        load_network("")


@pytest.fixture
def layout(tmp_path):
    """A function that writes the photograph, moved by half the width in every second frame, or nothing, into the images of some cameras."""
    photo = DATA / "face-photo-nasa/astronaut.png"
    if not photo.is_file():
        pytest.skip("no photograph: shared data is absent")
    whole = read_image(photo)

    def make(shown: bool, model: str, cameras: tuple[str, ...] = ("front",), count: int = 2, close: bool = False) -> Layout:
        image = cv2.resize(whole[:300, 80:380] if close else whole, (256, 256), interpolation=cv2.INTER_AREA)
        return _write_images(Layout(tmp_path / model, tmp_path / "work"), cameras, count, image if shown else None)

    return make


def _write_images(layout: Layout, names: tuple[str, ...], count: int, image: np.ndarray | None) -> Layout:
    """The stage's input: the image [256, 256, 3] left and right in turn, before grey; only grey without one."""
    frames = tuple(Frame(f"take_{i:06d}", "take", i, i / 10) for i in range(count))
    K = np.diag([500.0, 500, 1]) + [[0, 0, 256], [0, 0, 150], [0, 0, 0]]
    cameras = tuple(Camera(name, 512, 300, K, np.eye(3), np.array([0.1 * index, 0, 0])) for index, name in enumerate(names))
    for (folder, channels), name in product(((layout.frames, 3), (layout.alpha, 4)), names):
        with packed_writer(folder / f"{name}.zip") as writer:
            for i, frame in enumerate(frames):
                canvas = np.zeros((300, 512, channels), np.uint8)
                canvas[..., :3] = 90
                if image is not None:
                    left = 256 * (i % 2)
                    canvas[40:296, left : left + 256, :3] = image
                    canvas[40:296, left : left + 256, 3:] = 255
                writer.add(frame.id, canvas)
    write_image_set(layout.frames_json, layout.frames, cameras, frames, {})
    write_image_set(layout.alpha_json, layout.alpha, cameras, frames, {})
    return layout


def test_stage_finds_the_face_where_it_is(layout, capfd):
    head = layout(True, "head")
    facts = run_stage("keypoints", KeypointsSettings(), head, ROW, 1)
    arrays = load_npz(head.keypoints, {"cameras": (1,), "frames": (2,), "face": (2, 1, 478, 3), "pose": (2, 1, 33, 3)})
    assert facts["cameras"]["front"]["face"] == 1 and arrays["face"].dtype == np.float32
    for i in range(2):
        nose = arrays["face"][i, 0, 4]
        np.testing.assert_allclose(nose[:2], (256 * i + 113, 40 + 58), atol=8)
        assert 0.3 < nose[2] <= 1
    np.testing.assert_allclose(arrays["face"][1, 0, :, :2] - arrays["face"][0, 0, :, :2], [[256, 0]] * 478, atol=4)
    assert "GetPrototype" not in capfd.readouterr().err


@pytest.mark.parametrize(("model", "what"), [("head", "face"), ("body", "person")])
def test_stage_reports_when_nobody_is_detected(layout, model, what):
    empty = layout(False, model)
    with pytest.raises(InputError, match=f"no {what} was found in any view"):
        run_stage("keypoints", KeypointsSettings(), empty, replace(ROW, model=model))
    assert not empty.keypoints.exists()


def test_neither_parts_nor_threads_change_a_byte(layout):
    head = layout(True, "head", ("one", "two"), count=6, close=True)
    run_stage("keypoints", KeypointsSettings(), head, ROW, 1)
    alone = head.keypoints.read_bytes()
    poses = np.isfinite(load_npz(head.keypoints)["pose"]).any((-2, -1))
    assert poses.any() and not poses.all(), "the body is detected in some of the images only; which must not depend on the threads"
    run_stage("keypoints", KeypointsSettings(), head, ROW, 3)  # two chunks a camera
    assert head.keypoints.read_bytes() == alone
    head.keypoints.unlink()
    for first in (0, 1):
        assert run_stage("keypoints", KeypointsSettings(), head, ROW, 1, slice(first, None, 2)) == {} and not head.keypoints.exists()
    run_stage("keypoints", KeypointsSettings(), head, ROW, 1)
    assert head.keypoints.read_bytes() == alone


class _DetectCameraStub:
    """Stub of `detect_camera`: the same points in every image; records its calls; fails at camera `fails_at`."""

    def __init__(self):
        self.calls, self.fails_at = [], ""

    def __call__(self, frames: Path, mattes: Path, names: list[str], pose_stride: int, minimum_score: float) -> tuple[np.ndarray, np.ndarray]:
        if frames.stem == self.fails_at:
            raise MemoryError
        self.calls.append((frames.stem, *names))
        points = np.random.default_rng(len(names)).uniform(50, 250, (len(names), 511, 3)).astype(np.float32)
        return points[:, :478], points[:, 478:]


def test_finished_cameras_are_not_detected_again(tmp_path, monkeypatch):
    stub, settings = _DetectCameraStub(), KeypointsSettings()
    monkeypatch.setattr("pipeline.vision.keypoints.multi_camera.detect_camera", stub)
    head = _write_images(Layout(tmp_path / "x", tmp_path / "work"), ("one", "two", "three"), 2, None)
    stub.fails_at = "three"
    with pytest.raises(MemoryError):
        run_stage("keypoints", settings, head, ROW, 1)
    stub.fails_at = ""
    run_stage("keypoints", settings, head, ROW, 1, slice(2, None))
    run_stage("keypoints", replace(settings, face_gate=0.5), head, ROW, 1)  # a later step's setting
    assert [name for name, *_ in stub.calls] == ["one", "two", "three"]
    assert head.keypoints.is_file() and not head.scratch("keypoints").exists()
    run_stage("keypoints", settings, head, ROW, 1, slice(0, 1))
    run_stage("keypoints", replace(settings, minimum_score=0.6), head, ROW, 1)
    assert [name for name, *_ in stub.calls[3:]] == ["one", "one", "two", "three"], "detections with another setting do not count"


def test_a_part_checks_its_own_cameras(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.vision.keypoints.multi_camera.detect_camera", _DetectCameraStub())
    head = _write_images(Layout(tmp_path / "x", tmp_path / "work"), ("one", "two"), 2, None)
    archive = head.alpha / "two.zip"
    archive.write_bytes(archive.read_bytes().replace(b"take", b"tale"))
    run_stage("keypoints", KeypointsSettings(), head, ROW, 1, slice(0, None, 2))
    for part in (slice(1, None, 2), None):
        with pytest.raises(InputError, match="two.zip: was changed"):
            run_stage("keypoints", KeypointsSettings(), head, ROW, 1, part)


def test_box_crop_holds_its_points():
    points = np.random.default_rng(0).uniform(30, 80, (20, 2))
    crop = box_crop(points, 1.2)
    inside = np.abs(points - crop.centre).max()
    assert inside <= crop.side / 2 / 1.2 + 1e-9
