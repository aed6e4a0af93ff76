"""Stages that a method or a kind of dataset does not need are not run."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.avatars import method as methods
from pipeline.avatars import registry
from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config
from pipeline.contract.captures_table import KINDS, CaptureRow
from pipeline.contract.layout import Layout
from pipeline.contract.stages import IMAGES, PREPARE, PREPARED, Stage, is_made
from pipeline.io.errors import InputError
from pipeline.io.files import write_json
from pipeline.report.records import stage_places
from pipeline.report.report import sections_of
from pipeline.stages.job import make_job
from pipeline.workflow.clean import _why_kept
from pipeline.workflow.targets import capture_target

ROW = CaptureRow("anna", "rig", Path("/raw/anna"))
AVATAR = ["init", "train", "render", "evaluate", "report"]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """A method that reads nothing but images and cameras."""
    method = replace(METHODS[DEFAULT_METHOD], name="plain", reads=IMAGES)
    monkeypatch.setitem(registry.METHODS, "plain", method)
    return method


def config(**values):
    return parse_config({"method": "plain"} | values)


def test_a_method_runs_what_makes_its_inputs_and_nothing_else(plain):
    assert capture_target(ROW, config()).stages == ("ingest", "frames", "sample", "matte", *AVATAR)
    assert capture_target(replace(ROW, kind="synthetic"), config()).stages[0] == "synthesise"
    assert "overlay" not in plain.table["report"].inputs and "overlay" in METHODS[DEFAULT_METHOD].table["report"].inputs
    detected = replace(plain, name="detected", reads=(*IMAGES, "keypoints"))
    assert detected.stages_of("rig") == ["ingest", "frames", "sample", "matte", "keypoints"]


def test_its_keys_do_not_depend_on_what_it_does_not_read():
    target, other = capture_target(ROW, config()), config(fit={"gate": 0.123}, keypoints={"minimum_score": 0.9})
    keys, changed = target.keys(config()), target.keys(other)
    assert all(keys[stage] == changed[stage] for stage in target.stages)
    usual = parse_config({})
    assert capture_target(ROW, usual).keys(usual)["init"] != capture_target(ROW, usual).keys(parse_config({"fit": {"gate": 0.123}}))["init"]


def test_a_stage_that_it_does_not_need_is_no_place_to_stop_at():
    with pytest.raises(InputError, match="plain has no use for the stage 'fit'(?s:.*)matte"):
        capture_target(ROW, config(until="fit"))


def test_its_report_and_scratch_leave_the_others_out(tmp_path):
    layout = Layout(tmp_path / "results" / "anna", tmp_path / "work" / "anna", "plain")
    stages = [stage.stage for stage in sections_of(layout)]
    assert "fit" not in stages and "keypoints" not in stages and "matte" in stages
    write_json(layout.manifest("ingest"), {"cells": {"kind": "rig"}})
    assert list(stage_places(layout)) == ["ingest", "frames", "sample", "matte", *AVATAR]
    for stage in ("frames", "sample", "matte", *AVATAR):
        write_json(layout.manifest(stage), {})
    paths = {"results": str(tmp_path / "results"), "work": str(tmp_path / "work")}
    assert _why_kept("anna", ROW, config(**paths)) == ""
    assert _why_kept("anna", replace(ROW, kind="synthetic"), config(**paths)) == "plain: synthesise is not done"


def test_what_a_method_reads_is_checked(plain):
    for reads in (PREPARED[1:], (*IMAGES, "truth")):
        with pytest.raises(InputError, match="bad `reads`"):
            replace(plain, reads=reads)


def test_a_kind_that_brings_its_own_does_without_a_stage(monkeypatch, plain):
    without = tuple(replace(stage, kinds=("rig",)) if stage.name == "keypoints" else stage for stage in PREPARE)
    monkeypatch.setattr(methods, "PREPARE", without)
    method = replace(METHODS[DEFAULT_METHOD], name="other")
    assert "keypoints" in method.stages_of("rig") and method.stages_of("nersemble") == ["ingest", "frames", "sample", "matte", "fit"]
    assert not Stage("keypoints", 1, kinds=("rig",)).is_for(None) and Stage("fit", 1).is_for(None)


def test_inputs_that_a_kind_does_not_have_are_none():
    assert [kind for kind in KINDS if is_made("truth", kind)] == ["synthetic"] and not is_made("truth", None)
    assert is_made("fit", None) and is_made("avatar", "rig")
    usual, layout = METHODS[DEFAULT_METHOD], Layout(Path("r/anna"), Path("w/anna"))
    truths = [make_job("ingest", None, usual, layout, replace(ROW, kind=kind), 1).inputs.truth for kind in ("rig", "synthetic")]
    assert truths == [None, Path("r/anna/truth.json")]
