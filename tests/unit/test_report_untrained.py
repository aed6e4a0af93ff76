"""What the report shows of an avatar before training: the avatar of init.npz, by its method alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.contract.layout import Layout
from pipeline.io.arrays import save_npz
from pipeline.io.errors import InputError
from pipeline.report.untrained import render_untrained
from pipeline.splat.harmonics import SH_C0

FACE = 17


@pytest.fixture
def layout(tmp_path):  # noqa: ANN001, ANN201
    """A body at rest in its second frame, moved in its first; one red splat on a triangle."""
    layout, model = Layout(tmp_path / "results", tmp_path / "work"), load_model("anny_head")
    zeros = {name: np.repeat(value.numpy(), 2, axis=0) for name, value in model.zeros(1).items()}
    fit = {
        "pose": zeros["pose"],
        "expression": zeros["expression"],
        "translation": np.array([[0.5, 0.5, 0.5], [0.1, 0.0, 0.2]]),
        "identity": np.zeros(len(model.identity_basis)),
        "offsets": np.zeros((model.vertex_count, 3)),
    }
    save_npz(layout.fit, {"model": np.array("anny_head"), "frames": np.array(["take_000001", "take_000003"]), "scale": np.array(1.0), **fit})
    splats = {
        "means": np.zeros((1, 3)),
        "quats": np.array([[1.0, 0, 0, 0]]),
        "log_scales": np.zeros((1, 3)),
        "opacities": np.array([6.0]),
        "sh_dc": ((np.array([0.9, 0.1, 0.1]) - 0.5) / SH_C0)[None, None],
        "sh_rest": np.zeros((1, 0, 3)),
    }
    save_npz(layout.init, {"binding": np.array([FACE]), **{name: value.astype(np.float32) for name, value in splats.items()}})
    return layout


def test_splats_appear_on_their_triangles_at_the_frame(layout):
    body = PosedBody.from_fit(layout.fit)
    with torch.no_grad():
        centre = body.vertices(body.pose_at(1)).numpy()[body.faces[FACE].numpy()].mean(0)
    camera = Camera("a", 40, 30, np.array([[80.0, 0, 20], [0, 80, 15], [0, 0, 1]]), np.eye(3), -centre + np.array([0.05, -0.02, 0.5]))
    smaller = camera.resized(20, 15)
    for view, image in zip((camera, smaller), render_untrained(layout, [camera, smaller], "take_000003"), strict=True):
        assert image.shape == (view.height, view.width, 3)
        redness = image[..., 0].astype(float) - image[..., 1]
        y, x = np.mgrid[: view.height, : view.width] + 0.5
        np.testing.assert_allclose([(redness * x).sum() / redness.sum(), (redness * y).sum() / redness.sum()], view.project(centre), atol=0.3)
        assert (image[0, 0] == 255).all()


def test_without_its_files_it_says_which_stage_makes_them(layout):
    layout.init.unlink()
    with pytest.raises(InputError, match=r"(?s)init.npz.*--from init"):
        render_untrained(layout, [], "take_000003")
    layout.fit.unlink()
    with pytest.raises(InputError, match=r"(?s)fit.npz.*--from fit"):
        render_untrained(layout, [], "take_000003")
    with pytest.raises(InputError, match="no avatar method is called 'nothing'"):
        render_untrained(replace(layout, method="nothing"), [], "take_000003")
