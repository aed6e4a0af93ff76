"""Unpacking a download: complete, repeatable, and nothing leaves its folder."""

import stat
import zipfile

import pytest

from pipeline.io.archives import unzip_folder
from pipeline.io.errors import InputError


def archive(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in entries.items():
            opened.writestr(name, data)
    return path


def test_each_archive_gets_a_folder_of_its_name_and_a_second_run_writes_only_what_is_wrong(tmp_path):
    source, target = tmp_path / "zips", tmp_path / "raw"
    archive(source / "sequence_A_part-1.zip", {"018/A/cam_1.mp4": b"x" * 5000, "018/A/cam_2.mp4": b"y"})
    archive(source / "sub" / "camera.params.zip", {"018/camera_params.json": b"{}"})
    assert unzip_folder(source, target, 2) == {"archives": 2, "files": 3, "written": 3, "kept": 0}
    video = target / "sequence_A_part-1" / "018" / "A" / "cam_1.mp4"
    assert video.read_bytes() == b"x" * 5000 and (target / "sub" / "camera.params" / "018" / "camera_params.json").read_bytes() == b"{}"
    video.write_bytes(b"x" * 4999 + b"z")  # the right size, another content
    before = (target / "sequence_A_part-1" / "018" / "A" / "cam_2.mp4").stat().st_mtime_ns
    assert unzip_folder(source, target, 1) == {"archives": 2, "files": 3, "written": 1, "kept": 2}
    assert video.read_bytes() == b"x" * 5000
    assert (target / "sequence_A_part-1" / "018" / "A" / "cam_2.mp4").stat().st_mtime_ns == before
    assert not list(tmp_path.rglob("*partial*"))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "a\\..\\evil", "..", "a/\0evil"])
def test_names_that_leave_the_folder_are_refused_before_anything_is_written(tmp_path, name):
    archive(tmp_path / "zips" / "a.zip", {"good": b"1"})
    archive(tmp_path / "zips" / "b.zip", {"good": b"1", "placeholder": b"2"})
    opened = zipfile.ZipFile(tmp_path / "zips" / "b.zip", "w")
    entry = zipfile.ZipInfo("x")
    entry.filename = name  # past ZipInfo's own cleaning
    with opened:
        opened.writestr(entry, b"evil")
    with pytest.raises(InputError, match="b.zip"):
        unzip_folder(tmp_path / "zips", tmp_path / "out", 1)
    assert not (tmp_path / "out").exists() and not (tmp_path / "evil").exists()


def test_links_are_refused(tmp_path):
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive(tmp_path / "zips" / "a.zip", {entry: b"/etc"})
    with pytest.raises(InputError, match="unsafe entry"):
        unzip_folder(tmp_path / "zips", tmp_path / "out", 1)


def test_a_link_in_the_target_does_not_lead_out(tmp_path):
    archive(tmp_path / "zips" / "a.zip", {"inner/file": b"1"})
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "a" / "inner").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="through a link"):
        unzip_folder(tmp_path / "zips", tmp_path / "out", 1)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_damaged_archive_is_named_and_leaves_no_half_file(tmp_path):
    path = archive(tmp_path / "zips" / "a.zip", {"file": bytes(range(256)) * 40})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="a.zip"):
        unzip_folder(tmp_path / "zips", tmp_path / "out", 1)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    path.write_bytes(b"no zip")
    with pytest.raises(InputError, match="cannot be read as a zip"):
        unzip_folder(tmp_path / "zips", tmp_path / "out", 1)


def test_no_archives_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no archives"):
        unzip_folder(tmp_path, tmp_path / "out", 1)
