"""Makes docs/images/ from a finished capture: `python docs/stage_images.py results/demo` (with the checkout on PYTHONPATH)."""

import sys
from pathlib import Path

import cv2
import numpy as np

from pipeline.capture.processed import ImageSet, read_image_set
from pipeline.capture.sample import read_sample
from pipeline.contract.layout import Layout
from pipeline.io.files import write_bytes
from pipeline.io.packed import PackedImages
from pipeline.io.video import decode
from pipeline.report.images import over_board, with_points
from pipeline.report.untrained import render_untrained

IMAGES = Path(__file__).with_name("images")
HEIGHT = 300


def main(results: str) -> None:
    layout = Layout(Path(results), Path("work") / Path(results).name)
    sample = read_sample(layout.sample)
    frames, alpha = read_image_set(layout.frames_json, layout.frames), read_image_set(layout.alpha_json, layout.alpha)
    cameras, shown = list(sample.train_cameras)[1::2][:3], sample.frames[4]
    held_out = (sample.val_cameras or sample.train_cameras)[0]
    strips = {
        "frames": [frames.open(name).read(shown) for name in cameras],
        "matte": [over_board(alpha.open(name).read(shown)) for name in cameras],
        "keypoints": [_keypoints(layout, frames, name, shown) for name in cameras],
        "fit": [_overlay(layout, frames, name, shown) for name in cameras],
        "init": render_untrained(layout, [frames.by_name[name] for name in cameras], shown),
        "render": [_render(layout, held_out, frame) for frame in sample.train[4:20:6]],
        "synthesise": [frames.open(held_out).read(frame) for frame in sample.frames[4:60:20]],
    }
    for name, images in strips.items():
        _write(name, images)
    path = [strips[name][0] for name in ("frames", "matte", "keypoints", "fit", "init")]
    _write("path", [*path, _render(layout, held_out, shown), _over_white(alpha.open(held_out).read(shown))])


def _keypoints(layout: Layout, frames: ImageSet, camera: str, frame: str) -> np.ndarray:
    with np.load(layout.keypoints) as found:
        points = found["face"][list(found["frames"]).index(frame), list(found["cameras"]).index(camera), :, :2]
    return with_points(frames.open(camera).read(frame), points, (60, 200, 255), 1.2)


def _overlay(layout: Layout, frames: ImageSet, camera: str, frame: str) -> np.ndarray:
    number = [item.id for item in frames.frames].index(frame)
    return dict(decode(layout.overlay / f"{camera}.mp4", [number]))[number]


def _render(layout: Layout, camera: str, frame: str) -> np.ndarray:
    return PackedImages(layout.render / f"{camera}.zip").read(frame)[..., :3]


def _over_white(rgba: np.ndarray) -> np.ndarray:
    share = rgba[..., 3:] / 255.0
    return (rgba[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)


def _write(name: str, images: list[np.ndarray]) -> None:
    scaled = [cv2.resize(image, (round(image.shape[1] * HEIGHT / image.shape[0]), HEIGHT), interpolation=cv2.INTER_AREA) for image in images]
    _, data = cv2.imencode(".jpg", np.concatenate(scaled, 1)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    write_bytes(IMAGES / f"{name}.jpg", data.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
