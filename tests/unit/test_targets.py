"""Which captures and groups a command means."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.avatars import registry
from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config
from pipeline.contract.stages import CAPTURE_STAGES
from pipeline.io.errors import InputError
from pipeline.workflow.run import _without
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.targets import chosen_targets

TABLE = "id\tkind\tpath\tgroup\nanna\trig\tx\tfamily\nbob\trig\tx\tfamily\neve\trig\tx\t\nmax\trig\tx\tclan\n"
AVATAR = ("init", "train", "render", "evaluate", "report")


@pytest.fixture(autouse=True)
def together(monkeypatch):
    """A method that makes one avatar of a group."""
    monkeypatch.setitem(registry.METHODS, "together", replace(METHODS[DEFAULT_METHOD], name="together", scope="group"))


@pytest.fixture
def choose(tmp_path):
    (tmp_path / "captures.tsv").write_text(TABLE)

    def chosen(*names, method=DEFAULT_METHOD, until="report", **options):
        config = parse_config({"captures": str(tmp_path / "captures.tsv"), "method": method, "until": until})
        return chosen_targets(RunOptions(names, **options), config)

    return chosen


def test_a_method_of_captures_takes_a_group_as_its_captures(choose):
    assert list(choose("family", "eve", "anna").captures) == ["anna", "bob", "eve"] and not choose("family").groups
    assert list(choose(all=True).captures) == ["anna", "bob", "eve", "max"]
    assert choose("eve").captures["eve"].stages[-5:] == AVATAR and choose("eve", until="fit").captures["eve"].stages[-1] == "fit"


def test_a_method_of_groups_shares_what_its_captures_have(choose):
    targets = choose("family", method="together")
    assert list(targets.captures) == ["anna", "bob"] and list(targets.groups) == ["family"]
    assert targets.captures["anna"].stages == tuple(name for name in CAPTURE_STAGES if name != "synthesise")
    family = targets.groups["family"]
    assert family.stages == AVATAR and family.layout.avatar == Path("results/family/together/avatar.npz")
    assert [subject.name for subject in family.layout.subjects] == ["anna", "bob"] and family.layout.members[1].fit == Path("results/bob/fit.npz")
    assert list(choose(all=True, method="together").groups) == ["family", "clan"], "eve has no group"


def test_up_to_a_stage_of_captures_there_is_no_group(choose):
    targets = choose("family", "eve", method="together", until="fit")
    assert list(targets.captures) == ["anna", "bob", "eve"] and not targets.groups


@pytest.mark.parametrize(
    ("names", "method", "words"),
    [
        (("nobody",), DEFAULT_METHOD, "no capture or group 'nobody'(?s:.*)anna, bob, eve, max, family and 1 more"),
        (("nobody",), "together", "no capture or group 'nobody'(?s:.*)family, clan"),
        (("anna",), "together", "makes one avatar of a group, and 'anna' is a capture(?s:.*)family, clan(?s:.*)column 'group'"),
        ((), DEFAULT_METHOD, "no captures specified(?s:.*)--all"),
    ],
)
def test_names_that_mean_nothing_are_told_the_known_ones(choose, names, method, words):
    with pytest.raises(InputError, match=words):
        choose(*names, method=method)


def test_without_groups_there_is_nothing_for_a_method_of_groups(choose, tmp_path):
    config = parse_config({"captures": str(tmp_path / "alone.tsv"), "method": "together"})
    (tmp_path / "alone.tsv").write_text("id\tkind\tpath\neve\trig\tx\n")
    with pytest.raises(InputError, match="no capture has a group"):
        chosen_targets(RunOptions(all=True), config)


def test_a_bad_row_is_named_where_it_is_among_those_that_were_asked_for(choose, tmp_path):
    (tmp_path / "captures.tsv").write_text(TABLE + "kim\tvideo\tx\tfamily\n")
    assert list(choose(all=True).bad) == ["kim"] and list(choose(all=True).captures) == ["anna", "bob", "eve", "max"]
    assert list(choose("family").bad) == ["kim"] and not choose("eve", "max").bad
    with pytest.raises(InputError, match="line 6: bad kind"):
        choose("eve", "kim")
    targets = choose("family", method="together")
    broken = {name: row.error for name, row in targets.bad.items()}
    config = parse_config({"method": "together"})
    assert list(_without(targets, dict(broken), config, strict=False).groups["family"].rows) == list(targets.groups["family"].rows)
    assert not _without(targets, broken, config, strict=True).groups and "kim" in str(broken["family"])
