"""What a run will do and why, what it shows meanwhile, and what happens to a finished training that is replaced."""

import json
import time
from dataclasses import asdict, replace

import pytest

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config
from pipeline.contract.captures_table import read_captures
from pipeline.contract.keys import as_key
from pipeline.contract.layout import Layout
from pipeline.contract.manifest import inputs_of
from pipeline.io.errors import InputError
from pipeline.io.files import TEMPORARY, sha256, write_json
from pipeline.io.progress import Reporter, clock, read_progress, recording
from pipeline.stages.job import make_job
from pipeline.stages.runner import _sweep
from pipeline.workflow import kept_settings as kept
from pipeline.workflow.display import Display
from pipeline.workflow.plan import make_plans
from pipeline.workflow.plan_table import print_plans
from pipeline.workflow.previous import set_aside, settle
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.staleness import unfinished_reasons
from pipeline.workflow.targets import capture_target, layout_of, variants_of

METHOD = METHODS[DEFAULT_METHOD]
AVATAR = ["train", "render", "evaluate", "report"]


@pytest.fixture
def options(tmp_path):
    (tmp_path / "captures.tsv").write_text("id\tkind\tpath\tsize\na\trig\traw\t\nb\trig\traw\t\n")
    return RunOptions(("a",), captures=tmp_path / "captures.tsv", results=tmp_path / "r", work=tmp_path / "w", preset="draft")


def target_of(config, name="a"):
    return capture_target(read_captures(config.captures)[name], config)


def finish(target, config, stages=None, text="1"):
    """Outputs and manifests, as the stages leave them."""
    for stage in target.stages if stages is None else stages:
        for path in METHOD.output_paths(target.layout, stage):
            file = path if path.suffix else path / "x.zip"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        files = [path if path.suffix else path / "x.zip" for path in METHOD.output_paths(target.layout, stage)]
        record = {
            "key": target.keys(config)[stage],
            "version": METHOD.table[stage].version,
            "inputs": inputs_of(stage, target.layout, METHOD.table),
            "cells": {name: as_key(value) for name, value in target.rows[0].cells(METHOD.table[stage].cells).items()},
            "settings": json.loads(json.dumps(asdict(config.stages[stage]))),
            "facts": {"cameras": {"x": {}, "y": {}}, "frames": 14, "residual_px_all": None},
            "outputs": {str(file.relative_to(target.layout.results)): {"size": file.stat().st_size, "sha256": sha256(file)} for file in files},
            "timing": {"seconds": 2.94},
        }
        write_json(target.layout.manifest(stage), record)


def test_a_changed_setting_is_named_with_its_old_and_new_value(options, capsys):
    finish(target_of(config := load_config(options)), config)
    longer = replace(options, sets=("train.iterations=77",))
    before = config.stages["train"].iterations
    plan = make_plans(longer, {"a": target_of(load_config(longer))}, load_config(longer))["a"]
    assert plan.steps["train"] == f"settings changed: train.iterations {before} -> 77" and plan.steps["report"] == "after evaluate"
    assert list(plan.steps) == AVATAR and plan.forced == [str(plan.target.layout.manifest(stage)) for stage in AVATAR]
    print_plans({"a": plan})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["a", "ingest", "...", "init", "keep"] and lines[2][:2] == ["train", "run"] and lines[2][-2:] == ["2.9", "s"]
    assert " ".join(lines[-1]) == "4 stages to run, 12 s one after another"


def test_a_changed_cell_and_a_new_version_are_named(options, monkeypatch):
    finish(target_of(config := load_config(options)), config)
    options.captures.write_text("id\tkind\tpath\tsize\na\trig\traw\t512x256\n")
    assert unfinished_reasons(target_of(config), config)["frames"] == "captures.tsv changed: size null -> [512, 256]"
    options.captures.write_text("id\tkind\tpath\tsize\na\trig\traw\t\n")
    manifest = target_of(config).layout.manifest("fit")
    write_json(manifest, json.loads(manifest.read_text()) | {"version": 0, "key": "x"})
    assert list(unfinished_reasons(target_of(config), config).values())[:2] == [
        f"the stage has a new version (0 -> {METHOD.table['fit'].version})",
        "after fit",
    ]


def test_what_was_made_from_other_contents_is_stale_although_its_key_is_the_same(options):
    target = target_of(config := load_config(options))
    finish(target, config)
    finish(target, config, ["ingest"], text="2")  # ran again alone, with another result
    assert next(iter(unfinished_reasons(target, config).items())) == ("frames", "after ingest")
    finish(target, config, ["ingest"], text="1")
    assert unfinished_reasons(target, config) == {}, "the same bytes as before: nothing has changed"


def test_missing_stages_take_the_time_of_other_captures(options, capsys):
    config = load_config(options)
    finish(target_of(config, "b"), config)
    print_plans(make_plans(options, {name: target_of(config, name) for name in ("a", "b")}, config))
    out = capsys.readouterr().out
    assert out.count("missing") == 11 and "1 capture: nothing to do" in out and "11 stages to run, 32 s" in out


def test_from_needs_what_comes_before_and_names_why(options):
    target, config = target_of(config := load_config(options)), config
    with pytest.raises(InputError, match="--from train needs the results of ingest") as error:
        make_plans(replace(options, first="train", preset="draft"), {"a": target}, config)
    assert "missing" in str(error.value) and "--preset draft" in str(error.value)
    finish(target, config)
    assert list(make_plans(replace(options, first="train"), {"a": target}, config)["a"].steps) == AVATAR


