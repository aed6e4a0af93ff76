"""The posed body: vertices and gradients at tracked frames and in any pose, its penalties, and the files it accepts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatars.rigged.posed_body import TABLES, PosedBody
from pipeline.avatars.rigged.settings import RiggedTrainSettings
from pipeline.body.body_pose import BodyPose
from pipeline.io.arrays import save_npz
from pipeline.io.errors import InputError
from tests.unit import rigged_toy as toy


def tracked_vertices(body: PosedBody, frame: int) -> torch.Tensor:
    return body.vertices(body.pose_at(frame))


def test_a_body_is_posed_as_its_model_is():
    fit, model = toy.fit(), toy.model()
    values = {name: torch.from_numpy(fit[name]) for name in ("expression", "pose", "translation")}
    expected = model.pose_vertices(torch.from_numpy(fit["identity"]), **values, scale=1.0, offsets=torch.from_numpy(fit["offsets"])).vertices
    body = toy.body()
    for frame in range(3):
        torch.testing.assert_close(tracked_vertices(body, frame), expected[frame])
        assert torch.equal(tracked_vertices(body, torch.tensor(frame)), tracked_vertices(body, frame))


def test_only_the_posed_frame_has_gradients():
    body = toy.body()
    pose, rows = body.tracked_pose(1)
    assert rows.index == 1 and rows.gradients() == {}
    body.vertices(pose).square().sum().backward()
    gradients = rows.gradients()
    assert set(gradients) == set(TABLES) and all(gradient.abs().sum() > 0 for gradient in gradients.values())
    assert all(gradients[name].shape == table.shape[1:] for name, table in body.tables.items())
    assert not any(table.requires_grad for table in body.tables.values())
    assert body.offsets.grad.abs().sum() > 0


def test_instants_of_one_step_do_not_know_of_each_other():
    body = toy.body()
    parts = [body.tracked_pose(frame) for frame in (2, 0, 2)]
    for pose, _ in parts[:2]:
        body.vertices(pose).square().sum().backward()
    first, second, third = (rows.gradients() for _, rows in parts)
    assert not torch.equal(first["pose"], second["pose"]) and third == {}


def test_any_pose_can_be_given_by_value():
    body, up = toy.body(), torch.tensor([0.0, 0.2, 0.0])
    tracked, _ = body.tracked_pose(1)
    torch.testing.assert_close(body.vertices(replace(tracked, translation=tracked.translation + up)), tracked_vertices(body, 1) + up)
    at_rest = BodyPose(torch.zeros(2), torch.zeros(2, 3), up)
    torch.testing.assert_close(body.vertices(at_rest), body.shaped.template + up)
    avatar = toy.avatar()
    states = [avatar.pose(replace(at_rest, translation=translation)) for translation in (torch.zeros(3), up)]
    torch.testing.assert_close(states[1].splats.means, states[0].splats.means + up)
    assert states[0].rows == ()


def test_a_body_that_is_not_trained_is_posed_once_and_shows_the_same_frames():
    settings = RiggedTrainSettings(lr_offsets=0, lr_pose=0, lr_expression=0, lr_translation=0)
    assert RiggedTrainSettings().trains_body() and not settings.trains_body()
    trained, cached = toy.avatar(settings), toy.avatar(settings)
    cached.body.cache_posed()
    for frame in (2, 0, 1):
        expected, posed = trained.pose(frame).splats.means, cached.pose(frame)
        assert torch.equal(posed.splats.means, expected) and torch.equal(cached.pose(torch.tensor(frame)).splats.means, expected) and posed.rows == ()
    assert torch.equal(cached.pose(cached.body.pose_at(1)).splats.means, trained.pose(1).splats.means), "any other pose still is by value"


def test_a_body_as_tracked_has_no_penalty_and_a_bent_one_has():
    body = toy.body()
    _, rows = body.tracked_pose(0)
    assert body.laplacian_energy().item() == 0 and body.pose_prior(rows).item() == 0
    with torch.no_grad():
        body.offsets[5] += 0.001
        body.expression[0] += 0.1
    _, rows = body.tracked_pose(0)
    assert body.laplacian_energy().item() > 0 and body.pose_prior(rows).item() == pytest.approx(0.01, rel=1e-4)
    assert body.pose_prior(body.tracked_pose(1)[1]).item() == 0
    body.pose_prior(rows).backward()
    assert rows.gradients()["expression"].abs().sum() > 0 and not rows.gradients()["pose"].any()


def test_a_foreign_fit_is_refused(tmp_path):
    save_npz(tmp_path / "fit.npz", {"frames": np.array(["a"])})
    with pytest.raises(InputError, match="lacks the array 'model'"):
        PosedBody.from_fit(tmp_path / "fit.npz")


def test_a_fit_that_does_not_suit_its_model_or_the_sample_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.avatars.rigged.posed_body.load_model", lambda name: toy.model())
    save_npz(tmp_path / "fit.npz", toy.fit())
    assert PosedBody.from_fit(tmp_path / "fit.npz", toy.FRAMES).frames == toy.FRAMES
    with pytest.raises(InputError, match="lacks 1 of the sampled frames"):
        PosedBody.from_fit(tmp_path / "fit.npz", [*toy.FRAMES, "take_000009"])
    save_npz(tmp_path / "fit.npz", {**toy.fit(), "expression": np.zeros((3, 5), np.float32)})
    with pytest.raises(InputError, match="'expression' does not suit the model"):
        PosedBody.from_fit(tmp_path / "fit.npz")
