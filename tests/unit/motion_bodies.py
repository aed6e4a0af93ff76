"""Bodies and skeletons for the tests of motions."""

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.body.model import load_model
from pipeline.motion.settings import RetargetOptions
from pipeline.motion.target import Target

MODELS = {name: load_model(name) for name in ("anny_body", "anny_head")}
MIXAMO = ["Hips", "Spine", "Spine1", "Spine2", "Neck", "Head"]
MIXAMO += [f"{side}{part}" for side in ("Left", "Right") for part in ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")]
MIXAMO_PARENTS = [-1, 0, 1, 2, 3, 4, 3, 6, 7, 8, 0, 10, 11, 12, 3, 14, 15, 16, 0, 18, 19, 20]
PLAIN = RetargetOptions(absolute=True, feet=False, limits=False)


def matrices(vectors):
    vectors = np.asarray(vectors, np.float64)
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def degrees(first, second):
    return np.degrees(np.arccos(np.clip((np.einsum("...ab,...ab->...", first, second) - 1) / 2, -1, 1)).max())


def chain(local, parents):
    """Global rotations [T, J, 3, 3]."""
    R = [None] * len(parents)
    for joint, parent in enumerate(parents):
        R[joint] = local[:, joint] if parent < 0 else R[parent] @ local[:, joint]
    return np.stack(R, axis=1)


def values(result):
    """Rotation matrices, translations and expressions of poses."""
    poses = result.poses
    return tuple(np.stack([getattr(pose, name).numpy() for pose in poses]) for name in ("rotations", "translation", "expression"))


def tracked(name, frames=9, size=0.15, seed=3):
    """Tracked rotations, translations and expressions of a body before a camera, in a world that is y down."""
    rng, model = np.random.default_rng(seed), MODELS[name]
    pose = size * rng.normal(size=(frames, len(model.parents), 3))
    world = Rotation.from_euler("x", 90, degrees=True) * Rotation.from_euler("z", 20, degrees=True)
    pose[:, 0] = (world * Rotation.from_rotvec(0.05 * rng.normal(size=(frames, 3)))).as_rotvec()
    return pose, [0.3, 0.2, 2.0] + 0.05 * rng.normal(size=(frames, 3)), np.clip(0.3 * rng.normal(size=(frames, 52)), 0, 1)


def target_of(name, **options):
    return Target.tracked(MODELS[name], *tracked(name, **options))


def rest_target(name="anny_body"):
    """A body at rest in its own axes."""
    model = MODELS[name]
    return Target.tracked(model, np.zeros((1, len(model.parents), 3)), np.zeros((1, 3)), np.zeros((1, 52)))


def write_fit(path, name, pose, translation, expression, scale=1.0):
    model = MODELS[name]
    identity, offsets = np.zeros(len(model.identity_basis), np.float32), np.zeros((model.vertex_count, 3), np.float32)
    frames = np.array([f"take_{i:06d}" for i in range(len(pose))])
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {"pose": pose, "translation": translation, "expression": expression}
    np.savez(path, model=name, frames=frames, identity=identity, offsets=offsets, scale=np.float32(scale), **parts)


def t_pose(names, parents, slots):
    """Rest positions of a T-posed skeleton with limbs of its own lengths, straight ones."""
    offsets = {"thigh": (0.12, 0, -0.08), "shin": (0, 0, -0.45), "foot": (0, 0, -0.4), "toe": (0, -0.13, -0.05), "collar": (0.05, 0, 0.1)}
    offsets |= {"upperarm": (0.12, 0, 0), "forearm": (0.3, 0, 0), "hand": (0.27, 0, 0)}
    rest = np.zeros((len(names), 3))
    part = {joint: slot for slot, joints in slots.joints.items() for joint in joints}
    for joint, parent in enumerate(parents):
        slot = part.get(joint, "spine")
        x, y, z = offsets.get(slot.split()[-1], (0, 0, 0.15 if parent >= 0 else 0))
        rest[joint] = (rest[parent] if parent >= 0 else 0) + np.array([-x if slot.startswith("right") else x, y, z])
    return rest
