import dataclasses

import cv2
import numpy as np
import pytest

from pipeline.capture.camera import Camera
from pipeline.capture.processed import read_image_set, write_image_set
from pipeline.evaluation.evaluate import mean_figures
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.evaluation.truth import CameraTargets, Warp, exchange_plate, over_white
from pipeline.io.errors import InputError
from pipeline.io.packed import PackedImages, packed_writer
from tests.unit.show_example import ROLES, disc, make, make_group, metrics_of
from tests.unit.stage_jobs import run_stage


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    layout = make(tmp_path_factory.mktemp("example"))
    run_stage("evaluate", EvaluateSettings(), layout)
    return layout


def test_each_split_counts_its_own_pictures(example):
    metrics = metrics_of(example)
    assert {split: metrics[split]["images"] for split in ("train", "val", "test", "novel")} == {"train": 6, "val": 3, "test": 6, "novel": 3}
    assert set(metrics["per_camera"]["test"]) == set(ROLES)
    assert {row["camera"] for row in metrics["images"] if row["split"] == "val"} == {"cam_v"}


def test_figures_of_a_known_error(example):
    """Every pixel of the disc, its rim included, is 4 grey levels too dark: the error follows from the disc's area."""
    from tests.unit.show_example import Frame, _camera

    metrics = metrics_of(example)
    alpha = disc(_camera("cam_v", 2, (48, 64)), Frame("EMO_000001", "EMO", 1, 0.0))
    expected = -10 * np.log10((4 / 255) ** 2 * (alpha > 0).mean())
    row = next(row for row in metrics["images"] if row["camera"] == "cam_v" and row["frame"] == "EMO_000001")
    assert row["psnr"] == pytest.approx(expected, abs=0.25)  # 8-bit rounding of truth, plate and render
    assert row["psnr_box"] < row["psnr"] and 0.9 < row["ssim_box"] < 1


def test_contract_of_the_file(example):
    metrics = metrics_of(example)
    assert metrics["splats"] == 7 and metrics["alpha_source"] == "truth"
    assert metrics["train_seconds"] == 14.0  # of train.csv: its manifest knows the last attempt alone, 12 s
    assert metrics["pipeline_seconds"] == pytest.approx(1.5 * sum(range(10)) + 2)
    assert metrics["lpips"] is None and "lpips_backbone" in metrics["lpips_reason"]
    assert metrics["missing"] == {}
    boxes = [row["psnr_box"] for row in metrics["worst"]]
    assert boxes == sorted(boxes) and all(row["split"] != "train" for row in metrics["worst"])


def test_a_group_has_rows_and_means_of_each_capture(tmp_path):
    group = make_group(tmp_path)
    facts = run_stage("evaluate", EvaluateSettings(), group)
    metrics = metrics_of(group)
    assert {(row["subject"], row["split"]) for row in metrics["images"]} == {
        *(("anna", split) for split in ("train", "val", "test", "novel")),
        *(("bob", split) for split in ("train", "val", "test")),
    }
    assert metrics["val"]["images"] == 6 and {name: means["images"] for name, means in metrics["per_subject"]["val"].items()} == {"anna": 3, "bob": 3}
    assert set(metrics["per_camera"]["val"]) == {"anna: cam_v", "bob: cam_v"} and set(metrics["per_subject"]["novel"]) == {"anna"}
    assert metrics["alpha_source"] == facts["alpha_source"] == "both" and metrics["splats"] == 7
    prepare = sum(1.5 * i for i in range(7))  # of each capture: synthesise to fit
    assert metrics["pipeline_seconds"] == pytest.approx(2 * prepare + 1.5 * (7 + 8 + 9) + 2)


def test_filmed_captures_use_the_matte_and_have_no_novel_camera(tmp_path):
    layout = make(tmp_path, truth=False)
    run_stage("evaluate", EvaluateSettings(), layout)
    metrics = metrics_of(layout)
    assert metrics["alpha_source"] == "matte" and metrics["novel"] is None and "novel" in metrics["missing"]
    assert metrics["val"]["images"] == 3


def test_truth_decides_and_not_the_matte(tmp_path):
    """A matte that lost half of the disc must not make the picture easier."""
    layout = make(tmp_path)
    run_stage("evaluate", EvaluateSettings(), layout)
    before = metrics_of(layout)["val"]
    with PackedImages(layout.alpha / "cam_v.zip")._archive as archive:
        names = [name[:-4] for name in archive.namelist()]
    pictures = {name: PackedImages(layout.alpha / "cam_v.zip").read(name) for name in names}
    with packed_writer(layout.alpha / "cam_v.zip") as writer:
        for name, picture in pictures.items():
            picture[:32] = 0
            writer.add(name, picture)
    _adopt(layout)
    run_stage("evaluate", EvaluateSettings(), layout)
    assert metrics_of(layout)["val"] == before


