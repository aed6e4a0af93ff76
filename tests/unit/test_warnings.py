"""Figures that mean a wrong calibration are named, and good ones are not."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.capture.aim import axis_warnings
from pipeline.capture.intrinsics import principal_point_warnings
from pipeline.evaluation.warnings import figure_warnings
from pipeline.geometry.camera_readings import READINGS, Agreement
from pipeline.io.errors import InputError
from pipeline.track.warnings import camera_warnings, scale_warnings
from pipeline.vision.keypoints.multi_camera import Keypoints
from pipeline.vision.keypoints.warnings import check_agreement, keypoint_warnings
from tests.unit.capture_trees import look_at

RING = [look_at(f"c{n}", angle) for n, angle in enumerate(np.linspace(-1.2, 1.2, 6))]


def test_cameras_that_look_at_one_point():
    assert axis_warnings(RING) == [] and axis_warnings(RING[:1]) == []
    around = [look_at(f"c{n}", angle) for n, angle in enumerate(np.arange(8) * np.pi / 4)]
    assert axis_warnings(around) == []
    side_by_side = [replace(RING[0], name="a"), replace(RING[0], name="b", t=RING[0].t + [0.1, 0, 0])]
    assert axis_warnings(side_by_side) == [], "parallel axes meet nowhere"
    loose = [replace(camera, t=camera.t + [0.2 * (-1) ** n, 0.1, 0]) for n, camera in enumerate(RING)]
    assert axis_warnings(loose) == [], "the subject is in the image, if not in its middle"


@pytest.mark.parametrize("off", [0, 3, 5])
def test_a_camera_that_looks_elsewhere_is_named_with_its_distance(off):
    turned = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    cameras = [replace(camera, R=turned @ camera.R, t=turned @ camera.t) if n == off else camera for n, camera in enumerate(RING)]
    (text,) = axis_warnings(cameras)
    assert f"c{off} by 1.5 m" in text and all(f"c{n} by" not in text for n in range(6) if n != off)


@pytest.mark.parametrize("reading", ["opencv_c2w", "opengl", "opengl_c2w"])
def test_a_calibration_of_another_convention_misses(reading):
    cameras = [replace(camera, R=R, t=t) for camera in RING for R, t in [READINGS[reading](camera.R, camera.t + [0.3, 0.1, 0])]]
    assert axis_warnings(cameras)


def test_a_K_of_images_of_another_size_is_named_and_a_crop_is_not():
    half = [replace(camera, K=np.diag([0.5, 0.5, 1]) @ camera.K) for camera in RING]
    (text,) = principal_point_warnings(half)
    assert "0.50 times the size" in text and "multiply fx, fy, cx and cy by 2" in text
    cropped = [replace(camera, K=camera.K - [[0, 0, 0.35 * camera.width], [0, 0, 0], [0, 0, 0]]) for camera in RING]
    assert principal_point_warnings(RING) == principal_point_warnings(cropped) == principal_point_warnings([*RING[:4], *half[4:]]) == []


def test_scale():
    assert scale_warnings(1.0, "head") == scale_warnings(1.19, "head") == scale_warnings(0.85, "head") == []
    cases = (1070, "1,070", "set the column 'units' of captures.tsv to mm"), (104, "104", "units' of captures.tsv to cm"), (1.89, "1.89", "focal")
    for scale, shown, words in (*cases, (0.73, "0.73", "focal")):
        (text,) = scale_warnings(scale, "head")
        assert words in text and f"at {shown} times" in text


def test_a_camera_that_disagrees_is_named():
    everyone = dict.fromkeys("abcd", 1.0)
    assert camera_warnings({"a": 0.7, "b": 1.3, "c": 0.9, "d": 1.8}, everyone) == []
    assert camera_warnings({"a": 1.4, "b": 1.8, "c": 1.7, "d": 3.4}, everyone) == [], "the demo's most turned camera"
    (late,) = camera_warnings({"a": 1.0, "b": 1.0, "c": 4.2, "d": 0.9}, everyone)
    assert "camera c " in late and "4.2 px" in late and "1.0 px" in late and "time offset" in late
    blind = {"a": 1.0, "b": float("nan"), "c": 1.1, "d": float("nan")}
    (text,) = camera_warnings(blind, {"a": 1, "b": 0.9, "c": 1, "d": 0.1})
    assert "camera b " in text, "camera d is behind the head"
    assert camera_warnings({"a": float("nan"), "b": 1.0}, {"a": 0.0, "b": 1.0}) == camera_warnings({"a": 3.0}, {"a": 1.0}) == []


def keypoints(face, found, dropped, reading=None, ahead=(0, 0, 0)):
    face = np.where(np.asarray(face, bool)[..., None, None], 1.0, np.nan) * np.ones((*np.shape(face), 478, 3))
    zero = np.zeros(face.shape[1], int)
    return Keypoints(face, face[:, :, :33], zero, np.asarray(dropped), np.asarray(found), np.asarray(dropped), reading, np.asarray(ahead))


def test_faces_that_the_other_cameras_contradict_are_named_as_dropped():
    good = keypoints(np.ones((10, 3)), [10, 10, 10], [0, 3, 1])
    assert keypoint_warnings(good, "abc") == []
    behind = keypoints(np.ones((10, 3)), [10, 10, 1], [0, 0, 1])
    assert keypoint_warnings(behind, "abc") == [], "an accident: one false face in ten frames"
    (late,) = keypoint_warnings(keypoints(np.ones((10, 3)), [10, 10, 10], [0, 0, 0], ahead=(0, 5, 0)), "abc")
    assert "camera b is about 5 frames ahead of the others" in late and "the first 5 frames of the other videos" in late
    (early,) = keypoint_warnings(keypoints(np.ones((10, 3)), [10, 10, 10], [0, 0, 0], ahead=(0, 0, -2)), "abc")
    assert "camera c is about 2 frames behind the others" in early and "the first 2 frames of its video" in early
    (text,) = keypoint_warnings(keypoints([[1, 1, 0]] * 10, [10, 10, 9], [0, 0, 9]), "abc")
    assert "camera c shows a face in 9 of 10 frames, and 9 of them were dropped" in text


def test_views_that_never_agree_stop_with_the_reading_that_helps():
    nowhere = keypoints([[1, 0, 0]] * 4, [4, 4, 4], [0, 4, 4], ("opencv_c2w", Agreement(0.98, 1.13)))
    with pytest.raises(
        InputError,
        match="the cameras do not agree on where the face is(?s:.*)every frame(?s:.*)read as camera to world the views agree to 1.1 px .98%(?s:.*)'convention'(?s:.*)opencv_c2w",
    ):
        check_agreement(nowhere, "head", "abc", "frames")
    check_agreement(keypoints([[1, 1, 0]] + [[1, 0, 0]] * 3, [4, 4, 4], [0, 3, 4]), "head", "abc", "frames")
    check_agreement(keypoints([[1, 0, 0]] * 4, [4, 0, 0], [0, 0, 0]), "head", "abc", "frames")
    with pytest.raises(InputError, match="most frames(?s:.*)opencv_transposed"):
        check_agreement(keypoints([[1, 1, 0]] * 4, [4, 4, 4], [0, 0, 1], ("opencv_transposed", Agreement(1.0, 0.9))), "head", "abc", "frames")
    some = keypoints([[1, 1, 0]] * 4, [4, 4, 4], [0, 0, 1], ("opencv_transposed", Agreement(0.7, 0.9)))
    check_agreement(some, "head", "abc", "frames")
    assert "set the column 'convention' of captures.tsv to opencv_transposed" in keypoint_warnings(some, "abc")[0]


def metrics(val, test):
    figures = {name: {"psnr_box": value} for name, value in (("val", val), ("test", test)) if value is not None}
    return {"val": None, "test": None, **figures, "per_camera": {"val": {"c3": {"psnr_box": val}}} if val else {}}


def test_figures_of_held_out_cameras():
    assert figure_warnings(metrics(26.2, 28.1), []) == figure_warnings(metrics(19.0, None), []) == figure_warnings(metrics(20.5, 28.4), []) == []
    (upside_down,) = figure_warnings(metrics(8.9, 25.2), [])
    assert "c3 8.9" in upside_down and "test 25.2" in upside_down
    assert "expected 18 or more" in figure_warnings(metrics(16.5, 14.9), [])[0]
    few = "no val camera: all 4 cameras (fewer than six) are needed for training"
    assert few in figure_warnings(metrics(None, 29.3), [few])[0]
    assert figure_warnings(metrics(None, 29.3), ["no val camera: as in captures.tsv"]) == [], "so it was asked for"
