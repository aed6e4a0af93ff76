import pickle

import numpy as np
import pytest

from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.io.files import TEMPORARY, atomic_path, digest, read_json, write_json
from pipeline.io.packed import PackedImages, packed_writer
from pipeline.io.video import decode, probe, write_video


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "value.json"
    write_json(target, {"old": 1})
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(target) == {"old": 1}
    assert not [path for path in tmp_path.iterdir() if TEMPORARY in path.name]


def test_json_refuses_what_json_cannot_say(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "value.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_json_is_named(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="bad.json"):
        read_json(tmp_path / "bad.json")


def test_digest_ignores_the_order_of_keys():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_packed_images_return_what_was_put_in(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, (7, 5, *channels), dtype=np.uint8)
    with packed_writer(tmp_path / "a.zip") as packed:
        packed.add("take_000003", image)
    assert PackedImages(tmp_path / "a.zip").names() == ["take_000003"]
    np.testing.assert_array_equal(PackedImages(tmp_path / "a.zip").read("take_000003"), image)


def test_the_same_images_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        with packed_writer(tmp_path / f"{name}.zip") as packed:
            packed.add("x", np.full((4, 4), 9, np.uint8))
        save_npz(tmp_path / f"{name}.npz", {"x": np.arange(5.0)})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_truncated_zip_is_named(tmp_path):
    with packed_writer(tmp_path / "a.zip") as packed:
        packed.add("x", np.zeros((4, 4), np.uint8))
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-20])
    with pytest.raises(InputError, match="a.zip"):
        PackedImages(tmp_path / "a.zip")


def test_arrays_are_checked_when_read(tmp_path):
    save_npz(tmp_path / "a.npz", {"x": np.zeros((3, 4))})
    assert load_npz(tmp_path / "a.npz", {"x": (None, 4)})["x"].shape == (3, 4)
    with pytest.raises(InputError, match="array 'x' has a wrong shape"):
        load_npz(tmp_path / "a.npz", {"x": (None, 5)})
    with pytest.raises(InputError, match="lacks the array 'y'"):
        load_npz(tmp_path / "a.npz", {"y": None})


def test_arrays_never_hold_pickles(tmp_path):
    with pytest.raises(ValueError):
        save_npz(tmp_path / "a.npz", {"x": np.array([{}], dtype=object)})
    np.savez(tmp_path / "b.npz", x=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="b.npz"):
        load_npz(tmp_path / "b.npz")


def _ramp(index):
    return np.full((32, 48, 3), 20 + 20 * index, np.uint8)


def test_video_round_trip(tmp_path):
    write_video(tmp_path / "v.mp4", (_ramp(i) for i in range(8)), fps=25)
    info = probe(tmp_path / "v.mp4")
    assert (info.width, info.height, info.frames, info.fps) == (48, 32, 8, 25)
    np.testing.assert_allclose(np.diff(info.timestamps), 1 / 25, atol=1e-4)
    frames = dict(decode(tmp_path / "v.mp4", [2, 5]))
    assert sorted(frames) == [2, 5]
    for index, frame in frames.items():
        assert abs(frame.astype(int) - _ramp(index)).max() <= 3


def test_a_video_has_the_same_bytes_every_time(tmp_path):
    rng = np.random.default_rng(0)
    frames = [np.kron(rng.integers(0, 255, (14, 10, 3)), np.ones((10, 10, 1))).astype(np.uint8) for _ in range(6)]
    seen = set()
    for _ in range(25):
        write_video(tmp_path / "v.mp4", frames, fps=24)
        seen.add((tmp_path / "v.mp4").read_bytes())
    assert len(seen) == 1


def test_a_truncated_video_is_named(tmp_path):
    rng = np.random.default_rng(0)
    write_video(tmp_path / "v.mp4", (rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(10)), fps=25)
    data = (tmp_path / "v.mp4").read_bytes()
    (tmp_path / "v.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="v.mp4"):
        probe(tmp_path / "v.mp4")


def test_a_video_without_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError):
        write_video(tmp_path / "v.mp4", [], fps=25)
    assert list(tmp_path.iterdir()) == []


def test_asking_beyond_the_end_of_a_video_is_an_error(tmp_path):
    write_video(tmp_path / "v.mp4", [_ramp(0)], fps=25)
    with pytest.raises(InputError, match="too early"):
        list(decode(tmp_path / "v.mp4", [0, 4]))


def test_a_message_is_bounded_printable_and_survives_the_way_from_a_worker():
    error = InputError("bad\x1b[2J", file="a\ud800.json", found="x" * 5000, expected=int("9" * 4000) ** 2, remedy="correct it")
    lines = str(error).splitlines()
    assert all(line.isprintable() for line in lines) and len(lines) == 4 and len(str(error)) < 2500
    assert "(5000 letters)" in lines[1] and "too long to show" in lines[2]
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
