"""Each setting and each table cell makes exactly those stages stale whose results it can change."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

import pytest

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config
from pipeline.contract.captures_table import OPTIONAL, REQUIRED, CaptureRow
from pipeline.contract.keys import avatar_keys, capture_keys, result_settings
from pipeline.contract.stages import CAPTURE_STAGES, upstream

METHOD = METHODS[DEFAULT_METHOD]
SETTINGS = parse_config({}).result_settings
STAGES = list(METHOD.table)
ROW = CaptureRow("anna", "rig", Path("/raw/anna"))
SYNTHETIC = CaptureRow("demo", "synthetic", Path("/raw/demo"))
OTHER = {  # of each column another value than the empty one
    "id": {"id": "bob"}, "kind": {"kind": "nersemble"}, "path": {"path": Path("/raw/other")}, "model": {"model": "body"},
    "calibration": {"calibration": Path("/c.json")}, "plates": {"plates": "none"}, "timestamps": {"timestamps": Path("/t.csv")},
    "sequences": {"sequences": ("a",)}, "size": {"size": (64, 64)}, "val_cameras": {"val_cameras": ("none",)},
    "test_sequences": {"test_sequences": ("none",)}, "color": {"color": "none"}, "group": {"group": "family"}, "frames": {"stride": 2}, "units": {"units": "mm"}, "convention": {"convention": "opengl"},
    "mattes": {"mattes": "none"}, "fps": {"fps": 25.0},
}  # fmt: skip
FIRST = {  # column -> the first stages that it makes stale; `upstream` says which follow
    **dict.fromkeys(("id", "kind", "path", "calibration", "plates", "timestamps", "sequences", "color"), {"ingest"}),
    **dict.fromkeys(("units", "mattes", "fps"), {"ingest"}), "convention": {"ingest", "keypoints"},
    "frames": {"frames"}, "size": {"frames"}, "val_cameras": {"sample"}, "test_sequences": {"sample"}, "model": {"matte", "keypoints", "fit"}, "group": set(),
}  # fmt: skip
RUN_ONLY = ("device", "backend", "graph", "memory_mb", "log_every", "checkpoint_every", "checkpoint_seconds", "checkpoint_share", "val_every",
            "val_images", "snapshots")  # fmt: skip


def keys(row=ROW, settings=SETTINGS, method=METHOD):
    own = capture_keys(row, settings)
    return own | avatar_keys(method.name, method.avatar_stages, {row.id: own}, settings)


def changed(before, after):
    return {stage for stage in before.keys() | after.keys() if before.get(stage) != after.get(stage)}


def with_all_that_follow(first):
    makers, stale = upstream(tuple(METHOD.table.values())), set(first)
    for stage in STAGES:
        if stale & set(makers[stage]):
            stale.add(stage)
    return stale


@pytest.mark.parametrize("column", (*REQUIRED, *OPTIONAL))
def test_a_table_cell_makes_the_stages_stale_that_read_it(column):
    assert changed(keys(), keys(replace(ROW, **OTHER[column]))) == with_all_that_follow(FIRST[column])


def test_of_a_synthetic_capture_the_model_decides_what_is_drawn():
    assert changed(keys(SYNTHETIC), keys(replace(SYNTHETIC, model="body"))) == set(STAGES)
    assert changed(keys(SYNTHETIC), keys(replace(SYNTHETIC, val_cameras=("none",)))) == with_all_that_follow({"sample"})
    assert "synthesise" not in keys()


def _another(value):
    if isinstance(value, bool):
        return not value
    return {int: lambda: value + 1, float: lambda: value + 0.01, str: lambda: value + "x", tuple: lambda: (*value, "x"), dict: lambda: {"x": (0, 0, 32, 32)}}[
        type(value)
    ]()


@pytest.mark.parametrize(("stage", "name"), [(stage, entry.name) for stage, values in parse_config({}).stages.items() for entry in fields(values)])
def test_a_setting_makes_its_stage_and_what_follows_stale(stage, name):
    values = parse_config({}).stages[stage]
    other = object.__new__(type(values))  # without the checks of what a value may be
    other.__dict__.update(asdict(values) | {name: _another(getattr(values, name))})
    stale = changed(keys(SYNTHETIC), keys(SYNTHETIC, SETTINGS | {stage: result_settings(other)}))
    run_only = name == "trust_model_files" or stage == "train" and name in RUN_ONLY or (stage, name) == ("render", "device")
    assert stale == (set() if run_only else with_all_that_follow({stage}))


def test_every_run_only_setting_is_one():
    for values in parse_config({}).stages.values():
        assert set(getattr(values, "RUN_ONLY", ())) <= {entry.name for entry in fields(values)}


def test_a_class_names_what_changes_no_result():
    @dataclass(frozen=True)
    class Settings:
        RUN_ONLY: ClassVar = ("memory_mb",)
        memory_mb: int = 1
        steps: int = 2

    assert result_settings(Settings()) == {"steps": 2}


def test_methods_share_the_stages_of_captures_alone():
    other = replace(METHOD, name="other")
    assert changed(keys(), keys(method=other)) == set(STAGES) - set(CAPTURE_STAGES)
    newer = replace(METHOD, versions={**METHOD.versions, "train": 99})
    assert changed(keys(), keys(method=newer)) == with_all_that_follow({"train"})


def test_a_groups_key_has_its_members():
    rows = [replace(ROW, id=name) for name in ("anna", "bob", "eve")]
    members = {row.id: capture_keys(row, SETTINGS) for row in rows}

    def group(chosen):
        return avatar_keys(METHOD.name, METHOD.avatar_stages, chosen, SETTINGS)

    whole = group(members)
    assert changed(whole, group({name: members[name] for name in ("anna", "bob")})) == set(STAGES) - set(CAPTURE_STAGES)
    moved = members | {"eve": capture_keys(replace(rows[2], val_cameras=("none",)), SETTINGS)}
    assert changed(whole, group(moved)) == set(STAGES) - set(CAPTURE_STAGES)
    regrouped = members | {"eve": capture_keys(replace(rows[2], group="other"), SETTINGS)}
    assert changed(whole, group(regrouped)) == set()
