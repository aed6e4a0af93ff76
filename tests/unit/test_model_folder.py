"""Trained models of GaussianAvatars: read as avatars of ours, and written."""

import numpy as np
import pytest

from pipeline.avatars.render import render_views
from pipeline.avatars.rigged import model_folder, posed_body
from pipeline.avatars.rigged.entry import open_avatar
from pipeline.avatars.rigged.model_folder import read_model_folder
from pipeline.contract.bodies import VARIABLE, bodies_folder
from pipeline.io.arrays import load_npz, save_npz
from pipeline.io.errors import InputError
from pipeline.workflow.exchange_verbs import export_avatar, import_avatar
from pipeline.workflow.run_options import RunOptions
from tests.unit import rigged_toy
from tests.unit.tiny_flame import random_avatar, tiny_flame


@pytest.fixture(autouse=True)
def bodies(monkeypatch):
    models = {"tiny": tiny_flame(), "sphere": rigged_toy.model()}
    for module in (model_folder, posed_body):
        monkeypatch.setattr(module, "load_model", models.__getitem__)


def write_model_folder(arrays, folder, iteration=1):
    save_npz(folder / "source.npz", arrays)
    return model_folder.write_model_folder(folder / "source.npz", folder, iteration)


def images(folder, arrays):
    save_npz(folder / "avatar.npz", arrays)
    avatar = open_avatar(folder / "avatar.npz")
    return np.stack([render_views(avatar, frame, rigged_toy.cameras(2))[1] for frame in range(3)])


def test_an_avatar_survives_the_folder_and_draws_the_same_images(tmp_path):
    arrays = random_avatar()
    target = write_model_folder(arrays, tmp_path / "model", iteration=600000)
    assert target.parts[-2:] == ("point_cloud", "iteration_600000")
    again = read_model_folder(tmp_path / "model", "tiny")
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    assert np.array_equal(images(tmp_path / "a", arrays), images(tmp_path / "b", again))


def test_the_files_have_the_columns_and_shapes_that_its_viewer_reads(tmp_path):
    target = write_model_folder(random_avatar(), tmp_path)
    header = (target / "point_cloud.ply").read_bytes().split(b"end_header")[0].decode()
    assert header.count("property float") == 63 and header.rstrip().endswith("binding_0")
    shapes = {name: array.shape for name, array in load_npz(target / "flame_param.npz").items()}
    vertices = tiny_flame().vertex_count
    assert shapes == {
        "shape": (300,), "expr": (3, 100), "rotation": (3, 3), "neck_pose": (3, 3), "jaw_pose": (3, 3), "eyes_pose": (3, 6), "translation": (3, 3),
        "static_offset": (1, vertices, 3), "dynamic_offset": (3, vertices, 3),
    }  # fmt: skip


def test_the_last_iteration_is_taken_and_one_can_be_named(tmp_path):
    for iteration, seed in ((9, 0), (60000, 1), (3000, 2)):
        write_model_folder(random_avatar(seed), tmp_path, iteration)
    assert np.array_equal(read_model_folder(tmp_path, "tiny")["means"], random_avatar(1)["means"])
    assert np.array_equal(read_model_folder(tmp_path / "point_cloud" / "iteration_9", "tiny")["means"], random_avatar(0)["means"])


def test_a_body_that_does_not_suit_is_named(tmp_path):
    arrays = random_avatar()
    with pytest.raises(InputError, match="not a FLAME(?s:.*)300, 100 and 5(?s:.*)body import flame"):
        write_model_folder({**arrays, "model": np.array("sphere")}, tmp_path)
    with pytest.raises(InputError, match="1.5 world units per metre"):
        write_model_folder({**arrays, "scale": np.array(1.5)}, tmp_path)
    write_model_folder({**arrays, "offsets": np.zeros((7, 3), np.float32)}, tmp_path)
    with pytest.raises(InputError, match="7 vertices(?s:.*)import the model"):
        read_model_folder(tmp_path, "tiny")
    write_model_folder({**arrays, "binding": arrays["binding"] + 9999}, tmp_path, 2)
    with pytest.raises(InputError, match="binding_0"):
        read_model_folder(tmp_path, "tiny")


def test_what_is_not_finite_is_refused(tmp_path):
    target = write_model_folder(random_avatar(), tmp_path)
    parameters = load_npz(target / "flame_param.npz")
    parameters["expr"][1, 5] = np.nan
    save_npz(target / "flame_param.npz", parameters)
    with pytest.raises(InputError, match="'expr' is not finite"):
        read_model_folder(tmp_path, "tiny")


def test_the_verbs_write_a_folder_and_read_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")  # restored afterwards
    save_npz(tmp_path / "avatar.npz", random_avatar())
    export_avatar("avatar.npz", RunOptions(here=tmp_path), "gaussian_avatars", tmp_path / "model", 7)
    import_avatar(tmp_path / "model", "gaussian_avatars", "tiny", tmp_path / "again.npz", RunOptions(here=tmp_path, sets=(f"bodies={tmp_path / 'b'}",)))
    assert bodies_folder() == tmp_path / "b"
    assert "iteration_7" in capsys.readouterr().out
    assert np.array_equal(load_npz(tmp_path / "again.npz")["means"], random_avatar()["means"])
    with pytest.raises(InputError, match="no trained model of GaussianAvatars"):
        import_avatar(tmp_path / "elsewhere", "gaussian_avatars", "tiny", tmp_path / "no.npz", RunOptions(here=tmp_path))
    with pytest.raises(InputError, match="not a form of avatars of the method rigged"):
        export_avatar("avatar.npz", RunOptions(here=tmp_path), "obj", tmp_path / "model", 7)
    assert not (tmp_path / "no.npz").exists()
