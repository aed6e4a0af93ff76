"""Motion files of unknown origin."""

from __future__ import annotations

import pickle
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from tests.hostile.calibrations import mutated
from tests.hostile.case import Case, Expected, Payload, written

ARKIT = '[{"blendShapes": {"jawOpen": 0.5, "mouthSmileLeft": 0.1}, "transform": [1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1], "time": 0.1}]'
LIVELINK = "Timecode,BlendShapeCount,EyeBlinkLeft,JawOpen,HeadYaw\n11:20:00:00.000,61,0.1,0.2,0.3\n11:20:00:01.000,61,0.1,0.2,0.3\n"
MOTION = "MOTION\nFrames: 1\nFrame Time: 1\n0 0 0\n"
POSES = {"smpl_poses": np.zeros((2, 72)), "smpl_trans": np.zeros((2, 3)), "smpl_scaling": np.array([93.0])}


def read(folder: Path) -> None:
    from pipeline.motion.read import read_motion

    read_motion(next(folder.glob("x.*")))


@cache
def bvh() -> str:
    """A BVH of three joints."""
    from tests.unit.motion_files import write_bvh

    names, rest = ["Hips", "Spine", "Head"], np.array([[0, 0, 0], [0, 0, 0.2], [0, 0, 0.5]])
    with tempfile.TemporaryDirectory() as place:
        local, root = np.tile(np.eye(3), (2, 3, 1, 1)), np.zeros((2, 3))
        return write_bvh(Path(place) / "x.bvh", names, (-1, 0, 1), rest, local, root, 30).read_text()


def case(what: str, name: str, data: bytes | str, expected: Expected = "refused", words: str = "") -> Case:
    return Case("motion", what, written(name, data), read, expected, words)


def nested(count: int) -> str:
    return "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Xrotation Yrotation Zrotation\n" + "JOINT b\n{\nOFFSET 0 0 0\nCHANNELS 0\n" * count


CASES = (
    case("bvh", "x.bvh", bvh(), "accepted"),
    case("bvh of a billion frames", "x.bvh", bvh().replace("Frames: 2", "Frames: 1000000000"), words="1000000000 frames"),
    case("bvh of minus one frame", "x.bvh", bvh().replace("Frames: 2", "Frames: -1"), words="-1 frames"),
    case("bvh of a long number of frames", "x.bvh", bvh().replace("Frames: 2", "Frames: " + "9" * 5000)),
    case("bvh of infinite frame time", "x.bvh", bvh().replace("Frame Time: 0.03", "Frame Time: 1e999#"), words="not valid BVH"),
    case("bvh of 100,000 nested joints", "x.bvh", nested(100_000) + MOTION, words="nested deeper"),
    case(
        "bvh of 100,000 joints side by side",
        "x.bvh",
        nested(0) + "JOINT b\n{\nOFFSET 0 0 0\nCHANNELS 0\n}\n" * 100_000 + "}\n" + MOTION,
        words="1000 joints",
    ),
    case("bvh with only a name", "x.bvh", "HIERARCHY", words="MOTION"),
    case("live link", "x.csv", LIVELINK, "accepted"),
    case("live link with a cell of a megabyte", "x.csv", LIVELINK + "," * 4 + "1" * 1_000_000, words="x.csv"),
    case("live link with a quote that never ends", "x.csv", LIVELINK + '"' + "1," * 100_000, words="x.csv"),
    case("live link a day long in two frames", "x.csv", LIVELINK.replace("11:20:00:01", "99:20:00:01"), "accepted"),
    case("json", "x.json", ARKIT, "accepted"),
    case("json nested deep", "x.json", "[" * 100_000, words="not valid JSON"),
    case("json with a matrix that is none", "x.json", ARKIT.replace("1,0,0,0, 0,1", "0,0,0,0, 0,0"), words="no rotation"),
    case("json of a frame with 2000 names", "x.json", "[{" + ",".join(f'"a{i}": 0.1' for i in range(2000)) + "}]", words="2000 names"),
    case("aist", "x.pkl", pickle.dumps(POSES), "accepted"),
    case("aist that executes", "x.pkl", pickle.dumps({**POSES, "smpl_loss": Payload()}), words="system"),
    case("aist with text for poses", "x.pkl", pickle.dumps({**POSES, "smpl_poses": "abc"}), words="x.pkl"),
    case("aist that is a list", "x.pkl", pickle.dumps([1, 2]), words="is no motion"),
    *(case(f"bvh mutated {seed}", "x.bvh", mutated(bvh(), seed), "either") for seed in range(20)),
    *(case(f"live link mutated {seed}", "x.csv", mutated(LIVELINK, seed), "either") for seed in range(10)),
    *(case(f"json mutated {seed}", "x.json", mutated(ARKIT, seed), "either") for seed in range(10)),
)
