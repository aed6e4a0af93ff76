"""One camera's pictures: geometry to samples, samples to light, light to what the sensor delivers."""

from __future__ import annotations

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.mesh.raster import zbuffer
from pipeline.synthetic.appearance import Look, to_srgb
from pipeline.synthetic.shade import Light, Scene, shade


def scene_at(arrays: dict[str, np.ndarray], frame: int) -> Scene:
    """One frame of what `subject.scenes` made."""
    left, right = arrays["eyes"].tolist()
    return Scene(arrays["faces"], arrays["part"], arrays["vertices"][frame], (tuple(left), tuple(right)))


def render_person(scene: Scene, light: Light, look: Look, table: np.ndarray, camera: Camera, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """sRGB colour of the person alone [H,W,3] float32 in 0..1 (0 where nobody is) and alpha [H,W] float32, the covered share of each pixel.

    The colour of a pixel is the mean of the linear light of its covered samples, then encoded; pictures are composed of encoded colours, which is
    what mattes and splats assume, too.
    """
    seen = camera.to_camera(scene.positions.astype(np.float64))
    pixels = (seen[:, :2] / seen[:, 2:]) @ camera.K[:2, :2].T + camera.K[:2, 2]
    buffers = zbuffer(pixels * samples, seen[:, 2], scene.faces, camera.width * samples, camera.height * samples)
    grain = 1000 * float(np.median(seen[:, 2])) / (camera.K[0, 0] * samples)
    colour, alpha = shade(buffers.face_id, buffers.barycentric, samples, scene, light, look, table, tuple(camera.centre.tolist()), grain)
    return (to_srgb(colour) * (alpha[..., None] > 0)).astype(np.float32), alpha


def compose(colour: np.ndarray, alpha: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """alpha * colour + (1 - alpha) * plate, all sRGB in 0..1."""
    return alpha[..., None] * colour + (1 - alpha[..., None]) * plate


def expose(image: np.ndarray, gain: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    """What the sensor delivers of sRGB values in 0..1: gain, noise that grows with the square root of the signal, 8 bits. uint8 [H,W,3]."""
    signal = image * np.float32(gain * 255)
    if noise > 0:
        spread = np.float32(noise) * np.sqrt(0.4 + np.float32(0.014) * signal)
        signal = signal + spread * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.clip(signal + 0.5, 0, 255).astype(np.uint8)
