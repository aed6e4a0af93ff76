"""The Snakemake command of a run, profiles, and the jobs that a dead run leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from snakemake.common.configfile import load_configfile

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT
from pipeline.machine.lease import RUN, myself
from pipeline.machine.slurm import job_prefix
from pipeline.workflow import orphans, profiles
from pipeline.workflow import snakemake_command as launch
from pipeline.workflow.plan import Plan
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.targets import capture_target

TABLE = METHODS[DEFAULT_METHOD].table
CONFIG = parse_config({})
FILE = Path("work/.config/1.json")


def _option(command, name):
    return command[command.index(name) + 1]


def test_as_many_gpus_as_there_are(monkeypatch):
    monkeypatch.setattr(launch, "cards", lambda: ["0", "1"])
    assert _option(launch.snakemake_command(RunOptions(("a",), cores=4), CONFIG, FILE, []), "--resources") == "gpu=2"
    monkeypatch.setattr(launch, "cards", lambda: [])
    command = launch.snakemake_command(RunOptions(("a",), cores=4), CONFIG, FILE, ["results/a/x"])
    assert _option(command, "--resources") == "gpu=4" and _option(command, "--cores") == "4" and _option(command, "--forcerun") == "results/a/x"


def test_a_clusters_profile_decides_by_itself(monkeypatch):
    monkeypatch.setattr(profiles.shutil, "which", lambda name: "/usr/bin/sbatch")
    command = launch.snakemake_command(RunOptions(("a",), profile="slurm"), CONFIG, FILE, [])
    assert "--cores" not in command and _option(command, "--slurm-jobname-prefix") == job_prefix("work")
    monkeypatch.setattr(profiles.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="needs SLURM"):
        launch.snakemake_command(RunOptions(("a",), profile="slurm"), CONFIG, FILE, [])
    with pytest.raises(InputError, match="no profile 'nothing'") as error:
        profiles.profile_folder("nothing", ROOT)
    assert "slurm" in str(error.value)


def test_paths_mean_where_the_user_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("keep-going: true\n")
    (tmp_path / "settings.yaml").write_text("threads: 3\nresults: kept\n")
    options = RunOptions(("a",), captures=Path("table.tsv"), work=Path("../scratch"), config=Path("settings.yaml"), profile="mine")
    for _ in range(2):  # `status --watch` reads it again and again
        config = load_config(options)
        assert config.captures == str(tmp_path / "table.tsv") and config.work == str(tmp_path.parent / "scratch") and config.threads == 3
        assert config.results == "kept", "what a configuration says is relative to the checkout"
    command = launch.snakemake_command(options, config, FILE, [])
    assert _option(command, "--configfile") == str(FILE) and _option(command, "--profile") == str(tmp_path / "mine")


@pytest.mark.parametrize("name", ["slurm", "ci"])
def test_a_clusters_profile_names_every_stage_and_grows_with_the_attempt(name):
    values = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
    asked = values["set-resources"]
    assert set(asked) == {*TABLE, *(f"{name}_part" for name, stage in TABLE.items() if stage.scattered)}
    for stage, wanted in asked.items():
        for what in ("mem_mb", "runtime"):
            first, second = (eval(wanted[what], {"attempt": attempt, "threads": 4, "min": min}) for attempt in (1, 2))  # noqa: S307
            assert second == 2 * first, (stage, what)
    assert values["retries"] and (ROOT / values["slurm-partition-config"]).is_file()
    default = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    assert "retries" not in default and default["rerun-triggers"] == values["rerun-triggers"]


WORKER = """
import os, signal, sys, time
from pathlib import Path
from pipeline.machine.lease import lease
def leave(*_): raise SystemExit(143)
signal.signal(signal.SIGTERM, leave)
with lease(Path(sys.argv[1]), Path(sys.argv[2]), "train of a"):
    open(sys.argv[3], "w").close()
    time.sleep(60)
