"""How large images are drawn: small while something moves, so that it stays fluid, and whole when all is still."""

from __future__ import annotations

SECONDS = 0.08  # that drawing an image may take while something moves
SMALLEST = 0.15  # part of the full side
STILL_SECONDS = 0.25  # without a change, then the whole image is drawn


class Quality:
    """Learns how long images take. size: longest side of a whole image, pixels."""

    def __init__(self, size: int):
        self.size, self._scale = size, 0.5

    def whole(self, canvas: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the whole image on a canvas of so many pixels."""
        return self._sides(canvas, 1.0)

    def moving(self, canvas: tuple[int, int]) -> tuple[int, int]:
        """Width and height of an image while something moves."""
        return self._sides(canvas, self._scale)

    def took(self, seconds: float) -> None:
        """An image of `moving` took so long."""
        # an image's time grows with its pixels, but for a constant part
        step = (SECONDS / max(seconds, 1e-4)) ** 0.5
        self._scale = min(1.0, max(SMALLEST, self._scale * min(1.25, max(0.6, step))))

    def _sides(self, canvas: tuple[int, int], scale: float) -> tuple[int, int]:
        longest = max(canvas)
        factor = scale * min(1.0, self.size / longest)
        width, height = (max(16, round(side * factor)) for side in canvas)
        return width, height
