"""COLMAP's and Blender's scenes: cameras, points, held-out images and mattes as the files say; damaged ones are named."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.capture.forms.colmap import colmap_points, find_model
from pipeline.capture.scene_reader import read_blender, read_colmap
from pipeline.capture.settings import IngestSettings
from pipeline.contract.captures_table import CaptureRow
from pipeline.io.errors import InputError
from pipeline.stages.ingest import _examine, preflight
from tests.unit import scenes


@pytest.fixture
def room(tmp_path):
    return tmp_path, {camera.name: camera for camera in scenes.colmap_scene(tmp_path, 17, k1=0.08, points=40, size=16)}


@pytest.mark.parametrize("binary", [False, True])
def test_a_model_gives_the_cameras_and_points_that_made_it(room, binary):
    root, made = room
    if binary:
        scenes.to_binary(root / "sparse" / "0")
    source = read_colmap(root)
    assert [camera.name for camera in source.cameras] == sorted(made)
    for camera in source.cameras:
        expected = made[camera.name]
        for name in ("K", "R", "t", "dist"):
            np.testing.assert_allclose(getattr(camera, name), getattr(expected, name), atol=1e-12)
        assert (camera.width, camera.height) == (16, 16) and source.footage["take"][camera.name] == root / "images" / f"{camera.name}.png"
    xyz, rgb = colmap_points(source.points)
    expected_xyz, expected_rgb = scenes.surface_points(40)
    np.testing.assert_allclose(xyz, expected_xyz, rtol=1e-12)
    np.testing.assert_array_equal(rgb, expected_rgb)
    assert source.held_out.cameras == ("view000", "view008", "view016") and source.whole and not source.mattes


@pytest.mark.parametrize(
    ("model", "dist"),
    [
        ("SIMPLE_PINHOLE 16 16 18 8 7", ()),
        ("PINHOLE 16 16 18 19 8 7", ()),
        ("RADIAL 16 16 18 8 7 0.1 0.02", (0.1, 0.02, 0, 0)),
        ("OPENCV 16 16 18 19 8 7 0.1 0.02 0.003 0.004", (0.1, 0.02, 0.003, 0.004)),
        ("FULL_OPENCV 16 16 18 19 8 7 0.1 0.02 0.003 0.004 0.05 0 0 0", (0.1, 0.02, 0.003, 0.004, 0.05)),
        ("OPENCV_FISHEYE 16 16 18 19 8 7 0.1 0 0 0", "OPENCV_FISHEYE(?s:.*)image_undistorter"),
        ("FULL_OPENCV 16 16 18 19 8 7 0.1 0.02 0.003 0.004 0.05 0.1 0 0", "FULL_OPENCV(?s:.*)k4 = k5 = k6 = 0"),
        ("PINHOLE 16 16 18 19 8", "PINHOLE with 3 parameters"),
    ],
)
def test_camera_models(room, model, dist):
    root, _ = room
    (root / "sparse" / "0" / "cameras.txt").write_text(f"1 {model}\n")
    if isinstance(dist, str):
        with pytest.raises(InputError, match=f"cameras.txt: (?s:.*){dist}"):
            read_colmap(root)
    else:
        camera = read_colmap(root).cameras[0]
        assert camera.dist == dist and camera.K[0].tolist() == [18, 0, 8] and camera.K[1, 2] == 7


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_a_truncated_binary_file_is_named(room, name):
    sparse = room[0] / "sparse" / "0"
    scenes.to_binary(sparse)
    data = (sparse / name).read_bytes()
    for end in (0, 5, len(data) // 2, len(data) - 3):
        (sparse / name).write_bytes(data[:end])
        with pytest.raises(InputError, match=f"{name}: is not a file of a COLMAP model"):
            colmap_points(sparse / name) if name.startswith("points") else read_colmap(room[0])


def test_what_is_wrong_with_a_project_is_named(room, tmp_path):
    root, _ = room
    row = CaptureRow("a", "colmap", root)
    preflight(row, single=True)
    (root / "images" / "view003.png").unlink()
    with pytest.raises(InputError, match="camera 'view003' has no footage"):
        preflight(row, single=True)
    images = root / "sparse" / "0" / "images.txt"
    images.write_text(images.read_text().replace("view003.png", "view004.png"))
    with pytest.raises(InputError, match="two images would be the camera"):
        preflight(row, single=True)
    images.write_text(images.read_text().replace(" 1 view004.png", " 7 view003.png", 1))
    with pytest.raises(InputError, match="names no camera of the model"):
        read_colmap(root)
    points = root / "sparse" / "0" / "points3D.txt"
    points.write_text("1 0 0 nan 1 2 3 0.1\n")
    with pytest.raises(InputError, match="points3D.txt: holds points that are not finite"):
        colmap_points(points)
    with pytest.raises(InputError, match="no sparse model(?s:.*)sparse/0"):
        read_colmap(tmp_path / "images")
    assert find_model(tmp_path / "images") is None


def test_masks_are_mattes_and_images_keep_how_they_are_stored(room):
    root, _ = room
    for image in sorted((root / "images").iterdir()):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:9] = 255
        scenes.write_image(root / "masks" / f"{image.name}.png", np.repeat(mask[..., None], 3, 2))  # COLMAP's way: the image's name and .png
    source = read_colmap(root)
    assert source.mattes["take"]["view000"] == root / "masks" / "view000.png.png" and not read_colmap(root, mattes="none").mattes
    (root / "masks" / "view005.png.png").unlink()
    with pytest.raises(InputError, match="image 'view005.png' has no matte(?s:.*)none"):
        read_colmap(root)


def test_an_image_that_exif_says_is_turned_is_read_as_it_is_stored(tmp_path):
    """COLMAP measures on the pixels as they are stored."""
    from pipeline.capture.media import image_size

    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = cv2.imencode(".jpg", np.zeros((10, 20, 3), np.uint8))[1].tobytes()
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    (tmp_path / "a.jpg").write_bytes(turned)
    assert image_size(tmp_path / "a.jpg") == (20, 10) and image_size(tmp_path) == (10, 20)


def test_blenders_splits_and_mattes(tmp_path):
    made = scenes.blender_scene(tmp_path, {"train": 4, "val": 2, "test": 3}, size=16)
    source = read_blender(tmp_path)
    expected = [camera for split in ("train", "val", "test") for camera in made[split]]
    assert [camera.name for camera in source.cameras] == [camera.name for camera in expected]
    for camera, true in zip(source.cameras, expected):
        np.testing.assert_allclose(camera.K, true.K, atol=1e-9)
        np.testing.assert_allclose([*camera.R.ravel(), *camera.t], [*true.R.ravel(), *true.t], atol=1e-12)
    assert source.footage["take"]["train_r_2"] == tmp_path / "train" / "r_2.png", "the ending is added"
    assert set(source.held_out.cameras) == {camera.name for camera in made["val"] + made["test"]}
    assert source.mattes["take"] == source.footage["take"], "the alpha of the images"
    few = read_blender(tmp_path, splits=("train", "test"))
    assert few.held_out.cameras == tuple(camera.name for camera in made["test"]) and len(few.cameras) == 7
    source, _ = _examine(IngestSettings(), CaptureRow("a", "blender", tmp_path))
    assert {(camera.width, camera.height) for camera in source.cameras} == {(16, 16)}


def test_one_transforms_json_has_every_eighth_image_held_out(tmp_path):
    scenes.blender_scene(tmp_path, {"train": 10}, size=16)
    path = tmp_path / "transforms_train.json"
    record = json.loads(path.read_text())
    for frame in record["frames"]:
        frame |= {"fl_x": 20.0, "fl_y": 21.0, "cx": 7.5, "cy": 8.25, "w": 16, "h": 16, "k1": 0.1}
    path.unlink()
    (tmp_path / "transforms.json").write_text(json.dumps(record | {"camera_model": "OPENCV"}))
    source = read_blender(tmp_path)
    assert source.held_out.cameras == ("train_r_0", "train_r_8")
    assert source.cameras[1].K.tolist() == [[20, 0, 7.5], [0, 21, 8.25], [0, 0, 1]] and source.cameras[1].dist == (0.1, 0, 0, 0, 0)
    for change, words in [
        ({"camera_model": "OPENCV_FISHEYE"}, "OPENCV_FISHEYE"),
        ({"k4": 0.1}, "k4"),
        ({"camera_angle_x": 4, "frames": "x"}, "is not a transforms.json"),
    ]:
        (tmp_path / "transforms.json").write_text(json.dumps(record | change))
        with pytest.raises(InputError, match=f"transforms.json: (?s:.*){words}"):
            read_blender(tmp_path)
    with pytest.raises(InputError, match="no transforms of training images"):
        read_blender(Path(tmp_path / "train"))


def test_soft_edges_of_straight_alpha_keep_their_colour(tmp_path):
    """Such an image is put over black where it is read, so that mattes find the foreground's colour again."""
    from pipeline.capture.media import read_frames

    image = np.zeros((8, 8, 4), np.uint8)
    image[..., :3], image[..., 3] = (200, 100, 50), 51
    scenes.write_image(tmp_path / "a.png", image)
    ((_, read),) = read_frames(tmp_path / "a.png", [0])
    assert read[0, 0].tolist() == [40, 20, 10]


def test_a_reader_of_a_scene_keeps_frames_apart_from_cameras(room):
    """Every image is a camera, all of one instant."""
    source = read_colmap(room[0])
    assert list(source.footage) == ["take"] and set(source.footage["take"]) == {camera.name for camera in source.cameras}
    assert replace(source, whole=False).plates == dict.fromkeys(source.footage["take"])
