"""Spherical harmonics: orthonormal, in the order and signs of 3DGS files, and safe at the end of the colour range."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from pipeline.splat.harmonics import SH_C0, degree_of, sh_basis, view_sh


def sphere() -> tuple[torch.Tensor, torch.Tensor]:
    """Directions and weights of a quadrature that is exact for the products of two functions of degree 3."""
    z, wz = np.polynomial.legendre.leggauss(8)
    phi = (np.arange(16) + 0.5) * 2 * math.pi / 16
    z, phi = np.repeat(z, 16), np.tile(phi, 8)
    r = np.sqrt(1 - z**2)
    return torch.from_numpy(np.stack([r * np.cos(phi), r * np.sin(phi), z], 1)), torch.from_numpy(np.repeat(wz, 16) * 2 * math.pi / 16)


def test_orthonormal():
    directions, weights = sphere()
    basis = sh_basis(directions, 3)
    torch.testing.assert_close(basis.T @ (weights[:, None] * basis), torch.eye(16, dtype=torch.float64), atol=1e-7, rtol=0)


def test_order_and_signs():
    """Index l^2 + l + m is sqrt(2) Re Y_lm (m > 0), sqrt(2) Im Y_l|m| (m < 0), Y_l0, all with the Condon-Shortley phase."""
    directions, _ = sphere()
    x, y, z = directions.numpy().T
    basis = sh_basis(directions, 3).numpy()
    for l in range(4):
        for m in range(-l, l + 1):
            value = sph_harm_y(l, abs(m), np.arccos(z), np.arctan2(y, x))
            expected = value.real if m == 0 else math.sqrt(2) * (value.real if m > 0 else value.imag)
            np.testing.assert_allclose(basis[:, l * l + l + m], expected, atol=1e-7)


def test_view_sh():
    means, centre = torch.tensor([[0.0, 0, 2.0], [0, 0, 4.0]]), torch.tensor([0.0, 0, 3.0])
    sh = torch.zeros(2, 4, 3)
    sh[:, 0] = 0.2 / SH_C0
    sh[:, 2] = 2.0  # along z
    colours = view_sh(means, sh, centre)
    assert colours[0].max() == 0  # 0.7 - 0.98 is clamped
    torch.testing.assert_close(colours[1], torch.full((3,), 0.7 + 2 * 0.4886025))
    torch.testing.assert_close(view_sh(means, sh, centre, degree=0), torch.full((2, 3), 0.7))


def test_degree_of():
    assert [degree_of(k) for k in (1, 4, 9, 16)] == [0, 1, 2, 3]
    for wrong in (0, 2, 25):
        with pytest.raises(ValueError):
            degree_of(wrong)
