"""Stages, keys and manifests: what a run must do again."""

import dataclasses
import re

import pytest

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config
from pipeline.contract.captures_table import read_captures
from pipeline.contract.layout import Layout
from pipeline.contract.stages import upstream
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT, write_json
from pipeline.stages.job import make_job
from pipeline.workflow.staleness import best_resolution, unfinished_reasons, unfinished_stages, with_complete_captures
from pipeline.workflow.targets import Targets, capture_target, group_target

METHOD = METHODS[DEFAULT_METHOD]
CAPTURES = "id\tkind\tpath\tgroup\na\tsynthetic\traw\tboth\nb\trig\traw\tboth\n"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "captures.tsv").write_text(CAPTURES)
    return parse_config({"captures": str(tmp_path / "captures.tsv"), "results": str(tmp_path / "r"), "work": str(tmp_path / "w")})


@pytest.fixture
def row(config):
    return read_captures(config.captures)["a"]


def finish(target, config, stages=None):
    """Manifests and one output each, as the stages leave them."""
    keys = target.keys(config)
    for stage in target.stages if stages is None else stages:
        output = target.layout.results / f"{stage}.out"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(stage)
        write_json(target.layout.manifest(stage), {"key": keys[stage], "outputs": {output.name: {"size": len(stage)}}})


def changed(config, **values):
    return parse_config(config.values() | values)


def test_every_input_is_made_by_an_earlier_stage():
    for method in METHODS.values():
        made = set()
        for stage in method.table.values():
            assert set(stage.inputs) <= made, stage.name
            made |= set(stage.outputs)
        assert upstream(tuple(method.table.values()))["report"], "reads what others make"


def test_the_rules_name_no_stage_and_no_file_of_their_own():
    """They follow from the stage table; what two stages share in one job of a cluster is all that they add."""
    text = "".join(re.sub(r"#.*", "", path.read_text()) for path in (ROOT / "rules").glob("*.smk"))
    named = {name for name in METHOD.table if f'"{name}"' in text}
    assert named <= {"sample", "matte", "init", "train", "evaluate", "report", "render"}
    assert not re.search(r"\.(json|npz|zip|html)", text)


def test_a_changed_setting_makes_its_stage_and_what_follows_stale_and_nothing_before(row, config):
    target = capture_target(row, config)
    finish(target, config)
    assert unfinished_reasons(target, config) == {}
    assert list(unfinished_reasons(target, changed(config, train={"iterations": 7}))) == ["train", "render", "evaluate", "report"]


def test_a_result_is_current_under_the_resolution_that_made_it(row, config):
    target, configs = capture_target(row, config), [changed(config, preset="draft", train={}), parse_config({"preset": "standard"})]
    finish(target, configs[1])
    assert best_resolution(target, configs) is configs[1] and unfinished_stages(target, configs[1]) == []
    finish(target, configs[0], ["init", "train", "render", "evaluate", "report"])
    assert best_resolution(target, configs) is configs[0]


def test_a_lost_or_cut_output_makes_its_stage_stale(row, config):
    target = capture_target(row, config)
    finish(target, config)
    (target.layout.results / "frames.out").unlink()
    (target.layout.results / "fit.out").write_text("f")
    stale = unfinished_reasons(target, config)
    assert list(stale) == list(target.stages[target.stages.index("frames") :])
    assert stale["frames"].endswith("is gone") and stale["fit"].endswith("changed in size") and stale["sample"] == "after frames"


def test_what_has_no_manifest_is_unfinished(row, config):
    target = capture_target(row, config)
    finish(target, config)
    target.layout.manifest("train").unlink()
    assert unfinished_reasons(target, config) == {"train": "missing", "render": "after train", "evaluate": "after render", "report": "after evaluate"}
    assert unfinished_stages(target, config, ["fit"]) == []


def test_a_group_is_made_of_the_captures_that_are_complete(config):
    table = read_captures(config.captures)
    until_fit = changed(config, until="fit")
    captures = {name: capture_target(row, until_fit) for name, row in table.items()}
    group = group_target("both", list(table.values()), config)
    finish(captures["a"], config)
    assert [row.id for row in with_complete_captures(group, captures, config).rows] == ["a"]
    alone = with_complete_captures(group, captures, config)
    finish(alone, config)
    assert unfinished_reasons(alone, config) == {} and alone.layout.members[0].fit == captures["a"].layout.fit
    finish(captures["b"], config)
    whole = with_complete_captures(group, captures, config)
    assert [row.id for row in whole.rows] == ["a", "b"] and set(unfinished_reasons(whole, config)) == set(whole.stages), "another capture has joined"
    assert Targets(captures, {"both": group}).all.keys() == {"a", "b", "both"}


def test_only_synthetic_captures_are_synthesised(row, config):
    config = changed(config, until="frames")
    assert capture_target(row, config).stages == ("synthesise", "ingest", "frames")
    assert capture_target(dataclasses.replace(row, kind="rig"), config).stages == ("ingest", "frames")
    with pytest.raises(InputError, match="unknown stage"):
        capture_target(row, changed(config, until="nothing"))


def test_a_stage_sees_what_the_table_declares_and_nothing_else(row, config, tmp_path):
    layout = Layout(tmp_path / "r" / "a", tmp_path / "w" / "a")
    job = make_job("fit", config.stages["fit"], METHOD, layout, row, 2)
    assert job.inputs.keypoints == layout.keypoints and job.outputs.fit == layout.fit and job.cells.model == "head"
    for values, name in ((job.inputs, "truth"), (job.outputs, "keypoints"), (job.cells, "path")):
        with pytest.raises(AttributeError, match=f"'{name}' is none of the (?s:.*)'fit'"):
            getattr(values, name)
    train = make_job("train", config.stages["train"], METHOD, layout, row, 2)
    assert train.inputs.init == layout.init and train.subjects[0].layout.fit == layout.fit
    assert set(vars(train.outputs)) >= {"avatar", "avatar_ply", "train_log"}
    assert make_job("ingest", None, METHOD, layout, row, 2).inputs.truth == layout.truth
    assert make_job("ingest", None, METHOD, layout, dataclasses.replace(row, kind="rig"), 2).inputs.truth is None


def test_paths_that_are_given_must_be_those_of_the_table(row, config, tmp_path):
    layout, elsewhere = Layout(tmp_path / "r" / "a", tmp_path / "w" / "a"), tmp_path / "sample.json"
    inputs = {"capture": layout.capture, "frames": layout.frames, "frames_json": layout.frames_json}
    job = make_job("sample", config.stages["sample"], METHOD, layout, row, 2, inputs=inputs, outputs={"sample": elsewhere})
    assert job.outputs.sample == elsewhere
    with pytest.raises(InputError, match="other files than its inputs"):
        make_job("sample", config.stages["sample"], METHOD, layout, row, 2, inputs=inputs | {"fit": layout.fit})
