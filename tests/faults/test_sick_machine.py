"""A full disk, a disk that is not writable, a stage that is killed: a clear message, nothing lost, and the same command resumes."""

import os
import signal
import subprocess

import pytest

from pipeline.contract.layout import Layout
from pipeline.machine.lease import read_holder
from tests.workflow.support import ROOT, Place, wait_until

MICRO = ROOT / "tests" / "workflow" / "micro.yaml"


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A small disk of its own, and how to change it."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1400k", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")

    def change(options):
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    yield folder, change
    subprocess.run(["umount", "-l", folder], check=True)


def test_full_and_read_only_disks_and_a_killed_stage(disk, tmp_path):
    folder, change = disk
    place = Place(tmp_path)
    place.write_table("id kind path", "a synthetic raw/a")
    (folder / "results").mkdir(), (folder / "work").mkdir()
    place.results.symlink_to(folder / "results"), place.work.symlink_to(folder / "work")
    layout = Layout(place.results / "a", place.work / "a")

    full = place.run("a", config=MICRO)
    assert full.returncode != 0 and "no space is left on this disk" in full.stdout + full.stderr and "Traceback" not in full.stderr
    finished = place.times("a")
    assert "ingest" in finished and "report" not in finished

    change("size=200m,ro")
    refused = place.run("a", config=MICRO)
    assert refused.returncode == 1 and "not writable" in refused.stderr and "Traceback" not in refused.stderr
    assert place.times("a") == finished

    change("size=200m,rw")
    running = place.start("a", config=MICRO)
    wait_until(lambda: list(layout.scratch("train").glob("*.pt")) and read_holder(layout.running("train")), running, "a first checkpoint")
    os.kill(read_holder(layout.running("train")).pid, signal.SIGKILL)  # as the system does when memory runs out
    assert running.wait() != 0
    assert "perhaps out of memory" in layout.error("train").read_text() and not layout.avatar.exists()

    done = place.run("a", config=MICRO)
    assert done.returncode == 0, done.stderr[-2000:]
    after = place.times("a")
    assert {stage: after[stage] for stage in finished} == finished, "what was finished before is not made again"
