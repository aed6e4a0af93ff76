"""Images of one camera: rasterisation, shading, composition, sensor."""

from __future__ import annotations

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.capture.color import encode_srgb
from pipeline.capture.mesh_view import view_mesh
from pipeline.synthetic.appearance import Appearance
from pipeline.synthetic.rendering.lighting import Light
from pipeline.synthetic.rendering.shade import Scene, shade


def scene_at(arrays: dict[str, np.ndarray], frame: int) -> Scene:
    """One frame of the arrays of `sequence.scene_arrays`."""
    left, right = arrays["eyes"].tolist()
    return Scene(arrays["faces"], arrays["part"], arrays["vertices"][frame], (tuple(left), tuple(right)))


def render_subject(
    scene: Scene,
    light: Light,
    appearance: Appearance,
    table: np.ndarray,
    camera: Camera,
    samples: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Render the subject without background.

    The linear light of a pixel's covered samples is averaged, then encoded. Images are composed of encoded colours, as
    mattes and splats assume.

    Args:
        table: noise lattice of the textures.
        samples: per pixel along each side.

    Returns:
        sRGB colour [H, W, 3] float32 in 0..1 (0 outside the subject) and alpha [H, W] float32, the covered fraction.
    """
    mesh = view_mesh(camera, scene.positions.astype(np.float64), scene.faces, samples)
    grain = 1000 * float(np.median(mesh.depth)) / (camera.K[0, 0] * samples)
    camera_centre = tuple(camera.centre.tolist())
    face_id, barycentric = mesh.buffers.face_id, mesh.buffers.barycentric
    colour, alpha = shade(face_id, barycentric, samples, scene, light, appearance, table, camera_centre, grain)
    return (encode_srgb(colour) * (alpha[..., None] > 0)).astype(np.float32), alpha


def compose(colour: np.ndarray, alpha: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """alpha * colour + (1 - alpha) * plate, all sRGB in 0..1."""
    return alpha[..., None] * colour + (1 - alpha[..., None]) * plate


def expose(image: np.ndarray, gain: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    """The sensor's output, uint8 [H, W, 3], for sRGB values in 0..1.

    Gain, noise that grows with the square root of the signal, 8 bits.
    """
    signal = image * np.float32(gain * 255)
    if noise > 0:
        sigma = np.float32(noise) * np.sqrt(0.4 + np.float32(0.014) * signal)
        signal = signal + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.clip(signal + 0.5, 0, 255).astype(np.uint8)
