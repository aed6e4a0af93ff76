"""A real head before four webcams: no plates, uneven exposure, loose synchronisation."""

import json

import numpy as np
import pytest

from pipeline.io.layout import Layout
from tests.real.support import real_capture, run_until
from tests.workflow.support import Place


@pytest.fixture(scope="module")
def webcams(tmp_path_factory):
    folder = real_capture("head-caliscope-4cam") / "take1"
    place = Place(tmp_path_factory.mktemp("webcams"))
    row = {"id": "webcams", "kind": "rig", "path": folder, "plates": "none", "timestamps": folder / "timestamps.csv", "frames": "0:65:8"}
    run_until(place, "keypoints", row, "{}")
    return Layout(place.results / "webcams", place.work / "webcams")


def test_the_face_is_found_in_nearly_every_view(webcams):
    with np.load(webcams.keypoints) as found:
        rates = np.isfinite(found["face"][..., 0]).any(2).mean(0)
    assert (rates > 0.9).sum() >= 3 and rates.min() > 0.5


def test_the_loose_synchronisation_is_reported(webcams):
    checks = json.loads(webcams.capture.read_text())["checks"]
    assert any(check["what"] == "time stamps" and "ms" in check["detail"] for check in checks)
