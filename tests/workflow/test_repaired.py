"""A repaired input: the same command runs again what depends on it, says what changed, and leaves the rest and the other capture alone."""

import os

import cv2
import numpy as np
import pytest

from pipeline.io.packed import read_image
from pipeline.io.video import decode
from tests.unit.capture_trees import look_at, make_rig
from tests.workflow.support import Place

CAMERAS = [look_at(f"cam{n}", 0.6 * (n - 1)) for n in range(3)]
STAGES = ("ingest", "frames", "sample")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two captures up to `sample`: a of videos, without plates; b of folders of images."""
    place = Place(tmp_path_factory.mktemp("repaired"))
    for name in "ab":
        make_rig(place.folder / name, CAMERAS, frames=6)
    (place.folder / "a" / "background").rename(place.folder / "plates of a")
    for camera in CAMERAS:
        video = place.folder / "b" / f"{camera.name}.mp4"
        (place.folder / "b" / camera.name).mkdir()
        for n, frame in decode(video):
            cv2.imwrite(str(place.folder / "b" / camera.name / f"{n}.png"), frame)
        video.unlink()
    place.write_table("id kind path", "a rig a", "b rig b")
    assert _run(place)[1] == {(name, stage) for name in "ab" for stage in STAGES}
    return place


def _run(place):
    """What the same command says, and what it runs: {(capture, stage)}."""
    before = {name: place.times(name) for name in "ab"}
    done = place.run("a", "b", "--until", "sample")
    assert done.returncode == 0, done.stdout + done.stderr
    after = {name: place.times(name) for name in "ab"}
    return done.stdout + done.stderr, {(name, stage) for name in "ab" for stage in after[name] if after[name][stage] != before[name].get(stage)}


def _touch_video(folder):
    os.utime(folder / "a" / "cam1.mp4")


def _touch_calibration(folder):
    os.utime(folder / "a" / "cameras.json")


def _correct_calibration(folder):
    text = (folder / "a" / "cameras.json").read_text()
    assert "1.5" in text
    (folder / "a" / "cameras.json").write_text(text.replace("1.5", "1.51"))


def _add_plates(folder):
    (folder / "plates of a").rename(folder / "a" / "background")


def _change_plate(folder):
    path = folder / "a" / "background" / "cam1_plate.png"
    cv2.imwrite(str(path), np.roll(read_image(path), 7, axis=0))


def _add_timestamps(folder):
    rows = [f"cam{c},{n},{n / 24 + 0.001 * c}" for c in range(3) for n in range(6)]
    (folder / "a" / "timestamps.csv").write_text("\n".join(["cam_id,frame_index,frame_time", *rows]))


def _correct_timestamps(folder):
    path = folder / "a" / "timestamps.csv"
    path.write_text(path.read_text().replace("cam1,0,0.001", "cam1,0,0.003"))


def _remove_image(folder):
    for camera in CAMERAS:
        (folder / "b" / camera.name / "5.png").unlink()


def _change_image(folder):
    path = folder / "b" / "cam1" / "2.png"
    cv2.imwrite(str(path), 255 - read_image(path))


@pytest.mark.parametrize(
    "repair, capture, stages, reason",
    [
        (_touch_video, "a", ("ingest",), "cam1.mp4 changed"),
        (_touch_calibration, "a", (), ""),
        (_correct_calibration, "a", STAGES, "cameras.json changed"),
        (_add_plates, "a", STAGES, "background/ was added"),
        (_change_plate, "a", STAGES, "cam1_plate.png changed"),
        (_add_timestamps, "a", STAGES, "timestamps.csv was added"),
        (_correct_timestamps, "a", STAGES, "timestamps.csv changed"),
        (_remove_image, "b", STAGES, "cam0/ changed"),
        (_change_image, "b", STAGES, "cam1/ changed"),
    ],
)
def test_the_same_command_runs_what_depends_on_it(place, repair, capture, stages, reason):
    repair(place.folder)
    said, ran = _run(place)
    assert reason in said and ran == {(capture, stage) for stage in stages}, said
    assert _run(place)[1] == set()
