"""Point counts and indices of MediaPipe's face mesh and body pose; left and right are the subject's."""

from __future__ import annotations

FACE_POINTS, POSE_POINTS = 478, 33

# face mesh
FOREHEAD, CHIN = 10, 152
LEFT_OUTER_CORNER, RIGHT_OUTER_CORNER = 263, 33  # of the eyes
LEFT_EYE, RIGHT_EYE = [263, 362, 386, 374], [33, 133, 159, 145]  # corners and lids
LEFT_IRIS, RIGHT_IRIS = slice(473, 478), slice(468, 473)

# pose: 0 nose, 1-6 eyes, 7 8 ears, 9 10 mouth, 11 12 shoulders, 23 24 hips (left before right)
NOSE = 0
EARS, SHOULDERS, HIPS = slice(7, 9), slice(11, 13), slice(23, 25)
HEAD = slice(0, 11)
