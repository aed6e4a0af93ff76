"""One sequence of a synthetic capture: the posed subject in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from pipeline.body.model import ParametricModel
from pipeline.mesh.topology import vertex_normals
from pipeline.synthetic.camera_rig import Rigid
from pipeline.synthetic.motion.head import DEFAULT_SEQUENCES, head_motion
from pipeline.synthetic.motion.motion import Motion
from pipeline.synthetic.motion.walk import WALK_SEQUENCES, walk_motion
from pipeline.synthetic.rng import capture_rng
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.synthetic.subject import Subject
from pipeline.synthetic.teeth import rigid_motion

TEETH_FIELDS = (0.42, 0, 0, 0)  # texture fields of teeth: ambient visibility in the mouth; the others do not apply


@dataclass(frozen=True, eq=False)
class PosedSequence:
    """T frames of one sequence.

    Attributes:
        vertices: [T, V, 3] float32, the model's, world metres.
        positions, normals: [T, V + teeth, 3] of everything rendered.
        pose: [T, J, 3], expression: [T, E], translation: [T, 3]: the parameters from which `model.pose_vertices` gives
            `vertices`.
    """

    name: str
    vertices: np.ndarray
    positions: np.ndarray
    normals: np.ndarray
    pose: np.ndarray
    expression: np.ndarray
    translation: np.ndarray


def sequence_names(settings: SynthesiseSettings) -> tuple[str, ...]:
    """The names in the settings, or the subject's default ones."""
    return settings.sequences or (DEFAULT_SEQUENCES if settings.subject == "head" else WALK_SEQUENCES)


def make_sequence(
    subject: Subject,
    settings: SynthesiseSettings,
    capture_id: str,
    index: int,
    to_world: Rigid,
) -> PosedSequence:
    """Pose the subject through sequence number `index`."""
    model, name = subject.model, sequence_names(settings)[index]
    rng = capture_rng(settings, capture_id, f"sequence {name}")
    if settings.subject == "head":
        motion = head_motion(index, name, settings.frames, settings.fps, model.expression_names, model.joint_names, rng)
    else:
        motion = walk_motion(settings.frames, settings.fps, model.expression_names, model.joint_names, rng)
    identity = torch.from_numpy(subject.identity)
    expression = torch.from_numpy(motion.expression.astype(np.float32))
    pose, translation = _in_world(model, identity, expression, motion, to_world)
    posed = model.pose_vertices(identity, expression, torch.from_numpy(pose), torch.from_numpy(translation))
    teeth = _teeth_positions(subject, expression, posed.rotations.numpy(), posed.joints.numpy())
    positions = np.concatenate([posed.vertices.numpy(), teeth], axis=1).astype(np.float32)
    faces = torch.from_numpy(all_faces(subject).astype(np.int64))
    return PosedSequence(
        name=name,
        vertices=posed.vertices.numpy(),
        positions=positions,
        normals=vertex_normals(torch.from_numpy(positions), faces).numpy(),
        pose=pose,
        expression=expression.numpy(),
        translation=translation,
    )


def all_faces(subject: Subject) -> np.ndarray:
    """[F, 3] int32 faces of the model and of the teeth."""
    faces, start = [subject.texture_space.faces], len(subject.texture_space.points)
    for strip in subject.teeth:
        faces.append(strip.faces + start)
        start += len(strip.points)
    return np.concatenate(faces).astype(np.int32)


def scene_arrays(subject: Subject, sequence: PosedSequence) -> dict[str, np.ndarray]:
    """All frames as arrays: faces, part and eyes of a `Scene`, and its vertices in every frame [T, V, 13]."""
    space, strips = subject.texture_space, subject.teeth
    part = np.concatenate([space.part, *(np.full(len(strip.faces), strip.part, np.int8) for strip in strips)])
    points = np.concatenate([space.points, *(strip.texture for strip in strips)])
    fields = np.concatenate([space.fields, *(np.tile([TEETH_FIELDS], (len(strip.points), 1)) for strip in strips)])
    frames = len(sequence.positions)
    points, fields = (np.broadcast_to(array, (frames, *array.shape)) for array in (points, fields))
    vertices = np.concatenate([points, sequence.normals, sequence.positions, fields], axis=2).astype(np.float32)
    return {"faces": all_faces(subject), "part": part, "vertices": vertices, "eyes": space.eyes}


def _in_world(
    model: ParametricModel,
    identity: torch.Tensor,
    expression: torch.Tensor,
    motion: Motion,
    to_world: Rigid,
) -> tuple[np.ndarray, np.ndarray]:
    """Pose and translation of a motion moved to the world. The root joint takes the rotation, about its own position."""
    R, t = to_world
    root = model.shape_joints(identity, expression)[:, 0].numpy().astype(np.float64)
    pose = motion.pose.copy()
    pose[:, 0] = (Rotation.from_matrix(R) * Rotation.from_rotvec(motion.pose[:, 0])).as_rotvec()
    translation = (root + motion.translation) @ R.T + t - root
    return pose.astype(np.float32), translation.astype(np.float32)


def _teeth_positions(
    subject: Subject,
    expression: torch.Tensor,
    rotations: np.ndarray,
    joints: np.ndarray,
) -> np.ndarray:
    """World positions [T, N, 3] of both strips.

    They follow identity and head joint; the lower one also follows the expression's motion of the chin.
    """
    model, space = subject.model, subject.texture_space
    identity = torch.from_numpy(subject.identity)
    shaped = model.shape_vertices(identity, expression).numpy()
    neutral = model.shape_vertices(identity, torch.zeros(1, expression.shape[1]))[0].numpy()
    lips_offset = (neutral - model.template.numpy())[model.regions["lips_inner"]].mean(axis=0)
    chin = model.regions["face"] & (np.abs(space.points[:, 0]) < 18) & (space.points[:, 1] < -98)
    head = model.joint_names.index("head")
    rest_joints = model.shape_joints(identity, expression)[:, head].numpy()
    strips = []
    for strip, follows_jaw in zip(subject.teeth, (False, True)):
        points = np.tile(space.to_model(strip.points) + lips_offset, (len(shaped), 1, 1))
        if follows_jaw:
            for frame, posed_chin in enumerate(shaped[:, chin]):
                R, t = rigid_motion(neutral[chin], posed_chin)
                points[frame] = points[frame] @ R.T + t
        strips.append((points - rest_joints[:, None]) @ rotations[:, head].transpose(0, 2, 1) + joints[:, head][:, None])
    return np.concatenate(strips, axis=1)