"""


def _worker(layout, run):
    path, ready = layout.running("train"), layout.work / f"ready-{run}"
    words = [sys.executable, "-c", WORKER, str(path), str(layout.leases), str(ready)]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT), RUN: run})
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_what_a_dead_run_left_is_ended_and_what_a_person_started_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(orphans, "queued_jobs", lambda prefix: {})
    layout = Layout(tmp_path / "results" / "a", tmp_path / "work" / "a")
    by_hand = _worker(layout, run="")
    orphans.end_orphans({"a": layout}, CONFIG)
    assert by_hand.poll() is None
    by_hand.send_signal(signal.SIGTERM)
    by_hand.wait()
    left = _worker(layout, run="dead")
    orphans.end_orphans({"a": layout}, CONFIG)
    assert left.wait() == 143 and not layout.running("train").exists(), "it was told, and could save"


def test_jobs_in_the_queue_are_cancelled_and_those_of_other_captures_are_not(tmp_path, monkeypatch):
    queue = {
        "5": ("PENDING", "rule_train_wildcards_a"),
        "6": ("RUNNING", "rule_frames_part_wildcards_a_2_8"),
        "7": ("PENDING", "rule_train_wildcards_ab"),
        "8": ("PENDING", "rule_fit_wildcards_a"),
        "9": ("PENDING", "rule_keypoints_part_wildcards_a_1_8"),
        "10": ("PENDING", "rule_keypoints_part_wildcards_ab_1_8"),
        "11": ("PENDING", "rule_train+a+_init_train"),
        "12": ("PENDING", "rule_train+ab+_init_train"),
        "13": ("PENDING", "rule_evaluate+a_init+_report"),
    }
    cancelled = []
    monkeypatch.setattr(orphans, "queued_jobs", lambda prefix: {job: queue[job] for job in queue if job not in cancelled})
    monkeypatch.setattr(orphans, "cancel_jobs", cancelled.extend)
    orphans.end_orphans({"a": Layout(tmp_path / "results" / "a", tmp_path / "work" / "a")}, CONFIG)
    assert cancelled == ["11", "5", "6", "8", "9"]


def test_one_that_cannot_be_ended_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(orphans, "queued_jobs", lambda prefix: {})
    monkeypatch.setattr(orphans, "PATIENCE_SECONDS", 0.1)
    layout = Layout(tmp_path / "results" / "a", tmp_path / "work" / "a")
    path = layout.running("train")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(asdict(replace(myself(), machine="elsewhere", host="n9", run="dead"))))
    with pytest.raises(InputError, match="still at work") as error:
        orphans.end_orphans({"a": layout}, CONFIG)
    assert "n9" in str(error.value) and "kill" in str(error.value)


def test_the_resolved_configuration_is_handed_over_in_a_file_named_by_its_content(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(launch, "call", lambda command, *_: calls.append(command) or 0)
    config = parse_config({"work": str(tmp_path), "preset": "standard", "train": {"seed": 7}})
    target = capture_target(CaptureRow("018", "rig", tmp_path), config)
    for _ in range(2):
        assert launch.run_snakemake(RunOptions(), config, {"018": Plan(target, {"fit": "missing"})}, tmp_path / "log") == 0
    files = list((tmp_path / ".config").iterdir())
    assert len(files) == 1 and _option(calls[0], "--configfile") == str(files[0])
    values = load_configfile(files[0])
    assert values.pop("subjects") == ["018"] and values.pop("members") == {} and values.pop("planned") == {"018": ["fit"]} and parse_config(values) == config


SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60); open(sys.argv[1] + '-outlived', 'w')"


def test_a_killed_driver_takes_snakemake_with_it(tmp_path):
    note = tmp_path / "pid"
    driver = _driver([SLEEPER, str(note)], tmp_path / "log")
    _wait_for(note, driver)
    driver.kill()
    driver.wait()
    while _state(int(note.read_text())) not in ("", "Z"):
        time.sleep(0.02)
    assert not (tmp_path / "pid-outlived").exists()


SAVER = """
import signal, sys, time
def leave(*_): print('saved', flush=True); sys.exit(1)
signal.signal(signal.SIGINT, leave)
open(sys.argv[1], 'w').write('ready')
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_waits_for_what_runs_and_is_no_failure(tmp_path, number):
    note, log = tmp_path / "ready", tmp_path / "log"
    driver = _driver([SAVER, str(note)], log, start_new_session=True)
    _wait_for(note, driver)
    (os.killpg if number == signal.SIGINT else os.kill)(driver.pid, number)
    assert driver.wait() == launch.INTERRUPTED
    said = log.read_text().splitlines()
    assert said[0].startswith("$ ") and said[-1] == "saved", "what Snakemake says is in the log, after the command"


def _driver(words, log, **options):
    """A process that calls a Python script in Snakemake's place, and ends with what `call` returns."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.workflow.snakemake_command import Display, call\n"
        f"sys.exit(call([sys.executable, '-c', *{words!r}], Path({str(log)!r}), Display({{}})))"
    )
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, **options)


def _wait_for(note, process):
    while not (note.is_file() and note.read_text()):
        assert process.poll() is None
        time.sleep(0.02)


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""
