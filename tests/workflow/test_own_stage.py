"""A method's own stage has a rule, a verb, settings, a manifest and a column, without a line about it outside the method."""

import json
import os
import re
import subprocess
import sys

import pytest

from pipeline.avatars.registry import VARIABLE
from pipeline.contract.layout import Layout
from tests.workflow.own_stage import METHOD, PLAIN
from tests.workflow.support import ROOT, Place, command


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"{METHOD.name}={METHOD.entry}:METHOD,{PLAIN.name}={METHOD.entry}:PLAIN")
    place = Place(tmp_path)
    place.write_table("id kind path", "a synthetic raw/a")
    return place


@pytest.mark.parametrize(("until", "planned"), [("init", False), ("mesh", True), ("train", True)])
def test_its_rule_stands_between_init_and_train(place, until, planned):
    done = command("run", "a", *place.paths(), "-n", "--method", "meshed", "--preset", "draft", "--until", until)
    assert done.returncode == 0, done.stderr
    stages = [line.split()[-4] for line in done.stdout.splitlines()[1:-1]]
    assert ("mesh" in stages) == planned and "init" in stages and ("train" in stages) == (until == "train")
    rules = rules_of(place, "meshed", until)
    assert ("mesh" in rules) == planned and "init" in rules and ("train" in rules) == (until == "train")


def rules_of(place, method, until):
    """The jobs that Snakemake plans when it is called by hand."""
    overrides = [f"{name}={value}" for name, value in zip(("captures", "results", "work"), place.paths()[1::2])]
    words = ["--configfile", ROOT / "config.yaml", "--config", "subjects=all", f"method={method}", f"until={until}", *overrides, "--dry-run", "--quiet", "host"]
    by_hand = subprocess.run([sys.executable, "-m", "snakemake", *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    return re.findall(r"^ *(?:local)?rule (\w+):$", by_hand.stdout + by_hand.stderr, re.MULTILINE)


def test_a_method_without_a_model_has_neither_keypoints_nor_fit(place):
    place.write_table("id kind path", "a synthetic raw/a", "b rig raw/b")
    shared = ["ingest", "frames", "sample", "matte", "init", "mesh", "train", "render", "evaluate", "report"]
    rules = rules_of(place, "plain", "report")
    assert {"synthesise", "ingest", "matte", "mesh"} <= set(rules) and not {"keypoints", "fit"} & set(rules)
    header = command("status", *place.paths(), "--method", "plain").stdout.splitlines()[0].split()
    assert header == ["capture", "synthesise", *shared, "warnings"]


def test_its_verb_runs_it_and_status_shows_it(place):
    layout = Layout(place.results / "a", place.work / "a", "meshed")
    layout.init.parent.mkdir(parents=True)
    layout.init.write_bytes(b"")
    paths = ("--captures", place.table, "--results", place.results, "--work", place.work, "--method", "meshed", "--preset", "standard")
    done = command("stage", "mesh", "a", *paths, "--set", "init={}")
    assert done.returncode == 0, done.stderr
    assert (layout.avatar_folder / "mesh.txt").read_text() == "300 vertices of a after init.npz"
    manifest = json.loads(layout.manifest("mesh").read_text())
    assert manifest["settings"] == {"vertices": 300} and manifest["defaults"] == {"vertices": 3} and manifest["preset"] == "standard"
    assert list(manifest["outputs"]) == [os.path.join("meshed", "mesh.txt")]
    header = command("status", *paths).stdout.splitlines()[0].split()
    assert header[header.index("mesh") - 1 : header.index("mesh") + 2] == ["init", "mesh", "train"]
    wrong = command("stage", "mesh", "a", *paths, "--set", "mesh.vertexes=4")
    assert wrong.returncode == 1 and "unknown key 'mesh.vertexes'" in wrong.stderr and "vertices" in wrong.stderr
    refused = command("stage", "mesh", "a", *paths[:-3], "rigged")
    assert refused.returncode == 1 and "has no stage 'mesh'" in refused.stderr
