"""A COLMAP scene becomes an avatar of the method `static` through Snakemake, without keypoints and fit."""

import json

import pytest

from tests.unit.scenes import colmap_scene
from tests.workflow.support import Place, command

SETTINGS = """
preset: draft
method: static
train: {iterations: 150, densify_from: 50, densify_until: 120, densify_every: 35, sh_every: 50}
render: {orbit_frames: 3}
threads: 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("static"))
    colmap_scene(place.folder / "raw", 24, k1=0.05, points=600, size=48)
    (place.folder / "static.yaml").write_text(SETTINGS)
    place.write_table("id kind path", "room colmap raw")
    done = place.run("room", config=place.folder / "static.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_the_whole_way_to_the_report(place):
    results = place.results / "room"
    assert {path.stem for path in (results / "manifests").iterdir()} == {"ingest", "frames", "sample", "matte"}
    metrics = json.loads((results / "static" / "metrics.json").read_text())
    assert {row["camera"] for row in metrics["images"] if row["split"] == "val"} == {"view000", "view008", "view016"}
    assert metrics["val"]["psnr"] > 19, metrics["val"]
    report = (results / "static" / "report.html").read_text()
    assert "Model fit" not in report and "All stages complete" in report and "orbit.mp4" in report
    assert not list((results / "static" / "render").glob("val_*.mp4")), "a video of one frame"


def test_it_is_current_afterwards_and_a_changed_point_cloud_begins_again(place):
    words = ("room", *place.paths(), "--config", place.folder / "static.yaml", "-n")
    assert "nothing to do" in command("run", *words).stdout
    points = place.folder / "raw" / "sparse" / "0" / "points3D.txt"
    before = points.read_text()
    points.write_text(before + "99999 0.1 0.2 0.3 1 2 3 0.5\n")
    try:
        assert "points3D.txt changed" in command("run", *words).stdout
    finally:
        points.write_text(before)
