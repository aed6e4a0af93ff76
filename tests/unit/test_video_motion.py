"""A face before one camera that nobody calibrated: expressions and rotations of a known motion."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.body.model import load_model
from pipeline.capture.processed import Frame
from pipeline.io.errors import InputError
from pipeline.io.video import write_video
from pipeline.motion.read import read_motion
from pipeline.stages import video_motion
from pipeline.track.monocular import assumed_camera, fit_video
from pipeline.workflow.motion_verb import video_to_motion

MODEL = load_model("anny_head")
SIZE, FOCAL = (640, 480), 600.0  # the assumption is 704
COUNT = 8


def known_motion():
    """Rotation vectors of the root, [T, 3], and expressions [T, 52]: a head that turns, opens its mouth, smiles and looks surprised."""
    phase = 2 * np.pi * np.arange(COUNT) / COUNT
    expression = np.zeros((COUNT, 52))
    for name, weight in (
        ("jawOpen", 0.35 + 0.35 * np.sin(phase)),
        ("mouthSmileLeft", 0.4 + 0.4 * np.cos(phase)),
        ("mouthSmileRight", 0.4 + 0.4 * np.cos(phase)),
    ):
        expression[:, MODEL.expression_names.index(name)] = weight
    upright = Rotation.from_euler("x", 90, degrees=True)  # the model is z up and faces -y, the camera's y is down
    turns = Rotation.from_euler("zx", np.stack([0.3 * np.sin(phase), 0.15 * np.cos(phase)], axis=1))
    return (upright * turns).as_rotvec(), expression


def detections():
    """What a detector sees of that motion [T, 478, 3], with a pixel of noise."""
    import torch

    rotations, expression = known_motion()
    zeros, table = MODEL.zeros(COUNT), MODEL.landmarks["mediapipe_face"]
    pose = zeros["pose"].clone()
    pose[:, 0] = torch.from_numpy(rotations)
    identity = torch.from_numpy(np.random.default_rng(1).normal(size=len(zeros["identity"])).astype(np.float32))
    # the head, not the root, stays in the middle of the image
    joints = MODEL.pose_vertices(identity, torch.from_numpy(expression).float(), pose, zeros["translation"]).joints
    place = torch.tensor([0.0, 0.0, 0.7]) - joints[:, MODEL.joint_names.index("head")]
    vertices = MODEL.pose_vertices(identity, torch.from_numpy(expression).float(), pose, place).vertices
    points = (vertices[:, table.vertices] * table.weights[..., None]).sum(2).double().numpy()
    pixels = FOCAL * points[..., :2] / points[..., 2:] + np.array(SIZE) / 2
    pixels += 0.7 * np.random.default_rng(2).normal(size=pixels.shape)
    face = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 0.9)], axis=2)
    face[:, ~table.valid.numpy()] = np.nan
    return face


@pytest.fixture
def video(tmp_path, monkeypatch):
    path = tmp_path / "selfie.mp4"
    write_video(path, [np.full((SIZE[1], SIZE[0], 3), 80, np.uint8)] * COUNT, 30)
    face = detections()
    face[3] = np.nan  # the detector misses a frame
    monkeypatch.setattr(video_motion, "_detect", lambda file, frames, score: face[frames.start : frames.stop])
    return path


def test_a_known_motion_before_one_camera_is_matched(video, tmp_path):
    out = video_motion.motion_of_video(video, tmp_path / "a.npz", None, (0, None))
    motion, (rotations, expression) = read_motion(out), known_motion()
    assert motion.fps == pytest.approx(30, rel=1e-3) and len(motion) == COUNT and motion.frames == ()
    # expressions that move the same skin stand in for each other: what counts is how the landmarks move
    table, basis = MODEL.landmarks["mediapipe_face"], MODEL.expression_basis.numpy()
    shown = np.einsum("lm,elmx->elx", table.weights.numpy(), basis[:, table.vertices.numpy()])[:, table.valid.numpy()]
    moved, truth = (np.einsum("te,elx->tlx", weights - weights.mean(0), shown) for weights in (motion.expression, expression))
    off = np.sqrt(((moved - truth) ** 2).sum() / (truth**2).sum())
    assert off < 0.4
    for name in ("jawOpen", "mouthSmileLeft", "mouthSmileRight"):
        column = MODEL.expression_names.index(name)
        assert np.corrcoef(motion.expression[:, column], expression[:, column])[0, 1] > 0.9, name
    others = [i for i in range(52) if not expression[:, i].any()]
    assert motion.expression[:, others].mean() < 0.05
    head = Rotation.identity(COUNT)
    for joint in ("spine01", "neck01", "neck02", "neck03", "head"):
        head = head * Rotation.from_rotvec(motion.rotations[:, motion.joints.index(joint)])
    turns = Rotation.from_rotvec(rotations)
    off = np.degrees(((head.mean().inv() * head).inv() * (turns.mean().inv() * turns)).magnitude())
    assert np.median(off) < 2.5 and off.max() < 8


def test_frames_and_options_that_cannot_be_are_named(video, tmp_path):
    with pytest.raises(InputError, match="no such frames") as error:
        video_motion.motion_of_video(video, tmp_path / "a.npz", None, (4, 20))
    assert f"0:{COUNT}" in str(error.value)
    nobody = np.full((2, 478, 3), np.nan)
    frames = tuple(Frame(str(i), "a", i, i / 30) for i in range(2))
    with pytest.raises(InputError, match="no frame shows a face"):
        fit_video(MODEL, assumed_camera(*SIZE), frames, nobody, "give another")
    for change, problem in (
        ({"out": tmp_path / "a.csv"}, "not the name of a motion file"),
        ({"focal": 0.0}, "an impossible focal length"),
        ({"focal": float("nan")}, "an impossible focal length"),
        ({"frames": "3"}, "no such frames"),
        ({"video": tmp_path / "none.mp4"}, "no such video"),
    ):
        with pytest.raises(InputError, match=problem):
            video_to_motion(**{"video": video, "out": tmp_path / "b.npz", "focal": None, "frames": "all"} | change)
    assert not list(tmp_path.glob("*.npz"))
