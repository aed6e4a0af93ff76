"""A synthetic capture: the layout of NeRSemble v1, and ground truth that fits the images."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.io.arrays import load_npz
from pipeline.io.errors import InputError
from pipeline.io.files import sha256
from pipeline.io.packed import PackedImages, read_image
from pipeline.io.video import decode, probe
from pipeline.mesh.raster import zbuffer
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.synthetic.write_capture import synthesise

TINY = SynthesiseSettings(width=64, height=96, cameras=2, frames=2, sequences=("EMO-1-shout+laugh", "talk"))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "tiny"
    synthesise(TINY, out, "tiny", 1)
    return out


def cameras_of(capture: Path) -> dict[str, Camera]:
    record = json.loads((capture / "raw/camera_params/tiny/camera_params.json").read_text())
    matrices = {name: np.array(matrix) for name, matrix in record["world_2_cam"].items()}
    K = np.array(record["intrinsics"])
    return {name: Camera(name, record["width"], record["height"], K, matrix[:3, :3], matrix[:3, 3]) for name, matrix in matrices.items()}


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_layout_is_nersemble_v1(capture: Path) -> None:
    names = set(cameras_of(capture))
    assert len(names) == 2 and "222200037" in names
    expected = {"raw/camera_params/tiny/camera_params.json", "truth/truth.npz", "truth/novel.json", "truth/novel/novel.zip"}
    for name in names:
        expected |= {f"raw/sequence_BACKGROUND_part-1/tiny/BACKGROUND/image_{name}.jpg", f"truth/alpha/{name}.zip"}
        expected |= {f"raw/sequence_{sequence}_part-1/tiny/{sequence}/cam_{name}.mp4" for sequence in TINY.sequences}
    assert set(files(capture)) == expected


def test_videos_and_plates_decode_at_full_size(capture: Path) -> None:
    videos = sorted(capture.rglob("*.mp4"))
    assert len(videos) == 4
    for video in videos:
        info = probe(video)
        assert (info.width, info.height, info.frames, info.fps) == (64, 96, 2, 24)
    for plate in capture.rglob("*.jpg"):
        assert read_image(plate).shape == (96, 64, 3)


def test_true_vertices_lie_inside_the_true_alpha(capture: Path) -> None:
    truth = load_npz(capture / "truth/truth.npz", {"frames": (4,), "vertices": (4, None, 3)})
    for name, camera in cameras_of(capture).items():
        alpha = PackedImages(capture / f"truth/alpha/{name}.zip")
        assert alpha.names() == truth["frames"].tolist()
        for frame, vertices in zip(truth["frames"], truth["vertices"]):
            mask = alpha.read(str(frame))
            assert mask[:8].max() == 0 and mask[:, 32].max() == 255
            near = cv2.dilate(mask, np.ones((3, 3)))  # a vertex on the contour may fall into a pixel of which the subject covers no sample
            column, row = np.floor(camera.project(vertices)).astype(int).T
            inside = (column >= 0) & (column < 64) & (row >= 0) & (row < 96)
            assert inside.mean() > 0.7 and near[row[inside], column[inside]].min() > 0


def test_true_alpha_is_the_covered_share_of_each_pixel(capture: Path) -> None:
    truth, faces = load_npz(capture / "truth/truth.npz"), load_model("anny_head").faces.numpy()
    for name, camera in cameras_of(capture).items():
        for frame, vertices in zip(truth["frames"], truth["vertices"]):
            seen = camera.to_camera(vertices.astype(np.float64))
            covered = zbuffer(camera.project(vertices) * 2, seen[:, 2], faces, 128, 192).face_id >= 0
            share = covered.reshape(96, 2, 64, 2).mean(axis=(1, 3))
            mask = PackedImages(capture / f"truth/alpha/{name}.zip").read(str(frame))
            np.testing.assert_array_equal(mask, np.floor(share * 255 + 0.5))


def test_truth_is_what_the_model_says(capture: Path) -> None:
    truth = load_npz(capture / "truth/truth.npz")
    model = load_model(str(truth["model"]))
    posed = model.pose_vertices(*(torch.from_numpy(truth[name]) for name in ("identity", "expression", "pose", "translation")))
    assert np.abs(posed.vertices.numpy() - truth["vertices"]).max() < 1e-5
    assert truth["expression"].min() >= 0 and truth["expression"].max() <= 1


def test_background_is_the_plate_and_the_subject_is_not(capture: Path) -> None:
    for name in cameras_of(capture):
        plate = read_image(capture / f"raw/sequence_BACKGROUND_part-1/tiny/BACKGROUND/image_{name}.jpg").astype(float)
        alpha = PackedImages(capture / f"truth/alpha/{name}.zip")
        for index, image in decode(capture / f"raw/sequence_talk_part-1/tiny/talk/cam_{name}.mp4"):
            difference = np.abs(image - plate).max(axis=2)
            mask = alpha.read(f"talk_{index:06d}")
            assert np.median(difference[mask == 0]) < 8 < 20 < np.median(difference[mask == 255])


def test_novel_camera_differs_from_the_others(capture: Path) -> None:
    novel = Camera.from_json(json.loads((capture / "truth/novel.json").read_text())["cameras"][0])
    images = PackedImages(capture / "truth/novel/novel.zip")
    assert images.read(images.names()[0]).shape == (96, 64, 4)
    for camera in cameras_of(capture).values():
        assert np.linalg.norm(camera.centre - novel.centre) > 0.05
        np.testing.assert_array_equal(camera.K, novel.K)


def test_same_seed_gives_the_same_bytes_whatever_the_threads(capture: Path, tmp_path: Path) -> None:
    synthesise(TINY, tmp_path / "again", "tiny", 2)
    assert files(tmp_path / "again") == files(capture)


def test_another_id_or_seed_is_another_subject(capture: Path, tmp_path: Path) -> None:
    small = dataclasses.replace(TINY, frames=1, sequences=("talk",), cameras=1)
    identities = [load_npz(capture / "truth/truth.npz")["identity"]]
    for index, (name, seed) in enumerate((("other", 0), ("tiny", 1))):
        synthesise(dataclasses.replace(small, seed=seed), tmp_path / str(index), name, 1)
        identities.append(load_npz(tmp_path / str(index) / "truth/truth.npz")["identity"])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(identities[a] - identities[b]).max() > 0.5


def test_nothing_is_left_of_a_capture_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("pipeline.synthetic.write_capture.write_video", fail)
    with pytest.raises(OSError, match="disk full"):
        synthesise(dataclasses.replace(TINY, frames=1), tmp_path / "broken", "tiny", 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"width": 63}, {"subject": "cat"}, {"sequences": ("a", "a")}])
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, change: dict) -> None:
    with pytest.raises(InputError, match="synthesise"):
        synthesise(dataclasses.replace(TINY, **change), tmp_path / "never", "tiny", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="thesis.txt"):
        synthesise(TINY, tmp_path, "tiny", 1)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_body_is_whole_in_every_image(tmp_path: Path) -> None:
    settings = SynthesiseSettings(subject="body", width=96, height=128, cameras=3, frames=2, sequences=("WALK-1",))
    synthesise(settings, tmp_path / "walker", "walker", 1)
    zips = sorted((tmp_path / "walker/truth/alpha").glob("*.zip"))
    assert len(zips) == 3
    for path in zips:
        for mask in map(PackedImages(path).read, ["WALK-1_000000", "WALK-1_000001"]):
            assert mask[[0, -1]].max() == 0 and mask[:, [0, -1]].max() == 0
            assert 0.04 < (mask > 127).mean() < 0.4
