"""One process at a time, also across hosts and over disks without locks."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from pipeline.io.errors import InputError
from pipeline.machine import lease as module
from pipeline.machine.lease import is_alive, lease, myself, read_holder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "running" / "train.json"


@pytest.fixture
def book(tmp_path):
    return tmp_path / "leases.tsv"


def _left_by(path, age, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(replace(myself(), **changes))))
    os.utime(path, (time.time() - age,) * 2)


def _actions(book):
    return [line.split("\t")[2] for line in book.read_text().splitlines()]


def test_it_is_written_down_and_gone_afterwards(path, book):
    with lease(path, book, "train of a"):
        holder = read_holder(path)
        assert holder.pid == os.getpid() and is_alive(path, holder)
    assert not path.exists() and _actions(book) == ["taken", "released"]
    assert [entry.name for entry in path.parent.iterdir()] == [".train.lock"]


def test_a_second_process_is_refused_and_told_what_to_type(path, book, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with lease(path, book, "train of a"):
        with pytest.raises(InputError, match="train of a is already running") as error, lease(path, book, "train of a"):
            pass
        assert "scancel 12" in str(error.value) and "last heartbeat" in str(error.value)
    with lease(path, book, "train of a"):
        pass


def test_a_killed_holder_of_this_machine_is_followed_at_once(path, book):
    code = f"import time\nfrom pathlib import Path\nfrom pipeline.machine.lease import lease\nwith lease(Path({str(path)!r}), Path({str(book)!r}), 'w'): time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code])
    while not read_holder(path):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_alive(path, read_holder(path))
    with lease(path, book, "w"):
        assert read_holder(path).pid == os.getpid()
    assert [action.split(" ")[0] for action in _actions(book)] == ["taken", "taken", "released"] and "taken over from" in book.read_text()


def test_a_holder_on_another_host_is_judged_by_its_sign_of_life(path, book):
    _left_by(path, age=20, machine="elsewhere", host="n2")
    with pytest.raises(InputError, match="n2"), lease(path, book, "train of a"):
        pass
    _left_by(path, age=80, machine="elsewhere", host="n2")
    with lease(path, book, "train of a"):
        assert read_holder(path).machine != "elsewhere"


def test_a_reused_process_number_is_not_the_holder(path):
    _left_by(path, age=0, started=1)
    assert not is_alive(path, read_holder(path))


def test_a_holder_that_was_asleep_knows_that_it_lost(path, book):
    with lease(path, book, "train of a") as held:
        assert held.is_mine()
        _left_by(path, age=0, token="another")
        assert not held.is_mine()
    assert path.exists(), "what another holds is not removed"


COMPETITORS = 6


def _try(path, book, start, won, tried):
    module._flock = lambda lock: None  # a disk whose locks do not reach other hosts
    sleep, replace_file, counted = time.sleep, os.replace, False

    def replace_with_all(*names):
        """All see the dead holder before the first takes its place."""
        start.wait()
        replace_file(*names)

    def wait_for_all(seconds=None):
        """In place of the time to settle, however busy the machine is: until each has written its name or was refused."""
        nonlocal counted
        if seconds not in (None, module.SETTLE_SECONDS):
            return sleep(seconds)
        if not counted:
            with tried.get_lock():
                tried.value += 1
        counted = True
        while tried.value < COMPETITORS:
            sleep(0.01)

    time.sleep, os.replace = wait_for_all, replace_with_all
    start.wait()
    try:
        with lease(path, book, "w"):
            with won.get_lock():
                won.value += 1
            wait_for_all()
    except InputError:
        if not counted:
            with tried.get_lock():
                tried.value += 1


@pytest.mark.parametrize("left", [False, True])
def test_of_many_at_once_one_gets_it_even_without_locks(path, book, left):
    if left:
        _left_by(path, age=80, machine="elsewhere")
    context = multiprocessing.get_context("fork")
    start, won, tried = context.Barrier(COMPETITORS), context.Value("i", 0), context.Value("i", 0)
    processes = [context.Process(target=_try, args=(path, book, start, won, tried)) for _ in range(COMPETITORS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert won.value == 1 and tried.value == COMPETITORS
