"""Methods announce themselves: nothing outside a method's own folder and the registry knows its name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.avatars.method import Method
from pipeline.avatars.registry import DEFAULT_METHOD, METHODS, load_methods, method_of
from pipeline.contract.layout import Layout
from pipeline.contract.stages import Stage
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT
from pipeline.track.settings import FitSettings

TOY = Method(
    name="toy",
    about="a stand-in",
    versions={"init": 3, "train": 4, "render": 5},
    settings={"init": FitSettings, "mesh": FitSettings, "train": FitSettings},
    presets=Path("presets.yaml"),
    entry="nowhere",
    stages=(Stage("mesh", 7, inputs=("fit",), outputs=("mesh_head",)),),
    outputs={"mesh_head": "mesh.npz", "avatar_glb": "avatar.glb"},
)
OTHER = 3


def test_no_method_is_named_outside_its_folder_the_registry_and_the_one_default():
    sources = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk"), *(ROOT / "pipeline").rglob("*.py")]
    own = {ROOT / "pipeline" / "avatars" / name for name in METHODS}
    allowed = {"pipeline/avatars/registry.py": "BUILT_IN", "pipeline/contract/stages.py": "DEFAULT_METHOD ="}
    wrong = []
    for path in sources:
        place = str(path.relative_to(ROOT))
        if own & set(path.parents):
            continue
        lines = [
            line for line in path.read_text().splitlines() if any(re.search(rf"""["'./]{name}\b|\b{name}["'/]|avatars\.{name}""", line) for name in METHODS)
        ]
        wrong += [f"{place}: {line}" for line in lines if not (place in allowed and line.startswith(allowed[place]))]
    assert wrong == []


def test_a_method_adds_its_stages_versions_and_outputs():
    assert list(TOY.table)[-6:] == ["init", "mesh", "train", "render", "evaluate", "report"]
    assert TOY.table["render"].version == 5 + METHODS[DEFAULT_METHOD].table["render"].version
    assert "mesh_head" in TOY.table["train"].inputs and TOY.table["train"].outputs == ("avatar", "avatar_glb", "train_log", "validation", "snapshots")
    layout = Layout(Path("r"), Path("w"), "toy")
    assert TOY.output_paths(layout, "mesh") == [Path("r/toy/mesh.npz")] and TOY.path(layout, "fit") == Path("r/fit.npz")
    assert layout.manifest("mesh") == Path("r/toy/manifests/mesh.json") and layout.manifest("fit") == Path("r/manifests/fit.json")
    assert layout.running("frames-1of2") == Path("w/running/frames-1of2.json") and layout.running("run").parent == Path("w/running")


def test_a_capture_is_its_own_member_and_a_group_has_those_of_its_captures():
    capture = Layout(Path("r/anna"), Path("w/anna"))
    group = Layout(Path("r/family"), Path("w/family"), group=(capture, Layout(Path("r/bob"), Path("w/bob"))))
    assert [subject.name for subject in group.subjects] == ["anna", "bob"] and group.subjects[0].layout == capture
    assert capture.members == (capture,) and capture.subjects[0].name == "anna"


def test_further_methods_register_through_the_environment():
    assert list(load_methods(f"toy={__name__}:TOY,")) == [*METHODS, "toy"]
    for entry, words in [
        ("toy=tests.nowhere:TOY", "ModuleNotFoundError"),
        (f"toy={__name__}:NOTHING", "AttributeError"),
        (f"toy={__name__}:OTHER", "a int"),
        (f"mine={__name__}:TOY", "another method, toy"),
        ("toy", "ValueError"),
    ]:
        with pytest.raises(InputError, match="bad entry") as error:
            load_methods(entry)
        assert words in str(error.value) and "C2A_METHODS" in str(error.value)


def test_a_bad_entry_is_an_error_without_a_traceback():
    done = subprocess.run([sys.executable, "-m", "pipeline", "--help"], env={"C2A_METHODS": "x=y:z", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1 and "bad entry 'x=y:z'" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"name": "my method"}, "bad name 'my method'"),
        ({"stages": (Stage("fit", 1),)}, "bad name 'fit'"),
        ({"stages": (Stage("train", 1),)}, "bad name 'train'"),
        ({"stages": ()}, "settings for other stages"),
        ({"outputs": {}}, "no file for mesh_head"),
    ],
)
def test_a_method_that_contradicts_itself_is_named(changes, words):
    with pytest.raises(InputError, match=words):
        Method(**{name: getattr(TOY, name) for name in TOY.__dataclass_fields__} | changes)


def test_an_unknown_method_is_told_the_known_ones():
    with pytest.raises(InputError, match=f"'nobody'(?s:.*){DEFAULT_METHOD}"):
        method_of("nobody")
