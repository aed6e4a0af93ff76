"""Motion files of every form, written from known values for tests."""

from __future__ import annotations

import json

import numpy as np
from scipy.spatial.transform import Rotation

TO_YUP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from x left, z up, facing -y to x left, y up, facing z


def write_bvh(path, names, parents, rest, local, root, fps, *, order="ZXY", unit=0.01, axes=TO_YUP):
    """A BVH of local rotations [T, J, 3, 3] and root positions [T, 3] in a motion's axes, which `axes` turns into the file's; `unit`: metres per unit."""
    offsets, R = rest @ axes.T / unit, axes @ local @ axes.T
    children = {number: [child for child, parent in enumerate(parents) if parent == number] for number in range(len(names))}
    visited = []

    def node(number, depth):
        visited.append(number)
        pad, parent = "\t" * depth, parents[number]
        offset = offsets[number] - (offsets[parent] if parent >= 0 else offsets[number])
        positions = "Xposition Yposition Zposition " if parent < 0 else ""
        text = f"{pad}{'ROOT' if parent < 0 else 'JOINT'} {names[number]}\n{pad}{{\n{pad}\tOFFSET {' '.join(f'{x:.6f}' for x in offset)}\n"
        text += f"{pad}\tCHANNELS {6 if positions else 3} {positions}{' '.join(f'{axis}rotation' for axis in order)}\n"
        text += "".join(node(child, depth + 1) for child in children[number])
        if not children[number]:
            text += f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET 0 1 0\n{pad}\t}}\n"
        return text + f"{pad}}}\n"

    head = "HIERARCHY\n" + node(0, 0)
    angles = np.stack([Rotation.from_matrix(R[:, number]).as_euler(order, degrees=True) for number in visited], axis=1)
    rows = np.concatenate([root @ axes.T / unit, angles.reshape(len(angles), -1)], axis=1)
    lines = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in rows)
    path.write_text(f"{head}MOTION\nFrames: {len(rows)}\nFrame Time: {1 / fps:.8f}\n{lines}\n")
    return path


def write_livelink(path, names, expression, angles, *, columns=61, first_frame=0, fps=60, skip=()):
    """A Live Link Face CSV: PascalCase names in any order, and angles [T, 9] yaw, pitch, roll of head, left and right eye; frames in `skip` are missing."""
    header = ["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in names)]
    if columns == 61:
        header += [f"{joint}{angle}" for joint in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")]
    lines = [",".join(header)]
    for number, row in enumerate(expression):
        if number in skip:
            continue
        seconds, frame = divmod(first_frame + number, fps)
        values = [*row, *(angles[number] if columns == 61 else [])]
        lines.append(",".join([f"11:20:{seconds:02d}:{frame:02d}.000", str(columns), *(f"{value:.8f}" for value in values)]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_mediapipe(path, names, expression, R, fps):
    """A recording of MediaPipe's face landmarker: categories with `_neutral` and without tongueOut, matrices [T, 3, 3] by columns, in y-up axes."""
    frames = []
    for number, row in enumerate(expression):
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = R[number], (1.0, 2.0, -40.0)
        categories = [{"categoryName": "_neutral", "score": 0.01}]
        categories += [{"categoryName": name, "score": float(value)} for name, value in zip(names, row) if name != "tongueOut"]
        data = {"rows": 4, "columns": 4, "data": matrix.T.ravel().tolist()}
        frames.append({"timestamp": 1000 * number / fps, "faceBlendshapes": [{"categories": categories}], "facialTransformationMatrixes": [data]})
    path.write_text(json.dumps({"frames": frames}))
    return path


def write_arkit(path, names, expression, R, fps):
    """A recording of ARKit: names and weights, 4x4 matrices in rows."""
    frames = []
    for number, row in enumerate(expression):
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = R[number], (0.1, 0.2, -0.4)
        frames.append({"time": number / fps, "blendShapes": dict(zip(names, map(float, row))), "transform": matrix.tolist()})
    path.write_text(json.dumps(frames))
    return path
