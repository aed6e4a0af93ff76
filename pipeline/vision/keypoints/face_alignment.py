"""68 face points with the user's FAN network.

Bulat and Tzimiropoulos, How far are we from solving the 2D & 3D Face Alignment problem?, ICCV 2017. The TorchScript
files that the package face-alignment downloads hold architecture and weights; the package itself is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.capture.processed import ImageSet
from pipeline.io.progress import progress
from pipeline.vision.crops import Crop, box_crop
from pipeline.vision.torchscript import load_torchscript

PIXELS = 256  # the network's input; its heat maps have a quarter of that
GROW = 2.0  # side of the crop in units of the face's bounding box


def find_face68(images: ImageSet, names: Sequence[str], face: np.ndarray, weights: str) -> np.ndarray:
    """The 68 points of every face that MediaPipe detected.

    Args:
        names: [F] frame ids.
        face: [F, C, 478, 3] MediaPipe's points, nan without a face.
        weights: TorchScript file.

    Returns:
        [F, C, 68, 3] float32: x, y in pixels, the heat map's peak as score; nan without a face.
    """
    network = load_network(weights)
    points = np.full((*face.shape[:2], 68, 3), np.nan, np.float32)
    for c, camera in enumerate(progress(images.cameras, "cameras, 68 face points")):
        archive = images.open(camera.name)
        for f in np.flatnonzero(np.isfinite(face[:, c, 0, 0])).tolist():
            crop = box_crop(face[f, c, :, :2], GROW)
            points[f, c] = locate(network, archive.read(names[f]), crop)
    return points


def load_network(path: str) -> torch.nn.Module:
    """A FAN network from a TorchScript file. Raises InputError where it is missing or not TorchScript."""
    where = "face-alignment keeps it in ~/.cache/torch/hub/checkpoints"
    remedy = f"set keypoints.weights in config.yaml to such a file ({where}), or keypoints.backend: mediapipe"
    return load_torchscript(path, "keypoints.weights", remedy)


@torch.inference_mode()
def locate(network: torch.nn.Module, image: np.ndarray, crop: Crop) -> np.ndarray:
    """[68, 3] points in pixels of the image and scores.

    The points are the peaks of the heat maps, moved a quarter cell towards the higher neighbour.
    """
    view = torch.from_numpy(crop.cut(image, PIXELS).transpose(2, 0, 1)[None].astype(np.float32) / 255)
    maps = network(view)
    maps = (maps[-1] if isinstance(maps, (list, tuple)) else maps)[0].float().numpy()
    count, height, width = maps.shape
    rows, columns = np.unravel_index(maps.reshape(count, -1).argmax(1), (height, width))
    padded, index = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge"), np.arange(count)
    right = np.sign(padded[index, rows + 1, columns + 2] - padded[index, rows + 1, columns])
    down = np.sign(padded[index, rows + 2, columns + 1] - padded[index, rows, columns + 1])
    peaks = np.stack([columns + 0.5 + 0.25 * right, rows + 0.5 + 0.25 * down], axis=1) * (PIXELS / width)
    return np.column_stack([crop.to_image(peaks, PIXELS), maps[index, rows, columns]]).astype(np.float32)