def test_renders_of_other_frames_are_refused(tmp_path):
    layout = make(tmp_path)
    for zip_file in layout.render.glob("*.zip"):
        with packed_writer(zip_file) as writer:
            writer.add("OTHER_000000", np.zeros((64, 48, 4), np.uint8))
    with pytest.raises(InputError, match="no render belongs"):
        run_stage("evaluate", EvaluateSettings(), layout)
    assert not layout.metrics.exists()


def test_means_leave_out_pictures_without_alpha():
    figures = mean_figures(
        [
            {"split": "val", "camera": "a", "frame": "f", "psnr": 30.0, "psnr_box": None},
            {"split": "val", "camera": "a", "frame": "g", "psnr": 20.0, "psnr_box": 18.0},
        ]
    )
    assert figures == {"psnr": 25.0, "psnr_box": 18.0, "images": 2}
    assert mean_figures([]) is None


def test_exchange_plate_gives_what_the_foreground_gives():
    random = np.random.default_rng(0)
    foreground, background, alpha = random.random((8, 9, 3)), random.random((8, 9, 3)), random.random((8, 9))
    picture = foreground * alpha[..., None] + background * (1 - alpha[..., None])
    np.testing.assert_allclose(exchange_plate(picture, background, alpha), over_white(foreground, alpha), atol=1e-12)
    assert (exchange_plate(picture, background * 0.5, np.zeros((8, 9))) == 1).all()


@pytest.mark.parametrize("dist", [(), (0.1, -0.05, 0.001, 0.002)])
def test_warp_finds_points_where_the_processed_camera_sees_them(dist):
    K = np.array([[300.0, 0, 158], [0, 300, 122], [0, 0, 1]])
    raw = Camera("a", 320, 240, K, np.eye(3), np.zeros(3), dist)
    processed = raw.without_distortion().cropped(20, -10, 240, 240).resized(120, 120)
    points = np.array([[0.05, 0.1, 1.0], [-0.2, -0.15, 1.0], [0.1, -0.05, 1.0]])
    y, x = np.mgrid[:240, :320] + 0.5
    for point in points:
        pixel = raw.project(point)
        blob = np.exp(-((x - pixel[0]) ** 2 + (y - pixel[1]) ** 2) / (2 * 4**2)).astype(np.float32)
        warped = Warp(raw, processed)(blob)
        v, u = np.mgrid[:120, :120] + 0.5
        found = np.array([(u * warped).sum(), (v * warped).sum()]) / warped.sum()
        np.testing.assert_allclose(found, processed.project(point), atol=0.05)


def test_warp_shrinks_by_averaging():
    raw = Camera("a", 64, 48, np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), np.eye(3), np.zeros(3))
    image = np.random.default_rng(0).random((48, 64)).astype(np.float32)
    np.testing.assert_allclose(Warp(raw, raw)(image), image, atol=1e-5)
    np.testing.assert_allclose(Warp(raw, raw.resized(32, 24))(image), cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA), atol=1e-4)


def test_lpips_needs_both_files(example):
    with pytest.raises(InputError, match="two files"):
        run_stage("evaluate", dataclasses.replace(EvaluateSettings(), lpips_backbone="alexnet.pth"), example)


def test_padding_is_white_in_truth_and_render(tmp_path):
    """The camera saw the right half alone; a render that fills the left half must not pay for it."""
    layout = make(tmp_path, noise=0.0)
    visible = np.full((64, 48), 255, np.uint8)
    visible[:, :24] = 0
    with PackedImages(layout.frames / "cam_v.zip")._archive as archive:
        pictures = {name[:-4]: PackedImages(layout.frames / "cam_v.zip").read(name[:-4]) for name in archive.namelist()}
    with packed_writer(layout.frames / "cam_v.zip") as writer:
        for name, picture in {**pictures, "visible": visible}.items():
            writer.add(name, picture)
    _adopt(layout)
    target = CameraTargets(layout, "cam_v").read("EMO_000000")
    assert (target.image[:, :24] == 1).all() and (target.alpha[:, :24] == 0).all() and target.alpha[:, 24:].max() == 1
    run_stage("evaluate", EvaluateSettings(), layout)
    assert metrics_of(layout)["val"]["psnr"] > 50


def _adopt(layout):
    """Describe the zips as they are now."""
    for description, folder in ((layout.alpha_json, layout.alpha), (layout.frames_json, layout.frames)):
        images = read_image_set(description, folder)
        write_image_set(description, folder, images.cameras, images.frames, {})
