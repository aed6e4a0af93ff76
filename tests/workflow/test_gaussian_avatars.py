"""A UNION that VHAP exported, rendered from a stand-in of FLAME, goes through Snakemake to its report: no keypoints, no fit of ours, and back to a model folder."""

import json

import numpy as np
import pytest

from pipeline.avatars.rigged.model_folder import FLAME, PLY
from pipeline.body.model import load_model
from pipeline.io.arrays import load_npz
from pipeline.workflow.body_verb import body_verb
from pipeline.workflow.run_options import RunOptions
from tests.flame_standin import write_flame
from tests.vhap_capture import SERIALS, Export, write_union
from tests.workflow.support import Place, command

EXPORT = Export(steps=6)
SETTINGS = """
preset: draft
init: {splats: 10200}
train: {iterations: 400, densify_from: 100, densify_until: 300, densify_every: 100, sh_every: 100, max_splats: 12000}
render: {orbit_frames: 3, train_frames: 1}
threads: 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("vhap"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.body.importers.importer.detections", lambda model: [[] for _ in range(478)])  # landmarks are not needed here
        patch.setenv("C2A_BODIES", "")
        write_flame(place.folder / "flame.pkl")
        body_verb(("import", "flame", "flame.pkl"), "mine", None, True, None, RunOptions(sets=(f"bodies={place.folder / 'bodies'}",), here=place.folder))
        union = write_union(place.folder / "raw", load_model("mine"), EXPORT)
    (place.folder / "vhap.yaml").write_text(f"{SETTINGS}bodies: {place.folder / 'bodies'}\n")
    place.write_table("id kind path model", f"s306 gaussian_avatars {union} mine")
    done = place.run("s306", config=place.folder / "vhap.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_the_whole_way_to_the_report(place):
    results = place.results / "s306"
    assert {path.stem for path in (results / "manifests").iterdir()} == {"ingest", "frames", "sample", "matte", "fit"}
    sample, metrics = json.loads((results / "sample.json").read_text()), json.loads((results / "rigged" / "metrics.json").read_text())
    splits = [frame["split"] for frame in sample["frames"]]
    assert (splits.count("train"), splits.count("test")) == (12, 6) and sample["cameras"][SERIALS[5]] == "val"
    assert metrics["val"]["psnr_box"] > 30, metrics["val"]
    report = (results / "rigged" / "report.html").read_text()
    assert "All stages complete" in report and "The parameters came with the dataset" in report and "warning" not in report.lower().split("<h2")[0]


def test_it_leaves_as_a_model_folder_and_comes_back(place):
    options = [*place.paths(), "--config", place.folder / "vhap.yaml"]
    model, again = place.folder / "model", place.folder / "again.npz"
    assert "iteration_7" in command("export", "s306", "--out", model, "--iteration", "7", *options).stdout
    assert {path.name for path in (model / "point_cloud" / "iteration_7").iterdir()} == {PLY, FLAME}
    done = command("import", model, "--body", "mine", "--out", again, "--config", place.folder / "vhap.yaml")
    assert done.returncode == 0, done.stderr
    first, second = load_npz(place.results / "s306" / "rigged" / "avatar.npz"), load_npz(again)
    assert all(np.array_equal(first[name], second[name]) for name in ("binding", "means", "quats", "pose", "expression", "offsets"))
