"""How far a camera is ahead of the others in time, from the motion that they see."""

from __future__ import annotations

import numpy as np

from pipeline.geometry.triangulation import triangulate

MOST_STEPS = 10  # searched to both sides
LEAST_FRAMES = 4  # that must remain when tracks are shifted
CLEARER = 0.7  # at the best offset the distance is at most this share of what it is without one
LEAST_PX = 0.3  # and less by this at least
WORSE = 1.5  # times the usual distance: a camera with an offset is further from the others without a shift, and nearer with it


def time_offsets(points: np.ndarray, projections: np.ndarray, gate_px: float) -> np.ndarray:
    """Frames by which each camera is ahead of the others: its image of frame f shows what theirs show at f + offset.

    A camera's own tracks are compared with those that the other cameras give, shifted by whole frames. Each track's mean difference is taken away first: a wrong
    pose or focal length moves a track as a whole, an offset in time does not.

    Args:
        points: [C, F, N, 2] pixels at evenly spaced times; nan where a camera has none. projections: [C, 3, 4]. gate_px: see `triangulate`.

    Returns:
        [C] int; 0 where no shift is clearly better than none, or nothing can be said: fewer than three cameras, few frames, no points in common.
    """
    best, unshifted, shifted = np.zeros(len(points), int), np.full(len(points), np.nan), np.full(len(points), np.nan)
    for camera in range(len(points)) if len(points) > 2 else ():
        others = np.delete(np.arange(len(points)), camera)
        seen = np.isfinite(points[others]).all(-1)
        if (seen.sum(0) > 1).any():
            world, _ = triangulate(points[others], seen.astype(float), projections[others], gate_px)
            best[camera], unshifted[camera], shifted[camera] = _best_shift(points[camera], _project(world, projections[camera]))
    usual = np.nanmedian(unshifted) if np.isfinite(unshifted).any() else np.nan
    return np.where((shifted < WORSE * usual) & (WORSE * usual < unshifted), best, 0)


def _best_shift(own: np.ndarray, others: np.ndarray) -> tuple[int, float, float]:
    """Frames by which tracks [F, N, 2] are ahead of the others' where that is clear, else 0; their distance in pixels without a shift and with it."""
    count, now = len(own), _distance(own - others)
    found = {}
    for shift in range(-MOST_STEPS, MOST_STEPS + 1):
        here, there = slice(max(-shift, 0), count - max(shift, 0)), slice(max(shift, 0), count + min(shift, 0))
        if count - abs(shift) < LEAST_FRAMES:
            continue
        shifted, still = _distance(own[here] - others[there]), _distance(own[here] - others[here])
        if shifted < min(CLEARER * still, still - LEAST_PX):
            found[shift] = shifted / still, shifted
    best = min(found, key=found.__getitem__, default=0)
    if best == 0 or abs(best) == MOST_STEPS:  # at the end of the search the tracks only happen to come nearer
        return 0, now, now
    return best, now, found[best][1]


def _distance(apart: np.ndarray) -> float:
    """Median length in pixels of differences [F, N, 2] without each track's mean; nan of too few frames."""
    known = np.isfinite(apart).all(-1)
    tracks = known.sum(0) >= LEAST_FRAMES
    if not tracks.any():
        return float("nan")
    apart = np.where(known[..., None], apart, np.nan)[:, tracks]
    return float(np.nanmedian(np.linalg.norm(apart - np.nanmean(apart, axis=0), axis=-1)))


def _project(points: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Pixels [..., 2] of points [..., 3]; nan behind the camera."""
    image = points @ projection[:, :3].T + projection[:, 3]
    return image[..., :2] / np.where(image[..., 2:] > 0, image[..., 2:], np.nan)
