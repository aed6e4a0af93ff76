"""The joints of SMPL, SMPL-H and SMPL-X, as their authors name and order them."""

from __future__ import annotations

BODY = tuple(
    """pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot neck left_collar right_collar head
    left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist""".split()
)
BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
FACE = ("jaw", "left_eye", "right_eye")
FINGERS = tuple(f"{finger}{number}" for finger in ("index", "middle", "pinky", "ring", "thumb") for number in (1, 2, 3))
HANDS = tuple(f"{side}_{finger}" for side in ("left", "right") for finger in FINGERS)
SMPL_JOINTS = (*BODY, "left_hand", "right_hand")
SMPLH_JOINTS = (*BODY, *HANDS)
SMPLX_JOINTS = (*BODY, *FACE, *HANDS)
WITHOUT_HANDS = (*BODY, *FACE)  # SMPL-X
_ALL = {len(names): names for names in (BODY, SMPL_JOINTS, WITHOUT_HANDS, SMPLH_JOINTS, SMPLX_JOINTS)}


def joints_of(count: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and parents of SMPL (24 joints, or the 22 of the body), SMPL-H (52) and SMPL-X (55, or 25 without hands)."""
    names = _ALL[count]
    return names, (*BODY_PARENTS, *(_parent(names, joint) for joint in range(len(BODY), count)))


def _parent(names: tuple[str, ...], joint: int) -> int:
    """That of a joint of face or hands: the head, the wrist, or the joint before it on its finger."""
    if names[joint] in FACE:
        return names.index("head")
    side, _, part = names[joint].partition("_")
    return names.index(f"{side}_wrist") if part == "hand" or part.endswith("1") else joint - 1
