"""A made-up person through a capture: who it is, what it does, and the scene of every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from pipeline.body.model import ParametricModel, load_model
from pipeline.mesh.topology import vertex_normals
from pipeline.synthetic.appearance import Look, draw_look
from pipeline.synthetic.canvas import Canvas, make_canvas
from pipeline.synthetic.chance import capture_rng
from pipeline.synthetic.motion import DEFAULT_SEQUENCES, Motion, head_motion
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.synthetic.teeth import Teeth, make_teeth, rigid_motion
from pipeline.synthetic.walk import WALK_SEQUENCES, walk_motion

FAR_AWAY = 1e6  # millimetres: clothes that never end on a model cut above their end


@dataclass(frozen=True, eq=False)
class Take:
    """One sequence of T frames. vertices [T,V,3] float32 world metres of the model; positions, normals [T,V+teeth,3] of all that is drawn; the
    parameters that `model.pose_vertices` turns into `vertices`: pose [T,J,3], expression [T,E], translation [T,3]."""

    name: str
    vertices: np.ndarray
    positions: np.ndarray
    normals: np.ndarray
    pose: np.ndarray
    expression: np.ndarray
    translation: np.ndarray


@dataclass(frozen=True, eq=False)
class Subject:
    """One person: model, canvas with teeth appended, identity [I], look, and where the eyes (head) or the waist (body) are at rest, [3] metres."""

    model: ParametricModel
    canvas: Canvas
    teeth: tuple[Teeth, Teeth]
    identity: np.ndarray
    look: Look
    target: np.ndarray


def make_subject(settings: SynthesiseSettings, capture_id: str) -> Subject:
    """Draw a person."""
    model = load_model(f"anny_{settings.subject}")
    canvas = make_canvas(model)
    rng = capture_rng(settings, capture_id, "person")
    identity = (settings.variety * np.clip(rng.standard_normal(len(model.identity_basis)), -2.2, 2.2)).astype(np.float32)
    look = draw_look(rng, _clothes_end(model, canvas))
    shaped = model.shape_vertices(torch.from_numpy(identity), torch.zeros(1, len(model.expression_basis)))[0].numpy()
    eyes = shaped[model.regions["eye_left"] | model.regions["eye_right"]].mean(axis=0)
    target = eyes + [0, 0.07, -0.055] if settings.subject == "head" else np.array([eyes[0], eyes[1] + 0.07, (shaped[:, 2].min() + shaped[:, 2].max()) / 2])
    return Subject(model, canvas, make_teeth(), identity, look, target)


def sequence_names(settings: SynthesiseSettings) -> tuple[str, ...]:
    """The names asked for, or the subject's own."""
    return settings.sequences or (DEFAULT_SEQUENCES if settings.subject == "head" else WALK_SEQUENCES)


def make_take(subject: Subject, settings: SynthesiseSettings, capture_id: str, index: int, to_world: tuple[np.ndarray, np.ndarray]) -> Take:
    """Move the person through sequence number `index`."""
    model, name = subject.model, sequence_names(settings)[index]
    rng = capture_rng(settings, capture_id, f"sequence {name}")
    move = head_motion if settings.subject == "head" else walk_motion
    motion = move(index, name, settings.frames, settings.fps, model.expression_names, model.joint_names, rng)
    identity = torch.from_numpy(subject.identity)
    expression = torch.from_numpy(motion.expression.astype(np.float32))
    pose, translation = _in_world(model, identity, expression, motion, to_world)
    posed = model.pose_vertices(identity, expression, torch.from_numpy(pose), torch.from_numpy(translation))
    teeth = _teeth_positions(subject, expression, posed.rotations.numpy(), posed.joints.numpy())
    positions = np.concatenate([posed.vertices.numpy(), teeth], axis=1).astype(np.float32)
    normals = vertex_normals(torch.from_numpy(positions), torch.from_numpy(drawn_faces(subject).astype(np.int64))).numpy()
    return Take(name, posed.vertices.numpy(), positions, normals, pose, motion.expression.astype(np.float32), translation)


