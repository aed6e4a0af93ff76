"""A real person before four cameras: joints against the markers that came with the videos."""

import numpy as np
import pytest

from pipeline.capture.processed import read_image_set
from pipeline.contract.layout import Layout
from pipeline.geometry.triangulation import triangulate
from tests.real.support import real_capture, run_until
from tests.workflow.support import Place

MARKERS = {"Nose": 0, "LShoulder": 11, "RShoulder": 12, "LElbow": 13, "RElbow": 14, "LWrist": 15, "RWrist": 16}
MARKERS |= {"LHip": 23, "RHip": 24, "LKnee": 25, "RKnee": 26, "LAnkle": 27, "RAnkle": 28, "LHeel": 29, "RHeel": 30, "LBigToe": 31, "RBigToe": 32}


def read_trc(path):
    """Markers by name, [F, 3] in the cameras' world: the file is y up, ours is (z, x, y) of its columns."""
    lines = path.read_text().splitlines()
    names = [name for name in lines[3].split("\t")[2:] if name.strip()]
    values = np.array([[float(cell) if cell.strip() else np.nan for cell in line.split("\t")[2 : 2 + 3 * len(names)]] for line in lines[5:] if line.strip()])
    return {name: values[:, 3 * i : 3 * i + 3][:, [2, 0, 1]] for i, name in enumerate(names)}


@pytest.fixture(scope="module")
def balance(tmp_path_factory):
    folder = real_capture("body-pose2sim-balance")
    place = Place(tmp_path_factory.mktemp("balance"))
    row = {
        "id": "balance",
        "kind": "rig",
        "path": folder,
        "model": "body",
        "calibration": folder / "cameras_qca_upstream.json",
        "plates": folder / "background",
        "frames": "0:99:11",
    }
    run_until(place, "keypoints", row, "{}")
    return folder, Layout(place.results / "balance", place.work / "balance")


def test_joints_are_where_the_markers_are(balance):
    folder, layout = balance
    markers, frames = read_trc(folder / "keypoints3d_upstream.trc"), read_image_set(layout.frames_json, layout.frames)
    with np.load(layout.keypoints) as found:
        pose, names = found["pose"], [str(name) for name in found["frames"]]
    cameras = [frames.by_name[str(name)] for name in np.load(layout.keypoints)["cameras"]]
    views = pose.transpose(1, 0, 2, 3)
    points, _ = triangulate(views[..., :2], views[..., 2], np.stack([camera.projection for camera in cameras]), gate_px=20)
    numbers = [int(name.rsplit("_", 1)[1]) for name in names]
    errors = np.concatenate([np.linalg.norm(points[:, joint] - markers[name][numbers], axis=-1) for name, joint in MARKERS.items()])
    assert np.isfinite(errors).mean() > 0.8
    assert np.nanmedian(errors) < 0.045
