"""Captures that VHAP exported for GaussianAvatars: cameras, splits, the common world, and the tracked parameters."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.capture.record import read_capture
from pipeline.capture.sample import read_sample
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.stages import ingest
from pipeline.track.settings import FitSettings
from pipeline.vision.settings import MatteSettings
from tests.unit.stage_jobs import run_stage
from tests.unit.tiny_flame import tiny_flame
from tests.vhap_capture import SERIALS, Export, cameras, write_single, write_union

EXPORT = Export(steps=5, width=64, height=80)


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vhap")
    return {"union": write_union(folder / "union", tiny_flame(), EXPORT), "single": write_single(folder / "single", tiny_flame(), EXPORT)}


@pytest.fixture
def export(exports, tmp_path, request):
    """A copy that a test may change: the folder of the transforms files."""
    source = exports[getattr(request, "param", "union")]
    shutil.copytree(source.parent, tmp_path / "raw")
    return tmp_path / "raw" / source.name


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "results" / "x", tmp_path / "work" / "x")


def row(folder, **cells):
    return CaptureRow("x", "gaussian_avatars", folder, **cells)


def prepare(folder, layout, stages=("ingest", "frames", "sample", "matte"), **cells):
    settings = {"ingest": IngestSettings(), "frames": FramesSettings(), "sample": SampleSettings(), "matte": MatteSettings()}
    for stage in stages:
        run_stage(stage, settings[stage], layout, row(folder, **cells))


def fit(folder, layout, monkeypatch):
    monkeypatch.setattr("pipeline.body.model.load_model", lambda name: tiny_flame())
    return run_stage("fit", FitSettings(model="tiny"), layout, row(folder))


def change(path, edit):
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))


def test_a_union_has_its_splits_and_one_world(export, layout):
    prepare(export, layout, ("ingest", "frames", "sample"))
    capture, sample = read_capture(layout.capture), read_sample(layout.sample)
    assert list(capture.sequences) == ["EMO-1", "EXP-2", "EXP-3"] and capture.fps == 25
    assert sample.train_cameras == tuple(sorted(SERIALS[:5])) and sample.val_cameras == (SERIALS[5],)
    assert len(sample.train) == 10 and sample.test == tuple(f"EXP-3_{step:06d}" for step in range(5))
    truth = dict(zip(SERIALS, cameras(EXPORT, np.zeros(3))))
    shift = np.array(capture.tracking("EXP-2").shift) - capture.tracking("EMO-1").shift
    assert np.linalg.norm(shift) > 0.01 and np.allclose(capture.tracking("EMO-1").shift, 0)
    for camera in capture.cameras:
        np.testing.assert_allclose(camera.K, truth[camera.name].K, atol=1e-9)
        np.testing.assert_allclose(camera.R, truth[camera.name].R, atol=0.02)  # they look at the mean head, which is not at the origin


@pytest.mark.parametrize("export", ["single"], indirect=True)
def test_a_single_sequence_tests_the_end_of_the_time(export, layout):
    prepare(export, layout, ("ingest", "frames", "sample"))
    sample = read_sample(layout.sample)
    assert (len(sample.train), sample.test, sample.val_cameras) == (4, ("EMO-1_000004",), (SERIALS[5],))


def test_the_table_stands_over_the_dataset(export, layout):
    prepare(export, layout, ("ingest", "frames"))
    run_stage("sample", SampleSettings(), layout, row(export, val_cameras=(SERIALS[0],), test_sequences=("EMO-1",)))
    sample = read_sample(layout.sample)
    assert sample.val_cameras == (SERIALS[0],) and {name[:5] for name in sample.test} == {"EMO-1"}


def test_the_tracked_parameters_cover_the_mattes_in_every_sequence(export, layout, monkeypatch):
    prepare(export, layout)
    facts = fit(export, layout, monkeypatch)
    assert facts["warnings"] == [] and min(facts["overlap"]["stored"].values()) > 0.97
    arrays = load_npz(layout.fit)
    assert arrays["pose"].shape == (15, 5, 3) and arrays["expression"].shape == (15, 100)
    one = load_npz(export.parent / EXPORT.folder("EXP-3") / "flame_param" / "00002.npz")
    number = arrays["frames"].tolist().index("EXP-3_000002")
    np.testing.assert_array_equal(arrays["pose"][number].ravel(), np.concatenate([one[n][0] for n in ("rotation", "neck_pose", "jaw_pose", "eyes_pose")]))
    assert len(list(layout.overlay.glob("*.mp4"))) == 6


def test_a_principal_point_from_the_wrong_edge_is_named(export, layout, monkeypatch):
    for path in export.glob("transforms_*.json"):
        change(path, lambda record: [entry.update(cy=entry["h"] - entry["cy"]) for entry in record["frames"]])
    prepare(export, layout)
    (text,) = fit(export, layout, monkeypatch)["warnings"]
    assert "with the principal point cy from the other edge" in text


def test_another_number_of_vertices_is_named(export, layout, monkeypatch):
    prepare(export, layout)
    path = export.parent / EXPORT.folder("EMO-1") / "flame_param" / "00000.npz"
    save_npz(path, load_npz(path) | {"static_offset": np.zeros((1, 11, 3), np.float32)})
    with pytest.raises(InputError, match="11 vertices(?s:.*)teeth"):
        fit(export, layout, monkeypatch)
    save_npz(path, load_npz(path) | {"expr": np.full((1, 100), np.nan, np.float32)})
    with pytest.raises(InputError, match="00000.npz: array 'expr' is not finite"):
        fit(export, layout, monkeypatch)
    assert not layout.fit.exists()


def moved(record):
    record["frames"][3]["transform_matrix"][0][3] += 0.01


def outside(record):
    for entry in record["frames"]:
        entry["cx"] = 1.5 * entry["w"]


def climbs(record):
    record["frames"][0]["file_path"] = "../../../../etc/images/00000_00.png"


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (moved, "is not the same in all images(?s:.*)moved by 0.01 m"),
        (outside, "K belongs to an image of another size(?s:.*)principal point"),
        (climbs, "entry 0 of 'frames' is incomplete"),
        (lambda record: record["frames"][1].pop("transform_matrix"), "entry 1 of 'frames' is incomplete(?s:.*)transform_matrix"),
        (lambda record: record["frames"].pop(), "camera 04 has other time steps(?s:.*)different: 4"),
        (lambda record: record["frames"][0].update(fl_x=float("nan")), "transforms_train.json: is not JSON|transforms_train.json(?s:.*)JSON"),
    ],
)
def test_wrong_transforms_are_named_before_anything_runs(export, edit, expected):
    for path in export.glob("transforms_*.json"):
        if edit is outside or path.stem.endswith("train"):
            change(path, edit)
    with pytest.raises(InputError, match=expected):
        ingest.preflight(row(export))


def test_missing_files_are_named(export):
    folder = export.parent / EXPORT.folder("EXP-2")
    (folder / "flame_param" / "00003.npz").rename(folder / "kept.npz")
    with pytest.raises(InputError, match="00003.npz: no tracked parameters"):
        ingest.preflight(row(export))
    (folder / "kept.npz").rename(folder / "flame_param" / "00003.npz")
    (folder / "images" / "00001_02.png").unlink()
    with pytest.raises(InputError, match="camera 02 has other time steps(?s:.*)4 images(?s:.*)5 images"):
        ingest.preflight(row(export))
    with pytest.raises(InputError, match="transforms.json"):
        ingest.preflight(row(export.parent))
    with pytest.raises(InputError, match="no sequence 'EXP-9'"):
        ingest.preflight(replace(row(export), sequences=("EXP-9",)))
