"""Which frames train and test: rules, reasons, and the same answer every time."""

import cv2
import numpy as np
import pytest

from pipeline.capture.processed import Frame, frame_id
from pipeline.capture.sample import choose, draw, frame_sharpness, read_sample, relative_sharpness
from pipeline.capture.settings import FramesSettings, IngestSettings, SampleSettings
from pipeline.contract.captures_table import CaptureRow
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.io.files import write_json
from pipeline.io.packed import packed_writer
from tests.unit.capture_trees import look_at, make_nersemble, make_rig
from tests.unit.stage_jobs import run_stage


def take(sequence, count, stride=1):
    return [Frame(frame_id(sequence, n * stride), sequence, n * stride, n / 10) for n in range(count)]


def split(result, name):
    return [frame["id"] for frame in result["frames"] if frame["split"] == name]


def pick(frames, sharpness=None, unsynced=(), test=(), **settings):
    return choose(frames, sharpness or {}, set(unsynced), ["a", "b", "c"], ["b"], test, SampleSettings(**settings))


def test_without_a_test_sequence_the_last_fifth_is_for_test():
    result = pick(take("one", 20) + take("two", 5))
    assert split(result, "test") == [frame_id("two", n) for n in range(5)] and len(split(result, "train")) == 20
    assert result["cameras"] == {"a": "train", "b": "val", "c": "train"} and result["dropped"] == []


def test_a_test_sequence_is_all_test():
    result = pick(take("one", 6) + take("two", 6), test=("one",))
    assert split(result, "test") == [frame_id("one", n) for n in range(6)] and split(result, "train") == [frame_id("two", n) for n in range(6)]


def test_blurred_frames_leave_training_only_and_unsynchronised_ones_leave_both():
    frames = take("one", 10)
    result = pick(frames, {frames[2].id: 0.3, frames[3].id: 0.6, frames[9].id: 0.1}, {frames[4].id, frames[8].id})
    assert [d["id"] for d in result["dropped"]] == [frames[n].id for n in (2, 4, 8)]
    assert "blurred: sharpness 0.30" in result["dropped"][0]["why"] and "half a frame" in result["dropped"][1]["why"]
    assert frames[9].id in split(result, "test") and frames[3].id in split(result, "train")
    assert pick(frames, unsynced={frames[4].id}, drop_unsynced=False)["dropped"] == []


def test_stride_counts_within_each_sequence():
    result = pick(take("one", 5, 3) + take("two", 5, 3), stride=2, test_share=0.0)
    assert split(result, "train") == [frame_id(s, n) for s in ("one", "two") for n in (0, 6, 12)]


def test_draw_takes_one_of_each_stretch_and_is_fixed_by_the_seed():
    drawn = draw(1000, 10, 3)
    assert [n // 100 for n in drawn] == list(range(10)) and drawn == draw(1000, 10, 3) != draw(1000, 10, 4) and draw(5, 10, 0) == [0, 1, 2, 3, 4]
    assert len(pick(take("one", 100), most_frames=30)["frames"]) == 30


def test_nothing_left_to_train_is_an_error():
    frames = take("one", 3)
    with pytest.raises(InputError, match="no training frame is left"):
        pick(frames, unsynced={f.id for f in frames})


def test_sharpness_sees_blur_but_neither_padding_nor_a_camera_s_own_softness(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    visible = np.full((60, 60), 255, np.uint8)
    visible[:, :20] = 0
    frames, values = take("one", 9), []
    for softness in (0, 1.0):
        with packed_writer(tmp_path / "c.zip") as writer:
            for n, frame in enumerate(frames):
                blur = softness + (3.0 if n == 4 else 0)
                picture = cv2.GaussianBlur(noise, None, blur) if blur else noise.copy()
                picture[visible == 0] = 0
                writer.add(frame.id, picture)
            writer.add("visible", visible)
        values.append(frame_sharpness(tmp_path / "c.zip", [f.id for f in frames]))
    relative = relative_sharpness(frames, np.stack(values))
    assert relative[frames[4].id] < 0.2 and all(relative[f.id] == pytest.approx(1) for n, f in enumerate(frames) if n != 4)
    assert values[0][0] > 5 * values[1][0]


def test_neighbours_are_of_the_same_sequence():
    frames = take("one", 3) + take("two", 3)
    relative = relative_sharpness(frames, np.array([[10.0, 10, 10, 1, 1, 1]]))
    assert set(relative.values()) == {1.0}


def test_the_stage_and_its_reader(tmp_path):
    root = make_nersemble(tmp_path / "data", ["220700191", "222200037", "222200040"], ["A", "B", "C"])
    row, layout = CaptureRow("018", "nersemble", root), Layout(tmp_path / "results" / "018", tmp_path / "work" / "018")
    run_stage("ingest", IngestSettings(), layout, row)
    run_stage("frames", FramesSettings(), layout, row)
    facts = run_stage("sample", SampleSettings(blur=0.01), layout, row, 1)
    chosen = read_sample(layout.sample)
    assert (facts["train"], facts["test"]) == (8, 4) and chosen.test == tuple(frame_id("C", n) for n in range(4))
    assert chosen.train_cameras == ("220700191", "222200040") and chosen.val_cameras == ("222200037",) and chosen.frames == chosen.train + chosen.test
    first = layout.sample.read_bytes()
    run_stage("sample", SampleSettings(blur=0.01), layout, row, 2)
    assert layout.sample.read_bytes() == first


def test_a_foreign_file_is_named(tmp_path):
    write_json(tmp_path / "sample.json", {"frames": [1]})
    with pytest.raises(InputError, match="sample.json: is not a sample.json(?s:.*)--from sample"):
        read_sample(tmp_path / "sample.json")


def test_unsynchronised_frames_are_found_through_the_stages(tmp_path):
    rig = make_rig(tmp_path / "rig", [look_at("cam01", 0.0), look_at("cam02", 0.8)])
    lines = [f"{camera},{t / 24 + (0.03 if (camera, t) == ('cam02', 1) else 0):.6f}" for camera in ("cam01", "cam02") for t in range(6)]
    (rig / "timestamps.csv").write_text("camera,time\n" + "\n".join(lines) + "\n")
    row, layout = CaptureRow("x", "rig", rig), Layout(tmp_path / "results" / "x", tmp_path / "work" / "x")
    run_stage("ingest", IngestSettings(), layout, row)
    run_stage("frames", FramesSettings(), layout, row)
    run_stage("sample", SampleSettings(), layout, row, 1)
    assert "take_000001" not in read_sample(layout.sample).frames
