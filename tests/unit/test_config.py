"""config.yaml, presets and overrides: what stands over what, and every mistake named before anything starts."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from pipeline.avatars import registry
from pipeline.avatars.method import PRESETS
from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import SHARED, merge, parse_config, parse_settings
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT
from pipeline.workflow import presets
from pipeline.workflow.presets import resolved_config
from pipeline.workflow.run_options import RunOptions, load_config, parse_set, resolutions

METHOD = METHODS[DEFAULT_METHOD]
CONFIG = parse_config({})


def test_the_shipped_configuration_is_the_default_one_and_names_every_shared_key():
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert parse_config(values) == CONFIG
    for stage in SHARED:
        assert set(values[stage]) == {entry.name for entry in dataclasses.fields(CONFIG.stages[stage])}, stage
    assert not set(METHOD.settings) & set(values), "what a preset governs is not in config.yaml"
    assert list(CONFIG.stages) == list(METHOD.table)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train": {"iteratoins": 5}}, ["unknown key 'train.iteratoins'", "iterations"]),
        ({"trian": {}}, ["unknown key 'trian'", "train"]),
        ({METHOD.name: {"trian": {}}}, [f"unknown key '{METHOD.name}.trian'", "train"]),
        ({METHOD.name: {"train": {"iteratoins": 5}}}, ["unknown key 'train.iteratoins'"]),
        ({METHOD.name: 5}, [f"bad value of '{METHOD.name}'"]),
        ({"train": {"iterations": "many"}}, ["train.iterations", "many"]),
        ({"scatter": 0}, ["'scatter'", "found:    0", "1 to 1000"]),
        ({"frames": {"longest_side": 8}}, ["'frames.longest_side'", "found:    8", "16 to 16384"]),
        ({"train": None}, ["'train'", "found:    None", "keys with values"]),
        ({"preset": "best"}, ["'preset'", "'best'", "draft"]),
        ({"method": "nobody"}, ["'nobody'", DEFAULT_METHOD]),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(values, words):
    with pytest.raises(InputError) as error:
        parse_config(values, file="mine.yaml")
    assert all(word in str(error.value) for word in ["next:", *words]), error.value


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed"),
    [
        ("train", "iterations", 0, "1 to 10000000"),
        ("train", "lr_means", -0.1, "0 to 10"),
        ("train", "sh_degree", 4, "0 to 3"),
        ("init", "size", 0, "above 0"),
        ("fit", "gate", 0.9, "0.01 to 0.5"),
        ("keypoints", "pose_stride", 0, "1 to 10000"),
        ("report", "jpeg_quality", 101, "1 to 100"),
        ("frames", "longest_side", 8, "16 to 16384"),
    ],
)
def test_numbers_out_of_range_are_named_before_anything_starts(section, key, value, allowed):
    with pytest.raises(InputError) as caught:
        parse_config({section: {key: value}})
    assert f"'{section}.{key}'" in str(caught.value) and str(value) in str(caught.value) and allowed in str(caught.value)


def test_settings_survive_the_way_through_a_command_line_and_a_file():
    for stage in METHOD.table:
        assert parse_settings(stage, json.loads(json.dumps(CONFIG.settings(stage))), METHOD) == CONFIG.stages[stage]
    for preset in PRESETS:
        config = parse_config({"preset": preset, "train": {"seed": 3}, "frames": {"crop": {"a": [0, 0, 32, 32]}}})
        assert parse_config(json.loads(json.dumps(config.values()))) == config


def test_every_preset_of_every_method_can_be_used():
    for method in METHODS.values():
        for preset in PRESETS:
            config = parse_config({"method": method.name, "preset": preset})
            for stage, values in method.preset(preset).items():
                assert {name: config.settings(stage)[name] for name in values} == values
    assert parse_config({"preset": "standard"}).stages["train"] != parse_config({"preset": "draft"}).stages["train"]


def test_presets_must_be_the_three(tmp_path):
    (tmp_path / "presets.yaml").write_text("draft: {}\n")
    with pytest.raises(InputError, match="lacks blocks(?s:.*)high"):
        dataclasses.replace(METHOD, presets=tmp_path / "presets.yaml").preset("draft")


@pytest.fixture
def layers(tmp_path, monkeypatch):
    """Writes config.yaml and the file of --config; reads them with other options."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.workflow.run_options.ROOT", tmp_path)

    def load(shipped, own=None, **options):
        Path("config.yaml").write_text(yaml.safe_dump(shipped))
        Path("own.yaml").write_text(yaml.safe_dump(own or {}))
        return load_config(RunOptions(config=Path("own.yaml"), **options))

    return load


