"""The embedded head as an avatar, in colours that tell its regions apart."""

from __future__ import annotations

from functools import cache

import numpy as np

from pipeline.avatars.rigged.avatar import RiggedAvatar
from pipeline.avatars.rigged.initialise import initial_splats
from pipeline.avatars.rigged.posed_body import PosedBody
from pipeline.avatars.rigged.settings import InitSettings
from pipeline.body.model import load_model
from pipeline.capture.processed import ImageSet

FRAMES = ("take_000000", "take_000001", "take_000002")


@cache
def head(skin: float = 0.5) -> RiggedAvatar:
    """The embedded head with three frames of a turn: grey skin (-1 is darker), red lips, and the inner mouth black."""
    model = load_model("anny_head")
    poses = np.zeros((3, len(model.parents), 3), np.float32)
    poses[:, 0, 2] = (0, 0.3, 0.6)
    fit = {
        "model": np.array("anny_head"), "frames": np.array(FRAMES), "scale": np.float32(1), "pose": poses,
        "identity": np.zeros(len(model.identity_basis), np.float32), "offsets": np.zeros((model.vertex_count, 3), np.float32),
        "expression": np.zeros((3, len(model.expression_basis)), np.float32), "translation": np.zeros((3, 3), np.float32),
    }  # fmt: skip
    avatar = RiggedAvatar(PosedBody(model, fit))
    arrays = initial_splats(avatar.body, ImageSet(None, (), (), {}, {}), (), FRAMES, InitSettings(splats=1))
    count, corners = len(arrays["binding"]), model.faces.numpy()[arrays["binding"]]
    colors = np.full((count, 1, 3), skin, np.float32)
    colors[model.regions["lips"][corners].all(1)] = (1.5, -1.5, -1.5)
    colors[model.regions["inner_mouth"][corners].all(1)] = -2
    avatar.initialise({**arrays, "sh_dc": colors, "sh_rest": np.zeros((count, 0, 3), np.float32)})
    return avatar.eval()