def drawn_faces(subject: Subject) -> np.ndarray:
    """Faces of the model and of the teeth [F,3] int32."""
    faces, start = [subject.canvas.faces], len(subject.canvas.points)
    for strip in subject.teeth:
        faces.append(strip.faces + start)
        start += len(strip.places)
    return np.concatenate(faces).astype(np.int32)


def scenes(subject: Subject, take: Take) -> dict[str, np.ndarray]:
    """All frames of a take as arrays: faces, part and eyes of a Scene, and its vertices for every frame, [T,V,13]."""
    canvas, strips = subject.canvas, subject.teeth
    part = np.concatenate([canvas.part, *(np.full(len(strip.faces), strip.part, np.int8) for strip in strips)])
    points = np.concatenate([canvas.points, *(strip.paint for strip in strips)])
    dim = [np.tile([[0.42, 0, 0, 0]], (len(strip.places), 1)) for strip in strips]
    fields = np.concatenate([canvas.fields, *dim])
    still = [np.broadcast_to(array, (len(take.positions), *array.shape)) for array in (points, fields)]
    vertices = np.concatenate([still[0], take.normals, take.positions, still[1]], axis=2).astype(np.float32)
    return {"faces": drawn_faces(subject), "part": part, "vertices": vertices, "eyes": canvas.eyes}


def _in_world(
    model: ParametricModel, identity: torch.Tensor, expression: torch.Tensor, motion: Motion, to_world: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Pose and translation of a motion with the person's space rotated and shifted into the world: the root joint takes the rotation about its own place."""
    R, t = to_world
    root = model.shape_joints(identity, expression)[:, 0].numpy().astype(np.float64)
    pose = motion.pose.copy()
    pose[:, 0] = (Rotation.from_matrix(R) * Rotation.from_rotvec(motion.pose[:, 0])).as_rotvec()
    translation = (root + motion.shift) @ R.T + t - root
    return pose.astype(np.float32), translation.astype(np.float32)


def _teeth_positions(subject: Subject, expression: torch.Tensor, rotations: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Teeth in the world [T,N,3]: both strips follow the person's shape and the head joint, the lower one what the expression does to the chin."""
    model, canvas = subject.model, subject.canvas
    identity = torch.from_numpy(subject.identity)
    shaped = model.shape_vertices(identity, expression).numpy()
    neutral = model.shape_vertices(identity, torch.zeros(1, expression.shape[1]))[0].numpy()
    lips = model.regions["lips_inner"]
    moved = (neutral - model.template.numpy())[lips].mean(axis=0)
    points = canvas.points
    chin = model.regions["face"] & (np.abs(points[:, 0]) < 18) & (points[:, 1] < -98)
    head = model.joint_names.index("head")
    rest_joints = model.shape_joints(identity, expression)[:, head].numpy()
    strips = []
    for strip, follows_jaw in zip(subject.teeth, (False, True)):
        places = np.tile(canvas.model_points(strip.places) + moved, (len(shaped), 1, 1))
        if follows_jaw:
            for frame, chin_now in enumerate(shaped[:, chin]):
                R, t = rigid_motion(neutral[chin], chin_now)
                places[frame] = places[frame] @ R.T + t
        strips.append((places - rest_joints[:, None]) @ rotations[:, head].transpose(0, 2, 1) + joints[:, head][:, None])
    return np.concatenate(strips, axis=1)


def _clothes_end(model: ParametricModel, canvas: Canvas) -> dict[str, float]:
    """Where clothes end on this model: fields of Look."""
    if "foot.L" not in model.joint_names:
        return {"collar": -150.0, "sleeve": FAR_AWAY, "waist": -FAR_AWAY, "ankle": -FAR_AWAY}
    joint = {name: canvas.place(point) for name, point in zip(model.joint_names, model.rest_joints.numpy())}
    sleeve = 0.5 * (joint["lowerarm01.L"][0] + joint["upperarm01.L"][0]) + 20
    return {"collar": -150.0, "sleeve": sleeve, "waist": joint["root"][1] + 20, "ankle": joint["foot.L"][1]}
