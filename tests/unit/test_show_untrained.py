import numpy as np

from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.contract.layout import Layout
from pipeline.io.arrays import save_npz
from pipeline.report.untrained import render_untrained
from pipeline.splat.harmonics import SH_C0


def test_splats_appear_on_their_triangles(tmp_path):
    layout, model = Layout(tmp_path / "results", tmp_path / "work"), load_model("anny_head")
    zeros = {name: value.numpy() for name, value in model.zeros(1).items()}
    fit = {
        "pose": zeros["pose"],
        "expression": zeros["expression"],
        "translation": np.array([[0.1, 0.0, 0.2]]),
        "identity": np.zeros(len(model.identity_basis)),
        "offsets": np.zeros((model.vertex_count, 3)),
    }
    save_npz(layout.fit, {"model": np.array("anny_head"), "frames": np.array(["take_000003"]), "scale": np.array(1.0), **fit})
    red = (np.array([0.9, 0.1, 0.1]) - 0.5) / SH_C0
    splats = {
        "means": np.zeros((1, 3)),
        "quats": np.array([[1.0, 0, 0, 0]]),
        "log_scales": np.zeros((1, 3)),
        "opacities": np.array([6.0]),
        "sh_dc": red[None, None],
        "sh_rest": np.zeros((1, 0, 3)),
    }
    save_npz(layout.init, {"binding": np.array([17]), **{name: value.astype(np.float32) for name, value in splats.items()}})
    body = PosedBody.from_fit(layout.fit)
    centre = body.vertices(body.tracked_pose(0)[0]).detach().numpy()[model.faces[17].numpy()].mean(0)
    camera = Camera("a", 40, 30, np.array([[80.0, 0, 20], [0, 80, 15], [0, 0, 1]]), np.eye(3), -centre + np.array([0.05, -0.02, 0.5]))
    image = render_untrained(layout, [camera], "take_000003")[0]
    redness = image[..., 0].astype(float) - image[..., 1]
    y, x = np.mgrid[:30, :40] + 0.5
    np.testing.assert_allclose([(redness * x).sum() / redness.sum(), (redness * y).sum() / redness.sum()], camera.project(centre), atol=0.3)
    assert (image[0, 0] == 255).all()
