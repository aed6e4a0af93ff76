import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config, parse_settings
from pipeline.contract.captures_table import read_captures
from pipeline.contract.layout import Layout
from pipeline.contract.stages import upstream
from pipeline.io.errors import InputError
from pipeline.io.files import write_json
from pipeline.stages.job import make_job
from pipeline.workflow.staleness import stage_key, stages_of, stale_stages, unfinished_stages

ROOT = Path(__file__).resolve().parents[2]
METHOD = METHODS[DEFAULT_METHOD]
STAGES = tuple(METHOD.table)
CONFIG = parse_config({})


@pytest.fixture
def row(tmp_path):
    (tmp_path / "captures.tsv").write_text("id\tkind\tpath\na\tsynthetic\traw\n")
    return read_captures(tmp_path / "captures.tsv")["a"]


def _finish(layout, row, config, stages):
    for stage in stages:
        output = layout.results / f"{stage}.out"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(stage)
        write_json(layout.manifest(stage), {"key": stage_key(stage, row, config), "outputs": {output.name: {"size": len(stage)}}})


def test_the_shipped_configuration_is_the_default_one_and_names_every_key():
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert parse_config(values) == CONFIG
    for stage in STAGES:
        assert set(values.get(stage) or {}) == {field.name for field in dataclasses.fields(CONFIG.stages[stage])}, stage


def test_a_bad_key_is_named_with_what_is_allowed():
    with pytest.raises(InputError, match="unknown key 'train.iteratoins'") as error:
        parse_config({"train": {"iteratoins": 5}})
    assert "iterations" in str(error.value)


def test_a_bad_value_is_named():
    with pytest.raises(InputError, match="train.iterations") as error:
        parse_config({"train": {"iterations": "many"}})
    assert "many" in str(error.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"scatter": 0}, ["'scatter'", "found:    0", "1 or more"]),
        ({"frames": {"longest_side": 8}}, ["'frames.longest_side'", "found:    8", "at least 16"]),
        ({"train": None}, ["'train'", "found:    None", "keys with values"]),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(values, told):
    with pytest.raises(InputError) as error:
        parse_config(values, file="mine.yaml")
    assert all(word in str(error.value) for word in ["mine.yaml", "next:", *told])


def test_settings_survive_the_way_through_a_command_line():
    for stage in STAGES:
        assert parse_settings(stage, json.loads(json.dumps(CONFIG.settings(stage))), METHOD) == CONFIG.stages[stage]


def test_every_input_is_made_by_an_earlier_stage():
    for method in METHODS.values():
        made = set()
        for stage in method.table.values():
            assert set(stage.inputs) <= made, stage.name
            made |= set(stage.outputs)
        assert upstream(tuple(method.table.values()))["report"], "reads what others make"


def _artefacts(text: str) -> set[str]:
    """The artefacts that a text names: `layout.fit`, `LAYOUT.fit`."""
    known = {name for stage in METHOD.table.values() for name in stage.outputs}
    return set(re.findall(r"layout\.(\w+)", text, re.I)) & known


def test_what_snakemake_waits_for_is_in_the_table():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for name, stage in METHOD.table.items():
        inputs = _artefacts(re.search(rf"^rule {name}:\n(.*?)^    output:", rules, re.M | re.S)[1])
        assert inputs <= set(stage.inputs), name


def test_a_changed_setting_makes_its_stage_and_what_follows_stale_and_nothing_before(row, tmp_path):
    layout, config = Layout(tmp_path / "r", tmp_path / "w"), CONFIG
    _finish(layout, row, config, STAGES)
    assert stale_stages(row, layout, config, STAGES) == {}
    changed = parse_config({"train": {"iterations": 7}})
    assert list(stale_stages(row, layout, changed, STAGES)) == ["train", "render", "evaluate", "report"]


def test_a_lost_or_cut_output_makes_its_stage_stale(row, tmp_path):
    layout, config = Layout(tmp_path / "r", tmp_path / "w"), CONFIG
    _finish(layout, row, config, STAGES)
    (layout.results / "frames.out").unlink()
    (layout.results / "fit.out").write_text("f")
    assert set(stale_stages(row, layout, config, STAGES)) == {"frames", "fit"}


def test_what_has_no_manifest_is_unfinished(row, tmp_path):
    layout, config = Layout(tmp_path / "r", tmp_path / "w"), CONFIG
    _finish(layout, row, config, STAGES)
    layout.manifest("train").unlink()
    assert unfinished_stages(row, layout, config, STAGES) == ["train"]


def test_only_synthetic_captures_are_synthesised(row):
    assert stages_of(row, METHOD.name, "frames") == ["synthesise", "ingest", "frames"]
    assert stages_of(dataclasses.replace(row, kind="rig"), METHOD.name, "frames") == ["ingest", "frames"]
    with pytest.raises(InputError, match="no stage"):
        stages_of(row, METHOD.name, "nothing")


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed"),
    [
        ("train", "iterations", 0, "1 or more"),
        ("train", "lr_means", -0.1, "0 or more"),
        ("train", "sh_degree", 4, "0 to 3"),
        ("init", "size", 0, "above 0"),
        ("fit", "gate", 0.9, "0.01 to 0.5"),
        ("keypoints", "pose_stride", 0, "1 or more"),
        ("report", "jpeg_quality", 101, "1 to 100"),
        ("frames", "longest_side", 8, "at least 16"),
    ],
)
def test_numbers_out_of_range_are_named_before_anything_starts(section, key, value, allowed):
    with pytest.raises(InputError) as caught:
        parse_config({section: {key: value}})
    assert f"'{section}.{key}'" in str(caught.value) and str(value) in str(caught.value) and allowed in str(caught.value)


def test_a_stage_sees_what_the_table_declares_and_nothing_else(row, tmp_path):
    layout = Layout(tmp_path / "r" / "a", tmp_path / "w" / "a")
    job = make_job("fit", CONFIG.stages["fit"], METHOD, layout, row, 2)
    assert job.inputs.keypoints == layout.keypoints and job.outputs.fit == layout.fit and job.cells.model == "head"
    for values, name in ((job.inputs, "capture"), (job.outputs, "keypoints"), (job.cells, "path")):
        with pytest.raises(AttributeError, match=f"'{name}' is none of the (?s:.*)'fit'"):
            getattr(values, name)
    train = make_job("train", CONFIG.stages["train"], METHOD, layout, row, 2)
    assert train.inputs.init == layout.init and train.subjects[0].layout.fit == layout.fit
    assert set(vars(train.outputs)) >= {"avatar", "avatar_ply", "train_log"}
    assert make_job("ingest", None, METHOD, layout, row, 2).inputs.truth == layout.truth
    assert make_job("ingest", None, METHOD, layout, dataclasses.replace(row, kind="rig"), 2).inputs.truth is None


def test_paths_that_are_given_must_be_those_of_the_table(row, tmp_path):
    layout, elsewhere = Layout(tmp_path / "r" / "a", tmp_path / "w" / "a"), tmp_path / "sample.json"
    inputs = {"capture": layout.capture, "frames": layout.frames, "frames_json": layout.frames_json}
    job = make_job("sample", CONFIG.stages["sample"], METHOD, layout, row, 2, inputs=inputs, outputs={"sample": elsewhere})
    assert job.outputs.sample == elsewhere
    with pytest.raises(InputError, match="other files than its inputs"):
        make_job("sample", CONFIG.stages["sample"], METHOD, layout, row, 2, inputs=inputs | {"fit": layout.fit})
