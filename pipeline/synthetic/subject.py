"""The subject of a synthetic capture: shape, appearance, texture space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.body.model import ParametricModel, load_model
from pipeline.synthetic.appearance import Appearance, ClothingEnds, draw_appearance
from pipeline.synthetic.rendering.texture_space import TextureSpace, make_texture_space
from pipeline.synthetic.rng import capture_rng
from pipeline.synthetic.settings import SynthesiseSettings
from pipeline.synthetic.teeth import Teeth, make_teeth

UNLIMITED = 1e6  # millimetres: clothes that continue to the edge of a model


@dataclass(frozen=True, eq=False)
class Subject:
    """One subject.

    Attributes:
        teeth: upper and lower strip.
        identity: [I] coefficients.
        target: [3] metres in the rest pose, what the cameras look at: below and behind the eyes (head), the waist (body).
    """

    model: ParametricModel
    texture_space: TextureSpace
    teeth: tuple[Teeth, Teeth]
    identity: np.ndarray
    appearance: Appearance
    target: np.ndarray


def make_subject(settings: SynthesiseSettings, capture_id: str) -> Subject:
    """A random subject."""
    model = load_model(f"anny_{settings.subject}")
    texture_space = make_texture_space(model)
    rng = capture_rng(settings, capture_id, "person")
    identity = (settings.variety * np.clip(rng.standard_normal(len(model.identity_basis)), -2.2, 2.2)).astype(np.float32)
    appearance = draw_appearance(rng, _clothing_ends(model, texture_space))
    shaped = model.shape_vertices(torch.from_numpy(identity), torch.zeros(1, len(model.expression_basis)))[0].numpy()
    eyes = shaped[model.regions["eye_left"] | model.regions["eye_right"]].mean(axis=0)
    if settings.subject == "head":
        target = eyes + [0, 0.07, -0.055]
    else:
        target = np.array([eyes[0], eyes[1] + 0.07, (shaped[:, 2].min() + shaped[:, 2].max()) / 2])
    return Subject(model, texture_space, make_teeth(), identity, appearance, target)


def _clothing_ends(model: ParametricModel, texture_space: TextureSpace) -> ClothingEnds:
    """Where clothes end on this model. Models without feet are cut above the ends of sleeves and trousers."""
    if "foot.L" not in model.joint_names:
        return ClothingEnds(collar=-150.0, sleeve=UNLIMITED, waist=-UNLIMITED, ankle=-UNLIMITED)
    joint = {name: texture_space.from_model(point) for name, point in zip(model.joint_names, model.rest_joints.numpy())}
    sleeve = 0.5 * (joint["lowerarm01.L"][0] + joint["upperarm01.L"][0]) + 20
    waist, ankle = joint["root"][1] + 20, joint["foot.L"][1]
    return ClothingEnds(collar=-150.0, sleeve=float(sleeve), waist=float(waist), ankle=float(ankle))
