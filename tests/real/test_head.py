"""A real head before four webcams: no plates, uneven exposure, loose synchronisation."""

import json

import numpy as np
import pytest

from pipeline.capture.processed import read_image_set
from pipeline.contract.layout import Layout
from pipeline.geometry.triangulation import triangulate
from tests.real.support import real_capture, run_until
from tests.workflow.support import Place


@pytest.fixture(scope="module")
def webcams(tmp_path_factory):
    folder = real_capture("head-caliscope-4cam") / "take1"
    place = Place(tmp_path_factory.mktemp("webcams"))
    row = {"id": "webcams", "kind": "rig", "path": folder, "plates": "none", "timestamps": folder / "timestamps.csv", "frames": "0:65:4"}
    run_until(place, "keypoints", row, "{}")
    return Layout(place.results / "webcams", place.work / "webcams")


def test_the_face_is_found_in_nearly_every_view(webcams):
    with np.load(webcams.keypoints) as found:
        rates = np.isfinite(found["face"][..., 0]).any(2).mean(0)
    assert (rates > 0.9).sum() >= 3 and rates.min() > 0.5


def test_the_loose_synchronisation_is_reported(webcams):
    checks = json.loads(webcams.capture.read_text())["checks"]
    assert any(check["what"] == "time stamps" and "ms" in check["detail"] for check in checks)


def test_face_points_reproject(webcams):
    """Of all (point, view) pairs within 20 px of the triangulated point, in pixels of the undistorted 1280x720 picture; almost all pairs must be."""
    cameras = read_image_set(webcams.frames_json, webcams.frames).by_name
    with np.load(webcams.keypoints) as found:
        views = found["face"].swapaxes(0, 1)  # [C, F, 478, 3]
        chosen = [cameras[str(name)] for name in found["cameras"]]
    full = 1280 / chosen[0].width
    _, residuals = triangulate(views[..., :2], views[..., 2], np.stack([camera.projection for camera in chosen]), gate_px=20 / full)
    accepted = residuals * full <= 20
    assert accepted.sum() > 0.95 * np.isfinite(views[..., 0]).sum()
    assert np.median(residuals[accepted]) * full < 3
