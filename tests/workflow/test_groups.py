"""A method from outside the package that makes one avatar of several captures, through Snakemake: run, resume, failed captures, status, cohort, report."""

import json
import os
import signal

import pytest

from pipeline.avatars.registry import VARIABLE, load_methods
from pipeline.contract.layout import Layout
from tests.workflow.support import Place, children_named, command, wait_until

SETTINGS = """
preset: draft
method: toy
synthesise: {width: 96, height: 140, cameras: 4, frames: 2}
fit: {iterations: 4, identity_frames: 3, offset_rounds: 1}
toy: {init: {splats: 300}, train: {iterations: 40, refine_from: 10, log_every: 5, checkpoint_every: 5}}
render: {orbit_frames: 4, train_frames: 1}
threads: 1
"""
TOY = "toy=tests.toy.method:METHOD"
METHOD = load_methods(TOY)["toy"]
AVATAR = [stage.name for stage in METHOD.avatar_stages]
HEADER = "id kind path group size test_sequences"
ROWS = ["anna synthetic raw/anna family 96x140 none", "bob synthetic raw/bob family 80x112 none"]
WRONG, RIGHT = "eve synthetic raw/eve family 96x140 NOSUCH", "eve synthetic raw/eve family 96x140 none"


@pytest.fixture(scope="module", autouse=True)
def registered():
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = TOY
    yield
    os.environ.pop(VARIABLE) if before is None else os.environ.update({VARIABLE: before})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A place where the group of two captures has been run once."""
    place = Place(tmp_path_factory.mktemp("group"))
    (place.folder / "toy.yaml").write_text(SETTINGS)
    place.write_table(HEADER, *ROWS)
    done = _run(place, "family")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def _run(place, *words):
    return place.run(*words, config=place.folder / "toy.yaml")


def _tell(place, verb, *words):
    paths = ("--captures", place.table, "--results", place.results, "--work", place.work, "--config", place.folder / "toy.yaml")
    return command(verb, *words, *paths)


@pytest.fixture
def layout(place):
    members = tuple(Layout(place.results / name, place.work / name, "toy") for name in ("anna", "bob"))
    return Layout(place.results / "family", place.work / "family", "toy", members)


def test_one_avatar_of_two_captures_of_different_sizes(place, layout):
    assert sorted(place.times("family")) == sorted(AVATAR) and "fit" in place.times("anna") and "train" not in place.times("anna")
    for name in ("anna", "bob"):
        assert (layout.renders(name) / "orbit.mp4").is_file() and list(layout.renders(name).glob("*.zip"))
    metrics = json.loads(layout.metrics.read_text())
    assert set(metrics["per_subject"]["novel"]) == {"anna", "bob"} and metrics["splats"] == 600
    page = layout.report.read_text()
    assert "Captures: anna, bob." in page and "<h3>bob</h3>" in page and "toy" in page


def test_a_second_run_runs_nothing_and_every_verb_knows_the_group(place, layout):
    before = place.times("family"), place.times("anna")
    assert _run(place, "family").returncode == 0 and (place.times("family"), place.times("anna")) == before
    status = _tell(place, "status")
    assert "2 captures and 1 group: 3 done" in status.stdout, status.stdout + status.stderr
    assert _tell(place, "cohort").returncode == 0
    lines = [line.split("\t") for line in (place.results / "cohort.tsv").read_text().splitlines()]
    assert [line[0] for line in lines[1:]] == ["family"] and dict(zip(*lines))["state"] == "done"
    scratch = _tell(place, "clean-work", "-n").stdout
    assert "family: would remove" in scratch and "anna: would remove" in scratch
    camera = json.loads(layout.members[1].frames_json.read_text())["cameras"][0]
    (place.folder / "cameras.json").write_text(json.dumps({"convention": "OpenCV", "cameras": [camera]}))
    options = ("--cameras", place.folder / "cameras.json", "--out", place.folder / "images", "--subject", "bob")
    drawn = _tell(place, "render", "family", *options)
    assert drawn.returncode == 0 and list((place.folder / "images" / camera["name"]).glob("*.png")), drawn.stderr
    refused = _run(place, "anna")
    assert refused.returncode == 1 and "'anna' is a capture" in refused.stderr


def test_a_killed_training_resumes_to_the_same_bytes(place, layout):
    avatar, scratch = layout.avatar.read_bytes(), layout.scratch("train")
    layout.manifest("train").unlink()  # not a finished one, which would come back
    running = place.start("family", config=place.folder / "toy.yaml")
    wait_until(lambda: list(scratch.glob("checkpoint-*.pt")), running, "a first checkpoint")
    for pid in children_named(running.pid, "train"):
        os.kill(pid, signal.SIGKILL)
    assert running.wait() != 0 and not layout.avatar.exists()
    done = _run(place, "family")
    assert done.returncode == 0, done.stderr
    assert json.loads(layout.manifest("train").read_text())["facts"]["resumed_at"] > 0
    assert layout.avatar.read_bytes() == avatar


def test_a_failed_capture_is_named_and_left_out_unless_strict(place, layout):
    place.write_table(HEADER, *ROWS, WRONG)
    before = place.times("family")
    strict = _run(place, "family", "--strict")
    assert strict.returncode != 0 and "eve: sample failed" in strict.stderr and "NOSUCH" in strict.stderr
    assert "family is not started: eve failed" in strict.stderr and place.times("family") == before
    assert "eve: sample: the test sequence" in _tell(place, "status").stdout

    done = _run(place, "family")
    assert done.returncode != 0 and "eve: skipped" in done.stderr, "what is wrong with it is seen before anything starts, now that it has footage"
    assert "family: goes without eve" in done.stderr and "family: done" in done.stdout
    assert place.times("family") == before, "the captures that are in it are the same as before"

    place.write_table(HEADER, *ROWS, RIGHT)
    whole = _run(place, "family")
    assert whole.returncode == 0, whole.stderr
    after = place.times("family")
    assert {stage for stage in AVATAR if after[stage] != before[stage]} == set(AVATAR), "another capture has joined"
    assert set(json.loads(layout.metrics.read_text())["per_subject"]["test"]) == {"anna", "bob", "eve"}
