"""Tampered avatars, fits and baked models."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.case import Case

SPLATS, FRAMES = 500, 2


@functools.cache
def base() -> dict[str, np.ndarray]:
    """The arrays of a small avatar.npz."""
    from pipeline.body.model import load_model

    model, rng = load_model("anny_head"), np.random.default_rng(0)
    count, joints, f = model.vertex_count, len(model.parents), np.float32
    body = {
        "identity": np.zeros(len(model.identity_basis), f),
        "offsets": np.zeros((count, 3), f),
        "scale": np.array(1, f),
        "pose": np.zeros((FRAMES, joints, 3), f),
    }
    body |= {"expression": np.zeros((FRAMES, len(model.expression_basis)), f), "translation": np.zeros((FRAMES, 3), f)}
    splats = {
        "binding": rng.integers(0, len(model.faces), SPLATS),
        "means": rng.normal(0, 0.1, (SPLATS, 3)).astype(f),
        "quats": np.tile(np.array([1, 0, 0, 0], f), (SPLATS, 1)),
    }
    splats |= {
        "log_scales": np.full((SPLATS, 3), -1, f),
        "opacities": np.zeros(SPLATS, f),
        "sh_dc": np.zeros((SPLATS, 1, 3), f),
        "sh_rest": np.zeros((SPLATS, 3, 3), f),
    }
    return {"method": np.array("rigged"), "model": np.array("anny_head"), "frames": np.array(["take_000000", "take_000001"]), **body, **splats}


def read(folder: Path) -> None:
    """Open the avatar as `render` does, and draw it."""
    from pipeline.avatars.render import render_views
    from pipeline.avatars.rigged.entry import open_avatar
    from pipeline.capture.camera import Camera

    avatar = open_avatar(folder / "avatar.npz", remedy="./c2a run anna --from train")
    camera = Camera("a", 48, 48, np.array([[60.0, 0, 24], [0, 60, 24], [0, 0, 1]]), np.eye(3), np.array([0, 0, 1.0]))
    render_views(avatar, 0, [camera])


def changed(change: Callable[[dict[str, np.ndarray]], Any]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        arrays = dict(base())
        change(arrays)
        np.savez(folder / "avatar.npz", **arrays)

    return make


def case(what: str, change: Callable[[dict[str, np.ndarray]], Any], expected: str = "refused") -> Case:
    return Case("avatar", what, changed(change), read, expected)


def put(name: str, value: Any) -> Callable[[dict[str, np.ndarray]], Any]:
    """Another array, or the array as a function changes it."""
    return lambda arrays: arrays.update({name: np.asarray(value(arrays[name]) if callable(value) else value)})


def first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flat[0] = value
        return array

    return change


def model(change: Callable[[dict[str, np.ndarray]], Any], expected: str = "refused", what: str = "") -> Case:
    """A baked model of one's own (fit.model)."""

    def make(folder: Path) -> None:
        from pipeline.body.model import DATA

        with np.load(DATA / "anny_head.npz") as found:
            arrays = dict(found)
        change(arrays)
        np.savez(folder / "mine.npz", **arrays)

    def read_model(folder: Path) -> None:
        from pipeline.body.model import load_model

        load_model(folder / "mine.npz")

    return Case("model", what, make, read_model, expected)


def no_splats(arrays: dict[str, np.ndarray]) -> None:
    arrays.update({name: arrays[name][:0] for name in FLOATS if name in SPLAT_NAMES} | {"binding": arrays["binding"][:0]})


def read_extremes(folder: Path) -> None:
    """Arrays that are finite and yet absurd are drawn, or refused."""
    from pipeline.io.errors import InputError

    for name in SPLAT_NAMES:
        for value in (9e3, 0):
            changed(put(name, lambda array, value=value: np.full(array.shape, value, np.float32)))(folder)
            with contextlib.suppress(InputError):
                read(folder)
    raise InputError("drawn or refused", expected="so")