def test_a_run_shows_a_line_for_each_stage_as_it_ends(options, capsys):
    target = target_of(config := load_config(options))
    finish(target, config, ["ingest"])
    display = Display(make_plans(options, {"a": target}, config))
    display()
    assert capsys.readouterr().out == "", "what was done before is no news"
    finish(target, config, ["frames", "sample"])
    display()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[ 2/11] a frames     2 cameras, 14 frames  2.9 s" and len(lines) == 2
    write_json(target.layout.error("matte"), {"message": "x", "attempt": 2})
    display.close()
    assert capsys.readouterr().out == "[ 4/11] a matte      failed (attempt 2)\n"
    finish(target, config)
    again = Display(make_plans(replace(options, first="train"), {"a": target}, config))
    again()
    assert capsys.readouterr().out == "", "the manifest of an earlier run is no news either"
    finish(target, config, ["train"])
    again.close()
    assert capsys.readouterr().out.startswith("[ 8/11] a train")


def test_progress_is_recorded_for_the_run_and_gone_afterwards(tmp_path):
    path = tmp_path / "progress" / "train.json"
    with recording(path):
        reporter = Reporter("steps", 100, first=50)
        reporter._shown = 0.0
        time.sleep(0.01)
        reporter.update(60, "loss 0.1")
        at = read_progress(path)
        assert at and (at.done, at.total, at.label, at.text) == (60, 100, "steps", "loss 0.1") and at.seconds_left == pytest.approx(40 / at.rate)
        reporter.close()
    assert not path.exists() and read_progress(path) is None
    assert [clock(seconds) for seconds in (2.94, 48, 100, 600, 9000)] == ["2.9 s", "48 s", "100 s", "10 min", "2.5 h"]


def test_a_finished_training_is_set_aside_and_comes_back_unless_a_new_one_is_done(options):
    finish(target_of(config := load_config(options)), config)
    longer = load_config(replace(options, sets=("train.iterations=77",)))
    target = target_of(longer)
    layout, plan = target.layout, make_plans(options, {"a": target}, longer)["a"]
    for ends_well in (False, True):
        set_aside(plan)
        assert not layout.avatar.exists() and layout.init.is_file() and layout.manifest("init").is_file(), "what is kept stays"
        if ends_well:
            finish(target, longer, ["train"], text="new")
        settle(target)
        assert layout.avatar.read_text() == ("new" if ends_well else "1") and not layout.previous.exists()
        assert layout.report.exists() != ends_well
    set_aside(replace(plan, steps={"render": "missing"}))
    assert layout.avatar.is_file() and not layout.previous.exists()


def test_settings_given_once_stay_with_the_capture(options, tmp_path):
    given = replace(options, sets=("train.iterations=77", "fit.iterations=5"))
    layout = layout_of("a", load_config(options))
    kept.keep([layout], given)
    config = kept.config_of("a", options)
    assert config.stages["train"].iterations == 77 and config.stages["fit"].iterations == 5 and config.preset == "draft"
    assert kept.described(kept.kept_settings(layout, options)) == "rigged.train.iterations=77 fit.iterations=5 preset=draft"
    kept.keep([layout], replace(options, sets=("train.seed=3",)))
    assert kept.config_of("a", options).stages["train"].seed == 3 and kept.config_of("a", options).stages["train"].iterations == 77
    (tmp_path / "my.yaml").write_text("train: {iterations: 9}\nthreads: 1\n")
    kept.keep([layout], replace(options, config=tmp_path / "my.yaml"))
    config = kept.config_of("a", options)
    assert config.stages["train"].iterations == 9 and config.stages["fit"].iterations != 5, "a file takes the place of what was kept"
    assert [(names, bool(settings)) for settings, names in kept.by_settings(["a", "b"], options, config)] == [(("a",), True), (("b",), False)]
    kept.keep([layout], replace(options, reset_settings=True, preset=None))
    assert not layout.settings.exists()


def test_a_variant_has_its_own_folder_and_settings_and_shares_what_comes_before(options):
    kept.keep([layout_of("a", load_config(options))], replace(options, sets=("train.iterations=77", "train.seed=4", "fit.iterations=5")))
    named = replace(options, variant="long", sets=("train.iterations=99",))
    layout = layout_of("a", load_config(named))
    kept.keep([layout], named)
    config = kept.config_of("a", replace(named, sets=()))
    assert config.stages["train"].iterations == 99 and config.stages["train"].seed == 4 and config.stages["fit"].iterations == 5
    assert kept.config_of("a", options).stages["train"].iterations == 77
    plain = layout_of("a", load_config(options))
    assert layout.avatar != plain.avatar and layout.scratch("train") != plain.scratch("train") and layout.fit == plain.fit
    assert variants_of(plain) == ["", "long"]
    with pytest.raises(InputError, match="variants share everything before init"):
        kept.keep([layout], replace(named, sets=("fit.iterations=6",)))
    with pytest.raises(InputError, match="'variant'"):
        parse_config({"variant": "../x"})


def test_what_a_killed_attempt_left_beside_the_raw_videos_is_removed(tmp_path):
    row = replace(next(iter(read_captures(_table(tmp_path)).values())), path=tmp_path / "raw" / "a")
    layout = Layout(tmp_path / "r" / "a", tmp_path / "w" / "a")
    left = tmp_path / "raw" / f"{TEMPORARY}12345678-a" / "truth"
    left.mkdir(parents=True)
    _sweep(make_job("synthesise", None, METHOD, layout, row, 1), layout, [])
    assert not left.parent.exists()


def _table(folder):
    (folder / "captures.tsv").write_text("id\tkind\tpath\na\tsynthetic\traw/a\n")
    return folder / "captures.tsv"
