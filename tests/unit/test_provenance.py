"""What a manifest says of the code, the machine and the command that made it."""

import subprocess

from pipeline.machine.provenance import COMMAND, commit, provenance


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)


def test_a_commit_is_that_of_the_checkout_itself(tmp_path):
    assert commit(tmp_path) == "", "no checkout"
    git(tmp_path, "init")
    assert commit(tmp_path) == "", "nothing was committed"
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    git(tmp_path, "tag", "v1")
    first = commit(tmp_path)
    assert len(first) == 12 and set(first) <= set("0123456789abcdef"), "the commit, not a tag"
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == f"{first}-dirty"
    (tmp_path / "copy").mkdir()
    assert commit(tmp_path / "copy") == "", "the repository around it is another one"


def test_git_that_is_not_there_is_no_error(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(tmp_path) == ""


def test_what_is_unknown_is_left_out(monkeypatch):
    monkeypatch.setenv(COMMAND, "./c2a run anna")
    assert provenance()["command"] == "./c2a run anna" and provenance()["processor"].endswith("threads")
    monkeypatch.delenv(COMMAND)
    assert "command" not in provenance()
