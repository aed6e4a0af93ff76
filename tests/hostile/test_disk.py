"""Errors of the file system are said in the project's form, whatever was being written, and nothing half-written is left."""

import contextlib
import errno
import os
import resource
import zipfile

import numpy as np
import pytest
import torch

from pipeline.io.archives import unzip
from pipeline.io.arrays import save_npz
from pipeline.io.errors import InputError
from pipeline.io.files import publish_folder, write_json
from pipeline.io.packed import packed_writer
from pipeline.io.video import write_video
from pipeline.stages.failure import DISK_ERRORS, explain
from pipeline.training.checkpoint import save_checkpoint

NOISE = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)


def _packed(folder):
    with packed_writer(folder / "x.zip") as images:
        images.add("a", NOISE)


def _unzipped(folder):
    with contextlib.ExitStack() as stack:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
        with zipfile.ZipFile(folder.parent / "x.zip", "w") as archive:
            archive.writestr("a/b.mp4", NOISE.tobytes())
    unzip(folder.parent / "x.zip", folder)


WRITERS = {
    "json": lambda folder: write_json(folder / "x.json", "x" * 200_000),
    "npz": lambda folder: save_npz(folder / "x.npz", {"x": NOISE}, compress=False),
    "compressed npz": lambda folder: save_npz(folder / "x.npz", {"x": NOISE}),
    "packed images": _packed,
    "video": lambda folder: write_video(folder / "x.mp4", [NOISE] * 4, 24),
    "checkpoint": lambda folder: save_checkpoint(folder, 1, {"x": torch.from_numpy(NOISE)}),
    "unzip": _unzipped,
}


@pytest.fixture
def small_files():
    """No file may grow beyond 100 kB, as after `ulimit -f`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("what", WRITERS)
def test_a_file_that_may_not_grow_is_named(tmp_path, small_files, what):
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(Exception) as caught:
        WRITERS[what](folder)
    explained = explain(caught.value, "anna")
    assert isinstance(explained, InputError), repr(caught.value)
    assert "larger than is allowed" in str(explained) and str(folder) in str(explained) and "./c2a run anna" in str(explained)
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("call", ["replace", "fsync", "mkdir", "open"])
@pytest.mark.parametrize("number", DISK_ERRORS)
def test_every_error_of_the_disk_at_every_call_is_named(tmp_path, monkeypatch, call, number):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError) as caught:
        write_json(tmp_path / "a" / "b.json", {})
    explained = explain(caught.value)
    assert isinstance(explained, InputError) and os.strerror(number) in str(explained) and "next:" in str(explained)
    assert call == "mkdir" or "b.json" in str(explained)
    monkeypatch.undo()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_is_published_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "new").write_text("new")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")

    def fail(source, target):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError) as caught:
        publish_folder([tmp_path / "new"], tmp_path / "out")
    assert "quota" in str(explain(caught.value))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "old", "out"]


def test_what_is_no_fault_of_the_disk_stays_as_it_is():
    for error in (ValueError("x"), OSError("x"), FileNotFoundError(errno.ENOENT, "x"), InputError("x")):
        assert explain(error) is error