SPLAT_NAMES = ("means", "quats", "log_scales", "opacities", "sh_dc", "sh_rest")
FLOATS = (*SPLAT_NAMES, "identity", "offsets", "pose", "expression", "translation")
TRAITS = {"kind": "head", "up": [0, 0, 1], "front": [0, -1, 0], "bounded": True, "roles": {}, "free": {"head": {"jaw": [3, 4]}}, "upper": []}
BAD_TRAITS: tuple[dict, ...] = (
    {"kind": "tree"}, {"up": [0, 0, 0]}, {"up": [0, 1]}, {"front": [0, 0, 1]}, {"front": ["x", 0, 0]}, {"roles": 3}, {"upper": 3},
    {"free": {"head": {"jaw": [0, 1]}}}, {"free": {"head": {"jaw": 3}}}, {"free": {"tree": {}}}, {"free": [1]},
)  # fmt: skip
LACKING = ("binding", *FLOATS, "model", "frames", "scale")
BINDINGS = (10**9, -(10**9), 2**62, -1, 10**6)
CASES = [
    case("good", lambda arrays: None, "accepted"),
    *(case(f"without {name}", lambda arrays, name=name: arrays.pop(name)) for name in LACKING),
    *(case(f"binding {value}", put("binding", first(value))) for value in BINDINGS),
    case("binding short", put("binding", lambda array: array[:-1])),
    case("binding text", put("binding", lambda array: array.astype(str))),
    case("binding float", put("binding", lambda array: array.astype(float))),
    case("binding of 16 bits", put("binding", lambda array: (array % 1000).astype(np.uint16)), "accepted"),
    *(case(f"{name} short", put(name, lambda array: array[:-1])) for name in FLOATS),
    *(case(f"{name} empty", put(name, lambda array: array[:0])) for name in FLOATS),
    *(case(f"{name} flat", put(name, lambda array: array.reshape(-1))) for name in SPLAT_NAMES if name != "opacities"),
    *(case(f"{name} text", put(name, lambda array: np.full(array.shape, "x"))) for name in FLOATS),
    *(case(f"{name} nan", put(name, first(np.nan))) for name in FLOATS),
    *(case(f"{name} infinite", put(name, first(np.inf))) for name in FLOATS),
    *(case(f"{name} 1e30", put(name, first(1e30))) for name in FLOATS),
    Case("avatar", "each array large, negative and zero in turn", lambda folder: None, read_extremes),
    case("all large", lambda arrays: arrays.update({name: np.full_like(arrays[name], 9e3) for name in SPLAT_NAMES}), "either"),
    case("no splats", no_splats),
    case("5 colour coefficients", put("sh_rest", lambda array: np.zeros((SPLATS, 4, 3), np.float32))),
    case("scale nan", put("scale", np.float32(np.nan))),
    case("scale zero", put("scale", np.float32(0)), "either"),
    case("scale a list", put("scale", np.ones(3, np.float32))),
    case("objects", put("scale", np.array([{}], object))),
    *(case(f"model {value[:12]!r}", put("model", value)) for value in ("nobody", "../../../etc/passwd", "/dev/zero", "a\0b", "x" * 5000, "")),
    case("model a number", put("model", 5)),
    *(case(f"frame {value!r}", put("frames", np.array([value, "b"]))) for value in ("../../evil", "a/b", ".", "", "a\nb", "\x1b[2J", "x" * 300)),
    case("frames numbers", put("frames", np.arange(2))),
    case("no frames", lambda arrays: arrays.update({name: arrays[name][:0] for name in ("frames", "pose", "expression", "translation")})),
    model(lambda arrays: None, "accepted", "good"),
    *(
        model(put(name, first(value)), what=f"{name} {value}")
        for name in ("faces", "uv_faces", "regressor_vertices", "regressor_joints", "parents", "landmarks.mediapipe_face.vertices")
        for value in (-2, 10**6)
    ),
    model(put("lbs_joints", first(255)), what="lbs_joints 255"),
    model(put("parents", lambda array: array[::-1].copy()), what="parents in a circle"),
    model(put("template", first(np.nan)), what="template nan"),
    model(put("template", lambda array: array[:-1]), what="template short"),
    model(put("facts", "{"), what="facts not JSON"),
    model(put("facts", '{"traits": 5}'), what="traits a number"),
    model(put("facts", '{"traits": {"kind": "tree"}}'), what="traits lacking most"),
    *(model(put("facts", json.dumps({"traits": TRAITS | change})), what=f"traits {change}") for change in BAD_TRAITS),
    model(put("facts", json.dumps({"traits": TRAITS})), "accepted", "traits good"),
    model(lambda arrays: arrays.update(pose_basis=np.zeros((117, len(arrays["template"]), 3), np.float32)), "accepted", "pose_basis good"),
    model(lambda arrays: arrays.update(pose_basis=np.zeros((9, len(arrays["template"]), 3), np.float32)), what="pose_basis short"),
    model(lambda arrays: arrays.update(pose_basis=np.full((117, len(arrays["template"]), 3), np.nan, np.float32)), what="pose_basis nan"),
    model(lambda arrays: arrays.update(lbs_weights=np.full(arrays["lbs_weights"].shape, np.nan, np.float32)), what="lbs_weights nan"),
    model(put("facts", "[" * 5000), what="facts deep"),
    model(put("regions", lambda array: array[:, :-1]), what="regions short"),
    *(model(lambda arrays, name=name: arrays.pop(name), what=f"without {name}") for name in ("template", "lbs_weights", "landmarks.mediapipe_face.weights")),
]
