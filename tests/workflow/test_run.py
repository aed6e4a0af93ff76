"""The whole path through Snakemake on a tiny capture: run, rerun, resume, changed settings, failures."""

import csv
import html
import json
import os
import re
import shutil
import signal
from urllib.parse import unquote

import pytest
import yaml

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.capture.calibration import write_calibration
from pipeline.capture.camera import Camera
from pipeline.contract.layout import Layout
from pipeline.io.files import TEMPORARY
from pipeline.machine.provenance import commit
from tests.workflow.support import ROOT, TINY, Place, children_named, command, wait_until

STAGES = METHODS[DEFAULT_METHOD].table


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A place where the tiny capture `a` has been run once."""
    place = Place(tmp_path_factory.mktemp("run"))
    place.write_table("id kind path", "a synthetic raw/a", "b synthetic raw/b")
    done = place.run("a")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture
def layout(place):
    return Layout(place.results / "a", place.work / "a")


def _changed(tmp_path, **train):
    values = yaml.safe_load(TINY.read_text())
    values["train"] |= train
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "changed.yaml"


def _wait_for_steps(running, scratch, steps):
    wait_until(lambda: list(scratch.glob("*.csv")) and max(_steps(next(scratch.glob("*.csv"))), default=0) >= steps, running, f"step {steps}")


def _steps(path):
    with open(path) as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_everything_is_there(place, layout):
    assert set(place.times("a")) == set(STAGES)
    metrics = json.loads(layout.metrics.read_text())
    for split in ("val", "test", "novel"):
        assert metrics[split]["psnr_box"] > 10, split
    assert metrics["splats"] > 1000 and metrics["train_seconds"] > 0 and metrics["pipeline_seconds"] > metrics["train_seconds"]
    page = layout.report.read_text()
    assert not re.search(r'src="(?!data:)', page), "the report must open without a network or other files"
    links = [unquote(link) for link in re.findall(r'href="(?!#)([^"]*)"', page)]
    assert {"avatar.ply", "avatar.npz", "metrics.json", "../fit.npz"} <= set(links) and all((layout.report.parent / link).exists() for link in links)


def test_version_machine_and_command_are_recorded(layout):
    timing = json.loads(layout.manifest("train").read_text())["timing"]
    assert timing["command"].startswith("./c2a run ") and timing["processor"] and timing["commit"] == commit()
    assert timing["command"] in html.unescape(layout.report.read_text())


def test_nothing_unfinished_is_left(place):
    assert not [path for folder in (place.results, place.work) for path in folder.rglob("*") if TEMPORARY in path.name]
    assert not Layout(place.results / "a", place.work / "a").scratch("train").exists()


def test_a_second_run_runs_nothing(place):
    before = place.times("a")
    assert place.run("a").returncode == 0
    assert place.times("a") == before


def test_render_from_any_camera(place, layout, tmp_path):
    camera = json.loads(layout.frames_json.read_text())["cameras"][0] | {"name": "mine", "dist": [0.1, 0, 0, 0]}
    (tmp_path / "cameras.json").write_text(json.dumps({"convention": "OpenCV", "cameras": [camera]}))
    frame = json.loads(layout.sample.read_text())["frames"][0]["id"]
    done = command("render", "a", "--cameras", tmp_path / "cameras.json", "--out", tmp_path / "out", "--frames", frame, "--alpha", "--results", place.results)
    assert done.returncode == 0, done.stderr
    assert "dist" in done.stderr + done.stdout
    assert (tmp_path / "out" / "mine" / f"{frame}.png").is_file()


def test_a_changed_training_setting_trains_again_and_nothing_before(place, tmp_path):
    before = place.times("a")
    done = place.run("a", config=_changed(tmp_path, iterations=100))
    assert done.returncode == 0, done.stderr
    after = place.times("a")
    assert {stage for stage in STAGES if after[stage] != before[stage]} == {"train", "render", "evaluate", "report"}
    assert place.run("a").returncode == 0  # and back


def test_from_begins_a_finished_training_again(place, layout):
    before = place.times("a")
    avatar = layout.avatar.read_bytes()
    assert place.run("a", "--from", "train").returncode == 0
    after = place.times("a")
    assert {stage for stage in STAGES if after[stage] != before[stage]} == {"train", "render", "evaluate", "report"}
    assert layout.avatar.read_bytes() == avatar, "the same settings and inputs give the same avatar"


def test_a_longer_training_goes_on_from_the_finished_one_where_it_may(place, layout, tmp_path):
    assert layout.trained.is_file()
    config = _changed(tmp_path, iterations=160, lengthen=True)

    def facts(*words):
        done = place.run("a", "--until", "train", *words, config=config)
        assert done.returncode == 0, done.stderr
        return json.loads(layout.manifest("train").read_text())["facts"]

    longer = facts()
    assert longer["resumed_at"] == 120 and longer["lengthened_at"] == [120] and longer["steps"] == 160
    assert _steps(layout.train_log) == list(range(10, 161, 10))
    again = facts("--from", "train")
    assert again["resumed_at"] is None and "lengthened_at" not in again and again["steps"] == 160
    assert place.run("a").returncode == 0


def test_a_killed_training_goes_on_and_the_old_report_never_passes(place, layout, tmp_path):
    config, before = _changed(tmp_path, iterations=400), layout.avatar.read_bytes()
    running, scratch = place.start("a", config=config), layout.scratch("train")
    _wait_for_steps(running, scratch, 60)
    for pid in children_named(running.pid, "train"):
        os.kill(pid, signal.SIGKILL)
    assert running.wait() not in (0, 130)
    assert layout.avatar.read_bytes() == before and not layout.previous.exists(), "the finished one is back"
    assert "stale" in command("status", "a", *place.paths()).stdout, "and is not taken for what was asked for"
    reached = max(_steps(next(scratch.glob("*.csv"))))

    done = place.run("a", config=config)
    assert done.returncode == 0, done.stderr
    assert "from step" in done.stdout + done.stderr, "the training must say that it resumes from a checkpoint"
    steps = _steps(layout.train_log)
    assert steps == sorted(set(steps)) and steps[-1] == 400 and reached < 400
    assert json.loads(layout.manifest("report").read_text())["timing"]["finished"] >= json.loads(layout.manifest("train").read_text())["timing"]["finished"]
    assert place.run("a").returncode == 0


def test_ctrl_c_is_an_interruption_and_the_finished_avatar_comes_back(place, layout, tmp_path):
    before = layout.avatar.read_bytes()
    running = place.start("a", config=_changed(tmp_path, iterations=400))
    _wait_for_steps(running, layout.scratch("train"), 20)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait() == 130
    assert layout.avatar.read_bytes() == before and json.loads(layout.error("train").read_text())["interrupted"]
    assert "interrupted" in command("status", "a", *place.paths()).stdout
    assert place.run("a").returncode == 0 and layout.avatar.read_bytes() == before


def test_settings_given_once_are_used_again(place, layout):
    paths = place.paths()
    done = command("run", "a", *paths, "-n")
    assert done.returncode == 0 and "nothing to do" in done.stdout and "settings of earlier runs" in done.stderr
    assert "1 done" in command("status", "a", *paths).stdout
    changed = command("run", "a", *paths, "-n", "--set", "train.iterations=130")
    assert "settings changed: train.iterations 120 -> 130" in changed.stdout


def test_a_variant_lies_beside_the_first_result(place, layout):
    before = place.times("a")
    done = command("run", "a", *place.paths(), "--name", "short", "--set", "train.iterations=30", "--cores", "2")
    assert done.returncode == 0, done.stderr
    variant = Layout(layout.results, layout.work, variant="short")
    assert json.loads(variant.manifest("train").read_text())["facts"]["steps"] == 30 and variant.report.is_file()
    assert {stage: time for stage, time in place.times("a").items() if layout.manifest(stage).stat().st_mtime_ns != before[stage]} == {}
    assert "1 done" in command("status", "a", *place.paths(), "--name", "short").stdout
    shutil.rmtree(variant.avatar_folder)


def test_cameras_over_several_jobs_give_the_same_bytes(place, tmp_path):
    (tmp_path / "scatter.yaml").write_text(TINY.read_text() + "scatter: 2\n")
    other = Place(tmp_path)
    other.write_table("id kind path", "a synthetic raw/a")
    done = other.run("a", "--until", "keypoints", config=tmp_path / "scatter.yaml")
    assert done.returncode == 0, done.stderr
    for name in ("frames", "alpha", "frames.json", "alpha.json", "keypoints.npz"):
        files = [path for path in [place.results / "a" / name, *(place.results / "a" / name).glob("*")] if path.is_file()]
        assert files
        for path in files:
            assert (other.results / path.relative_to(place.results)).read_bytes() == path.read_bytes(), path
    book = (other.work / "a" / "leases.tsv").read_text()
    for stage in (name for name, stage in STAGES.items() if stage.scattered):
        assert f"{stage}-1of2 of a" in book and f"{stage}-2of2 of a" in book
        assert not Layout(other.results / "a", other.work / "a").scratch(stage).exists()
    assert not list(other.work.rglob("parts/*"))
    before = other.times("a")
    assert other.run("a", "--until", "keypoints").returncode == 0
    assert other.times("a") == before, "and in one job again: there is nothing to do"


def test_a_changed_scatter_makes_nothing_again(place, tmp_path):
    before = place.times("a")
    (tmp_path / "scatter.yaml").write_text(TINY.read_text() + "scatter: 3\n")
    assert place.run("a", config=tmp_path / "scatter.yaml").returncode == 0
    assert place.times("a") == before


def test_a_lost_camera_is_made_again(place, layout):
    before = place.times("a")
    next(layout.alpha.glob("*.zip")).unlink()
    done = place.run("a", "--until", "matte")
    assert done.returncode == 0, done.stderr
    after = place.times("a")
    assert after["matte"] != before["matte"] and after["frames"] == before["frames"]
    assert place.run("a").returncode == 0


def test_a_second_capture_shares_nothing(place):
    before = place.times("a")
    done = place.run("b", "--until", "sample")
    assert done.returncode == 0, done.stderr
    assert place.times("a") == before
    shutil.rmtree(place.results / "b")
    shutil.rmtree(place.folder / "raw" / "b")
    assert place.run("a").returncode == 0 and place.times("a") == before


def test_a_broken_capture_costs_no_other_and_is_named(place):
    place.write_table("id kind path", "a synthetic raw/a", "c synthetic raw/c")
    assert place.run("c", "--until", "ingest").returncode == 0
    before = place.times("a"), place.times("c")
    video = next((place.folder / "raw" / "c").rglob("*.mp4"))
    video.write_bytes(video.read_bytes()[:2000])
    place.write_table("id kind path", "a synthetic raw/a", "c nersemble raw/c/raw", "d video raw/d")
    done = place.run("--all", "--until", "frames")
    assert done.returncode == 1 and "d: skipped" in done.stderr and "line 4: bad kind" in done.stderr
    assert "c: skipped" in done.stderr and video.name in done.stderr
    assert (place.times("a"), place.times("c")) == before


def test_a_repaired_calibration_runs_what_depends_on_it_and_a_touched_video_its_own_stage(place, layout, tmp_path):
    rig = Place(tmp_path)
    capture = json.loads(layout.capture.read_text())
    (tmp_path / "mine" / "videos").mkdir(parents=True)
    for camera, video in next(iter(capture["sequences"].values()))["videos"].items():
        shutil.copy(video["path"], tmp_path / "mine" / "videos" / f"{camera}.mp4")
    write_calibration(tmp_path / "mine" / "cameras.json", [Camera.from_json(camera) for camera in capture["cameras"]])
    rig.write_table("id kind path", "a rig mine", "b rig mine")

    def again():
        before = {name: rig.times(name) for name in "ab"}
        done = rig.run("a", "b", "--until", "sample")
        assert done.returncode == 0, done.stdout + done.stderr
        after = {name: rig.times(name) for name in "ab"}
        return done.stdout + done.stderr, {(name, stage) for name in "ab" for stage in after[name] if after[name][stage] != before[name].get(stage)}

    stages = ("ingest", "frames", "sample")
    assert again()[1] == {(name, stage) for name in "ab" for stage in stages} and again()[1] == set()
    os.utime(next((tmp_path / "mine" / "videos").iterdir()))
    assert again()[1] == {("a", "ingest"), ("b", "ingest")}, "the same videos make the same capture.json"
    assert again()[1] == set()
    shutil.copy(tmp_path / "mine" / "cameras.json", tmp_path / "b.json")
    rig.write_table("id kind path calibration", "a rig mine mine/cameras.json", "b rig mine b.json")
    again()
    text = (tmp_path / "mine" / "cameras.json").read_text()
    first = capture["cameras"][0]["t"][2]
    (tmp_path / "mine" / "cameras.json").write_text(text.replace(str(first), str(first + 0.01)))
    said, ran = again()
    assert "cameras.json changed" in said and ran == {("a", stage) for stage in stages}
    assert again()[1] == set()


def test_every_verb_takes_paths_from_where_the_user_stands(place, layout):
    (place.folder / "my").mkdir()
    shutil.copy(TINY, place.folder / "my" / "tiny.yaml")
    shutil.copytree(ROOT / "profiles" / "default", place.folder / "profile")
    camera = json.loads(layout.frames_json.read_text())["cameras"][0]
    (place.folder / "cameras.json").write_text(json.dumps({"convention": "OpenCV", "cameras": [camera]}))
    frame = json.loads(layout.sample.read_text())["frames"][0]["id"]
    config, table = ["--config", "my/tiny.yaml"], ["--captures", "captures.tsv"]
    folders = ["--results", "results", "--work", "work"]
    for words, expected in [
        (["run", "a", "-n", *table, *folders, *config, "--profile", "profile"], "nothing to do"),
        (["status", "a", *table, *folders, *config], "1 done"),
        (["cohort", "a", *table, *folders, *config, "--out", "page"], str(place.folder / "page" / "cohort.html")),
        (["clean-work", "a", "-n", *folders, *config], "would remove"),
        (["render", "a", "--cameras", "cameras.json", "--out", "pictures", "--frames", frame, "--results", "results", *config], ""),
    ]:
        done = command(*words, cwd=place.folder)
        assert done.returncode == 0 and expected in done.stdout + done.stderr, (words, done.stdout + done.stderr)
    assert (place.folder / "page" / "cohort.tsv").is_file() and (place.folder / "pictures" / camera["name"] / f"{frame}.png").is_file()


def test_errors_come_before_any_stage_starts(place, tmp_path):
    before = place.times("a")
    bad = tmp_path / "bad.yaml"
    bad.write_text("train: {iteratoins: 3}\n")
    prose, lost = tmp_path / "prose.yaml", tmp_path / "lost.yaml"
    prose.write_text("more steps, please\n")
    for words, config, expected in [
        (("a",), bad, "iteratoins"),
        (("a",), prose, "prose.yaml: holds no keys"),
        (("a",), lost, "lost.yaml: no such configuration"),
        (("nobody",), TINY, "nobody"),
        (("a", "--from", "fti"), TINY, "fti"),
        (("a", "--until", "fti"), TINY, "fti"),
        (("a", "--cores", "0"), TINY, "--cores 0"),
        (("a", "--results", str(bad)), TINY, "bad.yaml: cannot be created"),
        (("a", "--work", str(bad / "work")), TINY, "cannot be created"),
        (("a", "--captures", str(lost)), TINY, "lost.yaml: no such table"),
    ]:
        done = place.run(*words, config=config)
        assert done.returncode == 1 and expected in done.stderr and "Traceback" not in done.stderr and "next:" in done.stderr, words
    assert place.times("a") == before
