"""A raw file that was repaired, added or removed makes `ingest` stale, and the reason names it."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest

from pipeline.capture.calibration import write_calibration
from pipeline.capture.settings import IngestSettings
from pipeline.config import parse_config
from pipeline.contract.captures_table import CaptureRow
from pipeline.io.files import read_json, write_json
from pipeline.io.video import write_video
from pipeline.workflow.staleness import unfinished_reasons
from pipeline.workflow.targets import capture_target
from tests.unit.capture_trees import look_at, make_nersemble, make_rig, pictures
from tests.unit.stage_jobs import run_stage


class Read:
    """A capture that `ingest` has read, as its manifest says."""

    def __init__(self, row, tmp_path):
        self.row = row
        self.config = parse_config({"results": str(tmp_path / "r"), "work": str(tmp_path / "w"), "until": "ingest"})
        self.target = capture_target(row, self.config)
        self.again()

    def again(self):
        facts = run_stage("ingest", IngestSettings(), self.target.layout, self.row)
        write_json(self.target.layout.manifest("ingest"), {"key": self.target.keys(self.config)["ingest"], "sources": facts["sources"]})
        assert self.reason() == "", "what was just read is current"
        return self.target.layout.capture.read_bytes()

    def reason(self):
        return unfinished_reasons(self.target, self.config).get("ingest", "")


@pytest.fixture
def rig(tmp_path):
    """Videos in a folder of their own, calibration and plates in the one above, images of one sequence."""
    root = make_rig(tmp_path / "rig", [look_at(f"cam0{n}", 0.4 * n) for n in (0, 1, 2)], frames=2)
    (root / "videos").mkdir()
    for video in root.glob("*.mp4"):
        video.rename(root / "videos" / video.name)
    return Read(CaptureRow("x", "rig", root), tmp_path)


def touch(path):
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))


def test_a_repaired_calibration_is_noticed_by_content(rig):
    file = rig.row.path / "cameras.json"
    touch(file)
    assert rig.reason() == ""
    text = file.read_text()
    file.write_text(text.replace("80.0", "80.5"))
    assert len(file.read_text()) == len(text) and rig.reason() == "cameras.json changed"
    file.unlink()
    assert rig.reason() == "cameras.json was removed"


def test_videos_and_plates_by_size_and_time_and_a_touched_one_gives_the_same_capture(rig):
    before = rig.target.layout.capture.read_bytes()
    for name in ("videos/cam01.mp4", "background/cam01_plate.png"):
        touch(rig.row.path / name)
        assert rig.reason() == f"{name} changed"
        assert rig.again() == before
    write_video(rig.row.path / "videos" / "cam01.mp4", pictures(3, 90), 24)
    assert rig.reason() == "videos/cam01.mp4 changed"
    plate = cv2.imread(str(rig.row.path / "background" / "cam02_plate.png"))
    cv2.imwrite(str(rig.row.path / "background" / "cam02_plate.png"), 255 - plate)
    rig.again()
    assert rig.target.layout.capture.read_bytes() != before, "capture.json tells one plate from another"


def test_what_appears_is_noticed(rig):
    root = rig.row.path
    shutil.move(root / "background", root / "elsewhere")
    assert rig.reason() == "background/cam00_plate.png was removed"
    rig.again()
    shutil.move(root / "elsewhere", root / "background")
    assert rig.reason() == "background/ was added"
    rig.again()
    (root / "videos" / "timestamps.csv").write_text(
        "cam_id,frame_time\n" + "".join(f"cam0{c},{t / 24}\n" for c in range(3) for t in range(2)),
    )
    assert rig.reason() == "videos/timestamps.csv was added"
    rig.again()
    (root / "videos" / "timestamps.csv").write_text((root / "videos" / "timestamps.csv").read_text() + "\n")
    assert rig.reason() == "videos/timestamps.csv changed"
    rig.again()
    shutil.copytree(root / "videos", root / "masks", ignore=shutil.ignore_patterns("*.csv"))
    assert rig.reason() == "masks/ was added"
    rig.again()
    shutil.copy(root / "cameras.json", root / "videos")
    assert rig.reason() == "videos/cameras.json was added"


def test_image_folders_by_their_listing(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "rig" / name).mkdir(parents=True)
        for n in range(3):
            cv2.imwrite(str(tmp_path / "rig" / name / f"{n}.png"), np.full((48, 64, 3), 50 * n, np.uint8))
    write_calibration(tmp_path / "rig" / "cameras.json", [look_at("a", 0.0), look_at("b", 0.5)])
    read = Read(CaptureRow("x", "rig", tmp_path / "rig"), tmp_path)
    (tmp_path / "rig" / "b" / "2.png").unlink()
    assert read.reason() == "b/ changed"
    read.again()
    cv2.imwrite(str(tmp_path / "rig" / "a" / "1.png"), np.full((48, 64, 3), 77, np.uint8))
    assert read.reason() == "a/ changed"


def test_a_new_sequence_and_a_changed_color_calibration(tmp_path):
    root = make_nersemble(tmp_path / "data", ["1", "2"], ["EMO-1"], frames=2)
    np.save(tmp_path / "1.npy", np.eye(3, 4))
    np.save(tmp_path / "2.npy", np.eye(3, 4))
    read = Read(CaptureRow("18", "nersemble", root, color=str(tmp_path / "{camera}.npy")), tmp_path)
    np.save(tmp_path / "2.npy", np.eye(3, 4) * 0.5)
    assert read.reason() == "2.npy changed"
    read.again()
    shutil.copytree(root / "raw" / "sequence_EMO-1_part-1" / "018" / "EMO-1", root / "raw" / "sequence_SEN_part-1" / "018" / "SEN")
    assert read.reason() == "raw/sequence_SEN_part-1/018/SEN/ was added"


def test_nothing_is_hashed_while_sizes_and_times_are_the_same(rig, monkeypatch):
    monkeypatch.setattr("pipeline.io.fingerprints.sha256", lambda path: pytest.fail(f"{path} was read"))
    assert rig.reason() == ""


def test_sources_are_plain_json_with_every_raw_file(rig):
    sources = read_json(rig.target.layout.manifest("ingest"))["sources"]
    assert json.loads(json.dumps(sources)) == sources
    names = {path.rsplit("/", 1)[1] for path, value in sources.items() if value}
    assert names == {"cameras.json", *(f"cam0{n}.mp4" for n in range(3)), *(f"cam0{n}_plate.png" for n in range(3))}
