"""`./c2a metrics`: two folders of images, compared."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from pipeline.evaluation.folders import compare_folders, images_of
from pipeline.io.errors import InputError
from pipeline.io.packed import encode_png
from pipeline.workflow.metrics_verb import compare

RANDOM = np.random.default_rng(0)


def write(folder, name, image, ending=".png"):
    path = folder / f"{name}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(image) if ending == ".png" else cv2.imencode(ending, image[..., ::-1])[1].tobytes())


@pytest.fixture
def folders(tmp_path):
    """Two folders of three images of different errors, in subfolders."""
    for i, name in enumerate(("a/0", "a/1", "b/0")):
        image = RANDOM.integers(40, 200, (24, 32, 3), dtype=np.uint8)
        write(tmp_path / "one", name, image)
        write(tmp_path / "two", name, image + np.array([10 * i, 4, 0], np.uint8))
    return tmp_path / "one", tmp_path / "two"


def test_every_pair_is_compared_and_the_means_are_over_images(folders):
    figures = compare_folders(*folders)
    for i, name in enumerate(("a/0", "a/1", "b/0")):
        row = figures["images"][name]
        squares = np.array([10.0 * i, 4, 0]) ** 2 / 255**2
        assert row["psnr"] == pytest.approx(-10 * np.log10(squares.mean()), abs=1e-4)
        each = [-10 * np.log10(square) if square else 100 for square in squares]  # identical channels count as 100 dB
        assert row["psnr_channels"] == pytest.approx(np.mean(each), abs=1e-4) and row["psnr_channels"] >= row["psnr"]
        assert row["l1"] == pytest.approx((10 * i + 4) / 3 / 255, abs=1e-5) and 0.9 < row["ssim"] < 1
    for key in ("psnr", "ssim", "l1"):
        assert figures["mean"][key] == pytest.approx(np.mean([row[key] for row in figures["images"].values()]), abs=1e-5)
    assert figures["mean"]["images"] == 3 and figures["mean"].keys() - {"images"} <= figures["definitions"].keys()


def test_the_order_of_the_folders_does_not_matter_and_the_same_is_perfect(folders):
    one, other = compare_folders(*folders)["images"], compare_folders(*reversed(folders))["images"]
    assert one == other
    same = compare_folders(folders[0], folders[0])["mean"]
    assert (same["psnr"], same["psnr_channels"], same["ssim"], same["l1"]) == (100, 100, 1, 0)


def test_alpha_is_over_white_grey_is_a_colour_and_endings_may_differ(tmp_path):
    rgba = RANDOM.integers(0, 256, (16, 16, 4), dtype=np.uint8)
    alpha = rgba[..., 3:] / 255
    write(tmp_path / "one", "x", rgba)
    write(tmp_path / "two", "x", np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8), ".bmp")
    grey = RANDOM.integers(0, 256, (16, 16), dtype=np.uint8)
    write(tmp_path / "one", "y", grey)
    write(tmp_path / "two", "y", np.dstack([grey] * 3))
    images = compare_folders(tmp_path / "one", tmp_path / "two")["images"]
    assert images["y"]["psnr"] == 100 and images["x"]["psnr"] > 50


def test_what_does_not_fit_is_named(folders, tmp_path):
    one, two = folders
    write(two, "b/1", np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(InputError, match=r"one: lacks 1 images(?s:.*)no b/1(?s:.*)--common"):
        compare_folders(one, two)
    assert compare_folders(one, two, common=True)["mean"]["images"] == 3
    with pytest.raises(InputError, match=r"one/b: lacks(?s:.*)no 1"):
        compare_folders(one / "b", one / "a")
    with pytest.raises(InputError, match="lacks 3 images"):
        compare_folders(one, two / "a", common=True)  # no name in common
    write(one, "b/1", np.zeros((24, 30, 3), np.uint8))
    with pytest.raises(InputError, match=r"two/b/1.png: has another size than .*one/b/1.png(?s:.*)30x24 and 32x24"):
        compare_folders(one, two)
    for place in (one, two):
        write(place, "b/1", np.zeros((8, 30, 3), np.uint8))
    with pytest.raises(InputError, match="too small to compare"):
        compare_folders(one, two)
    write(one, "b/1", np.zeros((24, 30, 3), np.uint8), ".jpg")
    with pytest.raises(InputError, match="two images are named 'b/1'"):
        images_of(one)
    (tmp_path / "empty").mkdir()
    for folder, expected in ((tmp_path / "empty", "contains no images"), (tmp_path / "none", "no such folder")):
        with pytest.raises(InputError, match=expected):
            compare_folders(folder, two)
    (two / "b" / "1.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(InputError, match="1.png: cannot be decoded"):
        compare_folders(two / "b", two / "b")


def test_the_verb_writes_what_it_prints(folders, tmp_path, capsys):
    compare(*folders, False, (), tmp_path / "figures.json", 1)
    written, printed = json.loads((tmp_path / "figures.json").read_text()), capsys.readouterr().out
    assert f"{written['mean']['psnr']:.4f} dB" in printed and f"{written['mean']['ssim']:.4f}" in printed and "3 images" in printed
    with pytest.raises(InputError, match="written as JSON"):
        compare(*folders, False, (), tmp_path / "figures.txt", 1)


def test_lpips_of_each_network_is_that_of_the_adapter(folders, tmp_path):
    from pipeline.evaluation.lpips import Lpips
    from tests.unit.test_evaluate_lpips import ALEX, _save, _vgg_shapes

    for name in ("one", "two"):
        write(tmp_path / "large" / name, "x", RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    files = [_save(tmp_path, "alex", ALEX, [64, 192, 384, 256, 256]), _save(tmp_path, "vgg", _vgg_shapes(), [64, 128, 256, 512, 512])]
    out = tmp_path / "figures.json"
    compare(tmp_path / "large" / "one", tmp_path / "large" / "two", False, tuple(files), out, 1)
    mean = json.loads(out.read_text())["mean"]
    a, b = (cv2.imread(str(tmp_path / "large" / name / "x.png"))[..., ::-1] / np.float32(255) for name in ("one", "two"))
    for name, (network, linear) in zip(("lpips_alex", "lpips_vgg"), files):
        assert mean[name] == pytest.approx(Lpips(network, linear).distance(a, b), rel=1e-3)
