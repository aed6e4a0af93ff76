import numpy as np
import pytest

from pipeline.capture.camera import Camera
from pipeline.io.color_map import error_map
from pipeline.report import plots
from pipeline.report.images import around, even_choice, over_board, with_points


def test_board_shows_through_what_is_transparent():
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[:, :8] = (10, 20, 30, 255)
    image = over_board(rgba)
    assert (image[:, :8] == (10, 20, 30)).all()
    assert set(np.unique(image[:, 8:])) == {205, 235}


def test_error_map_grows_with_the_difference():
    a, steps = np.zeros((1, 4, 3)), np.array([0, 0.05, 0.25, 0.9])
    brightness = error_map(a, a + steps[:, None]).astype(int).sum(-1)[0]
    assert brightness[0] < 20 and brightness[0] < brightness[1] < brightness[2] == brightness[3]


def test_points_are_drawn_where_pixel_centres_say():
    """The point (4.5, 2.5) is the centre of column 4, row 2; unknown points leave no trace."""
    image = with_points(np.zeros((9, 9, 3), np.uint8), np.array([[4.5, 2.5], [np.nan, 1.0]]), (255, 0, 0), 1.0)
    y, x = np.mgrid[:9, :9]
    weight = image[..., 0].astype(float)
    assert ((weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()) == pytest.approx((4, 2), abs=0.1)
    assert weight.sum() > 0 and image[..., 1:].sum() == 0


def test_window_around_alpha():
    alpha = np.zeros((100, 50))
    assert alpha[around(alpha)].shape == alpha.shape
    alpha[20:40, 0:10] = 1
    assert around(alpha) == (slice(14, 46), slice(0, 16))


def test_even_choice():
    assert even_choice(0, 3) == [] and even_choice(2, 5) == [0, 1] and even_choice(9, 3) == [0, 4, 8]


def ring(count, down=(0.0, 1.0, 0.0)):
    """Cameras on a circle of 2 m, looking inwards; `down` is the world's down axis."""
    down = np.array(down)
    side = np.array([1.0, 0, 0]) if abs(down[0]) < 0.5 else np.array([0, 0, 1.0])
    other = np.cross(down, side)
    cameras = []
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        forward = -(np.cos(angle) * side + np.sin(angle) * other)
        R = np.stack([np.cross(down, forward), down, forward])
        cameras.append(Camera(f"c{len(cameras)}", 64, 48, np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), R, R @ (2 * forward)))
    return cameras


@pytest.mark.parametrize("down", [(0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0)])
def test_plot_axes_stand_upright_for_any_world(down):
    turn = plots._upright(ring(6, down))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(turn @ -np.array(down), [0, 0, 1], atol=1e-9)


def test_pyramid_corners_project_to_the_pictures_corners():
    camera = ring(5)[2]
    corners = plots._pyramid(camera, 0.3)
    np.testing.assert_allclose(corners[0], camera.centre, atol=1e-9)
    np.testing.assert_allclose(camera.project(corners[1:]), [[0, 0], [64, 0], [64, 48], [0, 48]], atol=1e-6)


def test_plots_take_the_pages_colour():
    svg = plots.curves([("loss", np.arange(5), np.geomspace(1, 1e-3, 5))], "step")
    assert svg.startswith("<svg") and "currentColor" in svg and "#010203" not in svg
    assert svg == plots.curves([("loss", np.arange(5), np.geomspace(1, 1e-3, 5))], "step")
