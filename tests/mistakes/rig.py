"""A capture without a mistake, copies of it to damage, and the edits that mistakes are made of."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.capture.calibration import read_calibration, write_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.nersemble import read_nersemble
from pipeline.io.packed import read_image
from pipeline.io.video import decode, write_video
from tests.workflow.support import Place

FPS = 24


class Rig:
    """A folder with videos/<camera>.mp4, background/<camera>.png and cameras.json, and the cells of its row in captures.tsv."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.cells = {"path": str(folder)}

    @property
    def videos(self) -> Path:
        return self.folder / "videos"

    @property
    def calibration(self) -> Path:
        return self.folder / "cameras.json"

    @property
    def cameras(self) -> list[Camera]:
        return list(read_calibration(self.calibration))

    @property
    def names(self) -> list[str]:
        return [camera.name for camera in self.cameras]

    def calibrate(self, change: Callable[[Camera], Camera], *names: str) -> None:
        """Change the cameras of these names; default: all."""
        write_calibration(self.calibration, [change(camera) if not names or camera.name in names else camera for camera in self.cameras])

    def rewrite(self, change: Callable[[dict], object]) -> None:
        """Change the record in cameras.json; what `change` returns, if anything, replaces it."""
        record = json.loads(self.calibration.read_text())
        self.calibration.write_text(json.dumps(change(record) or record))

    def video(self, name: str) -> Path:
        return self.videos / f"{name}.mp4"

    def plate(self, name: str) -> Path:
        return self.folder / "background" / f"{name}.png"

    def film(self, name: str, change: Callable[[list[np.ndarray]], list[np.ndarray]], fps: float = FPS) -> None:
        """Change the frames of one video. The file is a new one: the others' copies keep theirs."""
        frames = change([frame for _, frame in decode(self.video(name))])
        self.video(name).unlink()
        write_video(self.video(name), frames, fps)

    def turn_camera(self, name: str) -> None:
        """The images of a camera, and its plate, upside down."""
        self.film(name, lambda frames: [np.ascontiguousarray(frame[::-1, ::-1]) for frame in frames])
        _replace_image(self.plate(name), read_image(self.plate(name))[::-1, ::-1])

    def as_images(self, pattern: str, change: Callable[[str, np.ndarray], np.ndarray] = lambda _, image: image) -> None:
        """Folders of images in place of the videos. pattern: of their names, with {n}, which counts from 1. change: of (camera, RGB image)."""
        for name in self.names:
            (self.videos / name).mkdir()
            for n, frame in decode(self.video(name)):
                image = change(name, frame)
                order = [2, 1, 0, 3][: image.shape[2]]
                cv2.imwrite(str(self.videos / name / pattern.format(n=n + 1)), image[..., order])
            self.video(name).unlink()

    def subject(self, name: str, image: np.ndarray) -> np.ndarray:
        """[H, W] uint8: 255 where an image differs from the plate, holes closed."""
        differs = np.abs(image.astype(int) - read_image(self.plate(name))).max(-1) > 14
        return cv2.morphologyEx(differs.astype(np.uint8) * 255, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))


def make_good(folder: Path, frames: int = 14, cameras: int = 6) -> Rig:
    """Write the capture without a mistake, from a synthetic one: 160 x 234 pixels, one sequence."""
    place = Place(folder.parent)
    place.write_table("id kind path", "source synthetic source")
    settings = f"{{width: 160, height: 234, cameras: {cameras}, frames: {frames}, fps: {FPS}, sequences: [take]}}"
    done = place.run("source", "--until", "synthesise", "--set", f"synthesise={settings}")
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    source, rig = read_nersemble(folder.parent / "source" / "raw", "source"), Rig(folder)
    rig.videos.mkdir(parents=True), (folder / "background").mkdir()
    for name, path in source.footage["take"].items():
        shutil.copy(path, rig.video(name))
        cv2.imwrite(str(rig.plate(name)), read_image(source.plates[name])[..., ::-1])
    write_calibration(rig.calibration, source.cameras)
    return rig


def copy_rig(good: Rig, folder: Path) -> Rig:
    """A copy to damage; videos and plates are links to the same files."""
    shutil.copytree(good.folder, folder, copy_function=os.link)
    calibration = Rig(folder).calibration
    text = calibration.read_text()
    calibration.unlink()
    calibration.write_text(text)
    return Rig(folder)


def _replace_image(path: Path, image: np.ndarray) -> None:
    path.unlink()
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))


def blank_face(image: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """The image with the upper two thirds of the subject covered by one grey."""
    rows = np.flatnonzero((subject > 0).any(1))
    covered = subject > 0
    covered[rows[0] + 2 * len(rows) // 3 :] = False
    return np.where(cv2.dilate(covered.astype(np.uint8), np.ones((7, 7), np.uint8))[..., None] > 0, np.uint8(128), image)


def note_rotation(path: Path, quarter_turns: int) -> None:
    """The rotation to the right that a phone notes: a matrix in the header of the track of an mp4."""
    matrix = [(1, 0, 0, 0, 1, 0), (0, 1, 0, -1, 0, 0), (-1, 0, 0, 0, -1, 0), (0, -1, 0, 1, 0, 0)][quarter_turns]
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    data[start : start + 24] = struct.pack(">6i", *(value * 65536 for value in matrix))
    path.unlink()
    path.write_bytes(data)


def write_opencv(path: Path, cameras: list[Camera], parts: tuple[str, ...]) -> None:
    """OpenCV's yml of the cameras. parts: of K, dist, Rot, T."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for camera in cameras:
        values = {"K": camera.K, "dist": np.zeros((1, 5)), "Rot": camera.R, "T": camera.t.reshape(3, 1)}
        for part in parts:
            storage.write(f"{part}_{camera.name}", values[part])
    storage.release()


def write_toml(path: Path, cameras: list[Camera]) -> None:
    """Pose2Sim's Calib.toml of the cameras."""
    path.write_text(
        "\n".join(
            f"[{c.name}]\nname = '{c.name}'\nsize = [{c.width}, {c.height}]\nmatrix = {c.K.tolist()}\ndistortions = [0.0, 0.0, 0.0, 0.0]\n"
            f"rotation = {cv2.Rodrigues(c.R)[0].ravel().tolist()}\ntranslation = {c.t.tolist()}\nfisheye = false\n"
            for c in cameras
        )
    )


def rolled(camera: Camera) -> Camera:
    """The calibration of a camera mounted a quarter turn to the right, for images as it delivers them: turned to the left."""
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # x' = y, y' = -x
    K = np.array([[camera.K[1, 1], 0, camera.K[1, 2]], [0, camera.K[0, 0], camera.width - camera.K[0, 2]], [0, 0, 1]])
    return replace(camera, width=camera.height, height=camera.width, K=K, R=turn @ camera.R, t=turn @ camera.t)