def test_class_defaults_preset_config_file_and_set_lie_over_each_other(layers):
    standard = METHOD.preset("standard")["train"]
    shipped, own = {"preset": "standard", "train": {"sh_degree": 0, "iterations": 11}}, {"train": {"iterations": 12, "frames_per_step": 3}}
    train = layers(shipped).stages["train"]
    assert (train.seed, train.max_splats, train.sh_degree, train.iterations) == (0, standard["max_splats"], 0, 11)
    train = layers(shipped, own).stages["train"]
    assert (train.max_splats, train.sh_degree, train.iterations, train.frames_per_step) == (standard["max_splats"], 0, 12, 3)
    config = layers(shipped, own, sets=("train.iterations=13", "train.lr_means=1e-3", "frames.crop={a: [0, 0, 20, 20]}"))
    assert (config.stages["train"].iterations, config.stages["train"].frames_per_step, config.stages["train"].lr_means) == (13, 3, 1e-3)
    assert config.stages["frames"].crop == {"a": (0, 0, 20, 20)}


def test_sections_are_merged_at_every_depth(layers):
    crops = {"frames": {"crop": {"a": [0, 0, 20, 20]}}}, {"frames": {"crop": {"b": [0, 0, 30, 30]}}}
    assert set(layers(*crops).stages["frames"].crop) == {"a", "b"}
    assert merge({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"c": 3}}}, {"e": {}}) == {"a": {"b": {"c": 3, "d": 2}}, "e": {}}


def test_a_section_of_the_method_in_use_needs_no_name_and_a_later_layer_wins(layers):
    name = METHOD.name
    assert layers({"train": {"seed": 1}}, {name: {"train": {"seed": 2}}}).stages["train"].seed == 2
    assert layers({name: {"train": {"seed": 1}}}, {"train": {"seed": 2}}).stages["train"].seed == 2
    assert layers({"train": {"seed": 1}, name: {"train": {"seed": 3}}}).stages["train"].seed == 3
    assert layers({name: {"train": {"seed": 1}}}, sets=(f"{name}.train.seed=4",)).stages["train"].seed == 4


def test_sections_of_other_methods_are_checked_and_left_alone(layers, monkeypatch):
    other = dataclasses.replace(METHOD, name="other")
    monkeypatch.setitem(registry.METHODS, "other", other)
    shipped = {"other": {"train": {"seed": 5}}}
    assert layers(shipped).stages["train"].seed == 0 and layers(shipped, method="other").stages["train"].seed == 5
    assert layers(shipped | {"method": "other"}).stages["train"].seed == 5 and layers(shipped, sets=("method=other",)).method == "other"
    with pytest.raises(InputError, match="unknown key 'train.sede'"):
        layers({"other": {"train": {"sede": 5}}})


@pytest.mark.parametrize("setting", ["train.iterations", "=3", "train..x=3", "train.iterations=[1"])
def test_a_bad_set_is_named(setting):
    with pytest.raises(InputError, match="--set"):
        parse_set(setting)


def test_keys_of_set_are_checked_as_those_of_a_file(layers):
    with pytest.raises(InputError, match="--set(?s:.*)unknown key 'train.iteratoins'"):
        layers({}, sets=("train.iteratoins=3",))


def test_auto_is_standard_where_there_is_a_gpu(layers, monkeypatch):
    def resolved(**options):
        layers({})
        return resolved_config(RunOptions(**options)).preset

    monkeypatch.setattr(presets, "has_gpu", lambda: False)
    monkeypatch.setattr(presets, "profile_folder", lambda name, here: Path(name))
    monkeypatch.setattr(presets, "is_cluster", lambda folder: folder.name == "slurm")
    assert resolved() == "draft" and resolved(preset="high") == "high" and resolved(profile="slurm") == "standard"
    monkeypatch.setattr(presets, "has_gpu", lambda: True)
    assert resolved() == "standard" and resolved(sets=("train.device=cpu",)) == "draft" and resolved(preset="auto") == "standard"
    assert [config.preset for config in resolutions(RunOptions())] == ["draft", "standard"]
    assert [config.preset for config in resolutions(RunOptions(preset="high"))] == ["high"]


def test_the_options_stand_over_the_configuration(layers, tmp_path):
    config = layers({"results": "kept", "until": "fit", "threads": 3}, work=Path("../scratch"))
    assert config.results == "kept", "what a configuration says is relative to the checkout"
    assert config.work == str(tmp_path.parent / "scratch") and (config.until, config.threads) == ("fit", 3)
    assert layers({"until": "fit"}, until="train").until == "train"


def test_rendering_uses_the_device_of_the_training_unless_it_is_told_another():
    assert parse_config({"train": {"device": "cpu"}}).stages["render"].device == "cpu"
    assert parse_config({"train": {"device": "cpu"}, "render": {"device": "cuda"}}).stages["render"].device == "cuda"
    assert parse_config({}).stages["render"].device == "auto"
