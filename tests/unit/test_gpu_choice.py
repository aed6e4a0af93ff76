"""Each stage on a card of its own."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.machine import gpu_lock
from pipeline.machine.gpu_lock import VISIBLE, cards, claim_card


@pytest.fixture(autouse=True)
def two_cards(monkeypatch):
    monkeypatch.setattr(gpu_lock, "_card_count", lambda: 2)
    for name in (VISIBLE, "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(gpu_lock, "WAIT_SECONDS", 0.02)


def test_two_stages_get_two_cards_and_a_third_waits(tmp_path):
    with claim_card(tmp_path) as first:
        assert os.environ[VISIBLE] == first
        os.environ.pop(VISIBLE)
        with claim_card(tmp_path) as second:
            assert {first, second} == {"0", "1"}
            os.environ.pop(VISIBLE)
            got = []
            third = threading.Thread(target=lambda: got.append(claim_card(tmp_path).__enter__()))
            third.start()
            time.sleep(0.2)
            assert not got, "every card is held"
            os.environ[VISIBLE] = "1"
        third.join()
        assert got == [second]


def test_a_killed_holder_frees_its_card(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from pipeline.machine import gpu_lock
gpu_lock._card_count = lambda: 1
with gpu_lock.claim_card(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    with claim_card(tmp_path) as card:
        assert card == "0"


def test_the_choice_of_slurm_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(VISIBLE, "1")
    with claim_card(tmp_path) as card:
        assert card is None and os.environ[VISIBLE] == "1" and not list(tmp_path.iterdir())


def test_only_cards_that_the_user_allows(tmp_path, monkeypatch):
    monkeypatch.setenv(VISIBLE, "1")
    with claim_card(tmp_path) as card:
        assert card == "1"
    assert os.environ[VISIBLE] == "1"
    assert cards({VISIBLE: ""}) == [] and cards({VISIBLE: "-1"}) == [] and cards({}) == ["0", "1"]


def test_without_cards_nothing_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_lock, "_card_count", lambda: 0)
    with claim_card(tmp_path) as card:
        assert card is None and VISIBLE not in os.environ


def test_stages_that_need_none_hold_none():
    table = METHODS[DEFAULT_METHOD].table
    assert {name for name, stage in table.items() if stage.gpus("auto")} == {"train", "render"}
    assert not any(stage.gpus("cpu") for stage in table.values())
