"""Colour calibration against the formulas, term by term."""

import json

import numpy as np
import pytest

from pipeline.capture.color import TERMS, ColorCalibration, decode_srgb, encode_srgb, expand, read_color
from pipeline.io.errors import InputError


def image():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def test_affine_is_rgb_times_A_plus_offset_clipped():
    A = np.eye(4)
    A[:3, :3] += np.array([[0.1, 0.3, 0], [0, 0, 0.2], [0.4, 0, -0.3]])
    A[:3, 3] = [0.05, -0.1, 0.2]
    picture = image()
    wanted = np.zeros(picture.shape)
    for index in np.ndindex(picture.shape[:2]):
        rgb = picture[index] / 255
        for out in range(3):
            wanted[index][out] = min(max(sum(rgb[i] * A[i, out] for i in range(3)) + A[out, 3], 0), 1) * 255
    assert np.abs(ColorCalibration("affine", A).apply(picture) - wanted).max() <= 0.5001


def test_srgb_curve_inverts_and_has_its_published_values():
    values = np.linspace(0, 1, 1001)
    assert np.allclose(encode_srgb(decode_srgb(values)), values, atol=1e-6)
    assert decode_srgb(np.array(0.5)) == pytest.approx(0.21404114, abs=1e-7)


def test_every_term_set_has_as_many_terms_as_it_says_and_none_twice():
    assert all(len(terms) == count == len(set(terms)) and terms[:3] == ((1, 0, 0), (0, 1, 0), (0, 0, 1)) for count, terms in TERMS.items())


def test_expansion_has_the_published_order():
    R, G, B = 0.17224810, 0.09170660, 0.06416938
    rgb = np.array([R, G, B])
    assert np.allclose(expand(rgb, 5), [R, G, B, 0.0010136, 1], atol=1e-7)  # the example of colour-science's documentation
    assert np.allclose(expand(rgb, 11), [R, G, B, R * G, R * B, G * B, R * R, G * G, B * B, R * G * B, 1])
    assert np.allclose(expand(rgb, 20)[9:16], [R * G * B, R * R * G, G * G * B, B * B * R, R * R * B, G * G * R, B * B * G])


@pytest.mark.parametrize("terms", list(TERMS))
def test_polynomial_with_the_identity_changes_nothing(terms):
    picture = image()
    assert np.abs(ColorCalibration("polynomial", np.eye(3, terms)).apply(picture).astype(int) - picture).max() == 0


def test_polynomial_works_in_linear_light():
    M = np.zeros((3, 3))
    M[0, 1] = 0.5  # red out = half of the linear green
    green = np.zeros((1, 1, 3), np.uint8)
    green[..., 1] = 200
    wanted = encode_srgb(0.5 * decode_srgb(np.array(200 / 255))) * 255
    assert np.allclose(ColorCalibration("polynomial", M).apply(green)[0, 0], [round(float(wanted)), 0, 0])


def test_files_of_both_versions(tmp_path):
    for name in ("a", "b"):
        np.save(tmp_path / f"018_{name}.npy", np.eye(4) * (2 if name == "b" else 1))
    found = read_color(str(tmp_path / "{id}_{camera}.npy"), "018", ("a", "b"))
    assert found["b"].kind == "affine" and found["b"].matrix[0, 0] == 2
    (tmp_path / "c.json").write_text(json.dumps({"a": np.eye(3, 11).tolist()}))
    assert read_color(str(tmp_path / "c.json"), "018", ("a",))["a"].matrix.shape == (3, 11)
    with pytest.raises(InputError, match="no colour matrix for camera 'b'"):
        read_color(str(tmp_path / "c.json"), "018", ("a", "b"))
    (tmp_path / "c.json").write_text(json.dumps({"a": np.eye(3, 6).tolist()}))
    with pytest.raises(InputError, match=r"camera 'a'(?s:.*)\(3, 6\)"):
        read_color(str(tmp_path / "c.json"), "018", ("a",))
    np.save(tmp_path / "bad.npy", np.eye(3))
    with pytest.raises(InputError, match="affine"):
        read_color(str(tmp_path / "bad.npy"), "018", ("a",))
    assert read_color("none", "018", ("a",)) == {}
