"""The command line: what its --help says is true, and it starts quickly."""

import functools
import re
import shlex
import subprocess
import sys
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from pipeline.cli import main as cli
from pipeline.cli import runs
from pipeline.io.files import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WIDTH = 80 - len("│   • calibration   │")


@pytest.fixture
def parse(monkeypatch):
    """Parses a command line without doing what it says: returns the verb that would be called and its arguments."""
    calls = []

    def stub(name, verb):
        return functools.wraps(verb)(lambda *values, **others: calls.append((name, values, others)) or 0)

    monkeypatch.setattr(cli, "VERBS", {name: stub(name, verb) for name, verb in cli.VERBS.items()})
    monkeypatch.setattr(runs, "to_snakemake", [])

    def call(line):
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, line
        return calls.pop() if calls else None

    return call


def test_the_list_of_verbs_has_a_line_for_each(parse, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert parse("./c2a --help") is None
    lines = re.findall(r"^[ |│]+• ([a-z-]+) +(.*?)[ |│]*$", capsys.readouterr().out, re.MULTILINE)
    assert [name for name, _ in lines] == list(cli.VERBS) and list(cli.VERBS)[0] == "demo" and list(cli.VERBS)[-1] == "stage"
    for name, line in lines:
        assert line == cli.summary(cli.VERBS[name]) and line.endswith(".") and len(line) <= WIDTH


@pytest.mark.parametrize("name", cli.VERBS)
def test_the_help_of_a_verb_names_and_describes_every_argument(parse, capsys, name):
    verb = cli.VERBS[name]
    assert parse(f"./c2a {name} --help") is None
    page = capsys.readouterr().out
    assert page.startswith(f"usage: c2a {name} [-h]") and cli.summary(verb) in page
    assert not re.search(r"None|(?<!=)\bPATH\b|\bINT\b|\bFLOAT\b|\bSTR\b|BOOL", page), "as tyro shows a type that has no metavar"
    for parameter, kind in get_type_hints(verb).items():
        owner, words = (kind, [entry.name for entry in fields(kind)]) if is_dataclass(kind) else (verb, [parameter])
        for word in words:
            assert word == "return" or re.search(rf"^ +{word}: \S", owner.__doc__, re.MULTILINE), f"{word} is not described"


@pytest.mark.parametrize("name", cli.VERBS)
def test_the_examples_of_a_verb_parse(parse, name):
    examples = re.findall(r"^ +(\./c2a .*?)(?:  .*)?$", cli.VERBS[name].__doc__, re.MULTILINE)
    verbs = [call[0] for call in map(parse, examples)]
    assert (name in verbs) or name == "doctor"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_commands_of_the_documents_parse(parse, page):
    text = page.read_text()
    for line in re.findall(r"^ {4,}(?:\w+=\S+ )*(\./c2a [^#\n]*?)(?:  .*)?$", text, re.MULTILINE):
        parse(line)
    assert set(re.findall(r"\./c2a ([a-z]\S*?)(?=[`\s|,.;:)]|$)", text)) <= set(cli.VERBS)


def test_what_follows_two_hyphens_goes_to_snakemake(parse):
    name, values, _ = parse("./c2a run anna bob -n -- --keep-incomplete -n")
    assert name == "run" and values[0] == ("anna", "bob") and runs.to_snakemake == ["--keep-incomplete", "-n"]
    assert parse("./c2a test tests/unit -- -x")[1] == (("tests/unit", "-x"),)


def test_starting_imports_nothing_heavy():
    code = "import sys, pipeline.cli.main; print(*{'torch', 'numpy', 'pandas', 'snakemake', 'cv2', 'pytest'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
