"""Hostile and broken input: every reader ends in a named error or a result, in bounded time and memory, and does nothing else."""

import functools
import json
import subprocess
import sys

import pytest

from pipeline.io.files import ROOT
from tests.hostile.corpus import CASES


@functools.cache
def outcomes():
    """Name -> record of every case, all run in one go."""
    command = [sys.executable, "-m", "tests.hostile.server"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return {record["name"]: record for record in map(json.loads, done.stdout.splitlines())}


def test_the_corpus_is_large_and_its_names_are_different():
    assert len({case.name for case in CASES}) == len(CASES) >= 150


def test_the_harness_sees_what_no_reader_may_do():
    done = subprocess.run([sys.executable, "-m", "tests.hostile.harness"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    records = list(map(json.loads, done.stdout.splitlines()))
    assert len(records) == 7 and all(record["name"] == f"harness: {record['outcome']}" for record in records), records


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile(case):
    record = outcomes()[case.name]
    allowed = ("refused", "accepted") if case.expected == "either" else (case.expected,)
    assert record["outcome"] in allowed, record
    if record["outcome"] == "refused":
        assert case.words in record["message"] and ("found:" in record["message"] or "expected:" in record["message"]), record
        assert record["message"].replace("\n", "").isprintable() and len(record["message"]) < 6000
