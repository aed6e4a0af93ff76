"""The same command on a real SLURM: failures cost no other capture, cancelled trainings go on, a killed driver leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from pipeline.contract.layout import Layout
from pipeline.machine.lease import read_holder
from tests.slurm.cluster import Cluster
from tests.workflow.leases import double_writers
from tests.workflow.support import ROOT, Place, wait_until

MICRO = ROOT / "tests" / "workflow" / "micro.yaml"


@pytest.fixture(scope="module", autouse=True)
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="c2a-slurm-"))  # a short path: its sockets need one
    try:
        cluster = Cluster(folder)
    except RuntimeError as error:
        pytest.skip(str(error))
    before = dict(os.environ)
    cluster.use()
    yield cluster
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """The profile `ci`, with one retry in place of three: what fails on purpose should not take long."""
    folder = tmp_path_factory.mktemp("profile") / "once"
    folder.mkdir()
    values = yaml.safe_load((ROOT / "profiles" / "ci" / "config.yaml").read_text()) | {"retries": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return str(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("cohort"))
    place.write_table(
        "id kind path test_sequences",
        "a synthetic raw/a none",
        "b synthetic raw/b none",
        "absent rig raw/absent none",
        "wrong synthetic raw/wrong NOSUCH",
    )
    return place


def _layout(place, name):
    return Layout(place.results / name, place.work / name)


def _longer(folder, iterations):
    values = yaml.safe_load(MICRO.read_text())
    values["train"] |= {"iterations": iterations}
    path = folder / "longer.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _tell(place, verb, *words):
    """Another verb over the same captures."""
    command = place.arguments(*words, config=MICRO)
    command[command.index("run")] = verb
    cut = command.index("--cores")
    return subprocess.run(command[:cut], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def test_a_cohort_with_two_broken_captures(place, profile):
    done = place.run("--all", "--profile", profile, config=MICRO)
    assert done.returncode != 0
    for name in ("a", "b"):
        assert _layout(place, name).report.is_file(), done.stderr[-3000:]
        assert f"{name}: done" in done.stdout
    status = _tell(place, "status")
    assert "2 done" in status.stdout and "2 failed" in status.stdout
    assert "absent: ingest" in status.stdout and "wrong: sample" in status.stdout
    record = json.loads(_layout(place, "wrong").error("sample").read_text())
    assert "NOSUCH" in record["message"] and record["attempt"] == 2 and record["job"].isdigit() and record["host"] in ("n1", "n2")
    assert _tell(place, "cohort").returncode == 0
    lines = [line.split("\t") for line in (place.results / "cohort.tsv").read_text().splitlines()]
    rows = {line[0]: dict(zip(lines[0], line)) for line in lines[1:]}
    assert rows["a"]["state"] == "done" and float(rows["a"]["val_psnr_box"]) > 8
    assert rows["wrong"]["failed_stage"] == "sample" and rows["absent"]["failed_stage"] == "ingest" and rows["absent"]["reason"]
    assert double_writers(place.work) == []


def test_failed_touches_only_those(place, profile):
    before = place.times("a"), place.times("b")
    place.write_table(
        "id kind path test_sequences", "a synthetic raw/a none", "b synthetic raw/b none", "absent rig raw/absent none", "wrong synthetic raw/wrong none"
    )
    done = place.run("--failed", "--until", "sample", "--profile", profile, config=MICRO)
    assert done.returncode != 0 and "absent: skipped" in done.stderr
    assert "sample" in place.times("wrong") and not _layout(place, "wrong").error("sample").exists()
    assert (place.times("a"), place.times("b")) == before


def test_a_cancelled_training_and_a_killed_driver_lose_nothing(place, profile, tmp_path):
    """One after the other in one training, to save time."""
    config, layout = _longer(tmp_path, 600), _layout(place, "a")
    words = ("a", "--until", "train", "--profile", profile)
    running = place.start(*words, config=config)
    lease, scratch = layout.running("train"), layout.scratch("train")
    wait_until(lambda: list(scratch.glob("checkpoint-*.pt")), running, "a first checkpoint")
    first = read_holder(lease)
    subprocess.run(["scancel", first.job], check=True)
    wait_until(lambda: (holder := read_holder(lease)) and holder.job != first.job, running, "the second attempt")
    second, reached = read_holder(lease), max(path.name for path in scratch.glob("checkpoint-*.pt"))
    wait_until(lambda: max((path.name for path in scratch.glob("checkpoint-*.pt")), default="") > reached, running, "a further checkpoint")
    driver = read_holder(layout.running("run"))
    os.kill(driver.pid, signal.SIGKILL)
    running.wait()

    done = place.run(*words, config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"SLURM job {second.job}" in done.stderr, "it must say what it found and ended"
    facts = json.loads(layout.manifest("train").read_text())["facts"]
    assert facts["steps"] == 600 and facts["resumed_at"] >= int(reached.split("-")[1].split(".")[0])
    steps = [int(line.split(",")[0]) for line in layout.train_log.read_text().splitlines()[1:]]
    assert steps == sorted(set(steps)) and steps[-1] == 600
    assert double_writers(place.work) == []
    assert "taken over from" in layout.leases.read_text(), "of the killed driver"
