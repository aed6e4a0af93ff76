"""MediaPipe's 33 body points on a mesh: face landmarks, tips, and rings of skin whose weighted mean is a joint."""

from __future__ import annotations

import numpy as np
import scipy.optimize

from pipeline.body.model import ParametricModel

RING = 40  # most vertices per point
FACE = {0: 1, 1: 362, 2: 473, 3: 263, 4: 133, 5: 468, 6: 33, 9: 291, 10: 61}
"""Body point: face landmark. Nose, left eye (inner, centre, outer), right eye, mouth corners."""
ROLES = {
    11: "upperarm",
    13: "lowerarm",
    15: "wrist",
    17: "finger5",
    19: "finger2",
    21: "finger1",
    23: "upperleg",
    25: "lowerleg",
    27: "foot",
}
"""Body point on the left (the next one is on the right): role of a joint (see `Traits`). Shoulders, elbows, wrists, knuckles
of little and index finger, thumbs, hips, knees, ankles (BlazePose: Bazarevsky et al. 2020, fig. 3)."""
COUNT = 33

Table = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pose_table(model: ParametricModel, face: Table) -> Table:
    """Pose table: vertices, weights [33, RING], valid, spread_mm [33] (nan); points that the mesh lacks are invalid.

    face: the face table of the model.
    """
    vertices = np.zeros((COUNT, RING), np.int64)
    weights = np.zeros((COUNT, RING))
    valid = np.zeros(COUNT, bool)
    weights[:, 0] = 1.0

    def put(point: int, ids: np.ndarray, values: np.ndarray) -> None:
        vertices[point] = 0
        weights[point] = 0.0
        valid[point] = True
        vertices[point, : len(ids)] = ids
        weights[point, : len(ids)] = values / values.sum()

    for point, landmark in FACE.items():
        if face[2][landmark]:
            put(point, face[0][landmark], face[1][landmark])
    template, traits = model.template.numpy(), model.traits
    left, up, front = traits.axes
    side = (template - template.mean(axis=0)) @ left
    for number, sign in enumerate((1, -1)):
        ear = np.flatnonzero(model.regions["ears"] & (side * sign > 0)) if "ears" in model.regions else np.zeros(0, int)
        if len(ear):
            put(7 + number, _nearest(template, ear, template[ear].mean(axis=0), 12), np.ones(12))
        for point, role in ROLES.items():
            joint = traits.roles.get(role + ("_left", "_right")[number])
            ring = _ring(model, model.joint_names.index(joint)) if joint in model.joint_names else None
            if ring is not None:
                put(point + number, *ring)
        foot = np.flatnonzero(model.regions["feet"] & (side * sign > 0)) if "feet" in model.regions else np.zeros(0, int)
        if len(foot):
            heel, toe = -front - 0.5 * up, front - 0.2 * sign * left
            for point, direction in ((29, heel), (31, toe)):
                put(point + number, _nearest(template, foot, _extreme(template[foot], direction), 8), np.ones(8))
    return vertices, weights, valid, np.full(COUNT, np.nan)


def _nearest(template: np.ndarray, ids: np.ndarray, point: np.ndarray, count: int) -> np.ndarray:
    return ids[np.argsort(np.linalg.norm(template[ids] - point, axis=1), kind="stable")[:count]]


def _extreme(points: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return points[np.argmax(points @ direction)]


def _ring(model: ParametricModel, joint: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Skin vertices around a joint and weights >= 0 whose mean is the joint of the mean shape; None where no vertex bends with it.

    Non-negative least squares with a weak prior for equal weights.
    """
    template = model.template.numpy().astype(np.float64)
    centre = model.rest_joints[joint].numpy().astype(np.float64)
    lbs = model.lbs_weights.numpy()
    hinge = (lbs[:, joint] > 0.05) & (lbs[:, model.parents[joint]] > 0.05) & model.regions.get("skin", np.bool_(True))
    if hinge.sum() < 4:
        return None
    ids = _nearest(template, np.flatnonzero(hinge), centre, 10 * RING)
    ids = ids[np.linspace(0, len(ids) - 1, min(RING, len(ids))).astype(int)]
    system = np.concatenate([(template[ids] - centre).T, np.full((1, len(ids)), 1.0), 1e-3 * np.eye(len(ids))])
    values = scipy.optimize.nnls(system, np.concatenate([np.zeros(3), [1.0], np.full(len(ids), 1e-3 / len(ids))]))[0]
    return ids, values
