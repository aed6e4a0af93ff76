import numpy as np
import pytest

from pipeline.evaluation.metrics import PSNR_LIMIT, alpha_box, compare, l1, psnr, ssim, ssim_map


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    a = random.random((24, 19, 3))
    return a, np.clip(a + random.normal(0, 0.1, a.shape), 0, 1)


def test_identical_pictures(pair):
    a, _ = pair
    assert psnr(a, a) == PSNR_LIMIT
    assert l1(a, a) == 0
    assert ssim(a, a) == pytest.approx(1, abs=1e-12)


def test_psnr_of_known_noise():
    a = np.full((200, 200, 3), 0.5)
    b = a + np.random.default_rng(1).normal(0, 0.05, a.shape)
    assert psnr(a, b) == pytest.approx(-20 * np.log10(0.05), abs=0.05)


def test_psnr_joins_the_channels_before_the_logarithm():
    a, b = np.zeros((12, 12, 3)), np.zeros((12, 12, 3))
    b[..., 0] = 0.3
    assert psnr(a, b) == pytest.approx(-10 * np.log10(0.09 / 3))


def test_ssim_against_the_formula_written_out(pair):
    """Windows cut out one by one, weighted means and covariances as in Wang et al. 2004."""
    a, b = pair
    x = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    w = np.outer(x, x) / np.outer(x, x).sum()
    expected = np.zeros((14, 9, 3))
    for i, j, c in np.ndindex(expected.shape):
        p, q = a[i : i + 11, j : j + 11, c], b[i : i + 11, j : j + 11, c]
        mp, mq = (w * p).sum(), (w * q).sum()
        vp, vq, cov = (w * (p - mp) ** 2).sum(), (w * (q - mq) ** 2).sum(), (w * (p - mp) * (q - mq)).sum()
        expected[i, j, c] = (2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4))
    np.testing.assert_allclose(ssim_map(a, b), expected, atol=1e-10)
    assert ssim(a, b) == pytest.approx(expected.mean())
    assert ssim(a, b) == pytest.approx(ssim(b, a))


def test_ssim_refuses_pictures_smaller_than_its_window():
    with pytest.raises(ValueError, match="window"):
        ssim(np.zeros((10, 30, 3)), np.zeros((10, 30, 3)))


def test_box_holds_alpha_and_the_window():
    alpha = np.zeros((40, 50))
    assert alpha_box(alpha) is None
    alpha[10:31, 5:25] = 1
    assert alpha_box(alpha) == (slice(10, 31), slice(5, 25))
    corner = np.zeros((40, 50))
    corner[39, 0] = 1
    assert alpha_box(corner) == (slice(29, 40), slice(0, 11))


def test_box_figures_are_those_of_the_pictures_cut_out(pair):
    a, b = pair
    alpha = np.zeros(a.shape[:2])
    alpha[3:20, 2:17] = 1
    figures = compare(a, b, alpha)
    assert figures["ssim_box"] == pytest.approx(ssim(a[3:20, 2:17], b[3:20, 2:17]), abs=1e-12)
    assert figures["psnr_box"] == psnr(a[3:20, 2:17], b[3:20, 2:17])


def test_box_figures_see_the_box_alone(pair):
    a, b = pair
    alpha = np.zeros(a.shape[:2])
    alpha[2:16, 3:17] = 1
    b[2:16, 3:17] = a[2:16, 3:17]
    figures = compare(b, a, alpha)
    assert figures["psnr_box"] == PSNR_LIMIT and figures["l1_box"] == 0 and figures["ssim_box"] == pytest.approx(1)
    assert figures["ssim"] == ssim(b, a)
    assert figures["psnr"] < 40 and figures["ssim"] < 1
    assert compare(b, a, np.zeros_like(alpha))["psnr_box"] is None
