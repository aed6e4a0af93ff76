"""The mistakes: what each does to a copy of the capture, and how it must end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.geometry.camera_readings import as_stored
from pipeline.io.packed import read_image
from pipeline.io.video import decode
from tests.mistakes import rig as edits
from tests.mistakes.rig import Rig

PREFLIGHT, DONE = "preflight", "done"
LATE = 5  # frames


@dataclass(frozen=True)
class Variant:
    """A mistake and the end it must come to.

    Attributes:
        ends: DONE, PREFLIGHT (before any stage), or the stage that names it.
        says: text that the error (where it does not end in DONE), or a warning has; empty with DONE: no warning at all.
        until: last stage that is run. sets: further settings.
    """

    damage: Callable[[Rig], None]
    ends: str
    says: str = ""
    until: str = "fit"
    sets: tuple[str, ...] = ()


def _stored(convention: str) -> Callable[[Rig], None]:
    def damage(rig: Rig) -> None:
        def change(camera):
            R, t = as_stored(convention, camera.R, camera.t)
            return replace(camera, R=R, t=t)

        rig.calibrate(change)

    return damage


def _in_units(factor: float) -> Callable[[Rig], None]:
    return lambda rig: rig.calibrate(lambda camera: replace(camera, t=camera.t * factor))


def _scaled_K(factor: float, with_size: bool = False, focal_alone: bool = False) -> Callable[[Rig], None]:
    scale = np.array([[factor, 1, 1 if focal_alone else factor], [1, factor, 1 if focal_alone else factor], [1, 1, 1]])

    def damage(rig: Rig) -> None:
        sizes = (lambda c: {"width": int(factor * c.width), "height": int(factor * c.height)}) if with_size else (lambda c: {})
        rig.calibrate(lambda camera: replace(camera, K=camera.K * scale, **sizes(camera)))

    return damage


def _half_K_in_intri_yml(rig: Rig) -> None:
    _scaled_K(0.5)(rig)
    _opencv_files(rig)


def _swapped_sizes(rig: Rig) -> None:
    rig.calibrate(lambda camera: replace(camera, width=camera.height, height=camera.width))


def _landscape(rig: Rig) -> None:
    for name in rig.names[:2]:
        rig.film(name, lambda frames: [np.ascontiguousarray(np.rot90(frame)) for frame in frames])


def _phone(rig: Rig) -> None:
    """Files of landscape pixels that note their rotation; the calibration is of the upright images, which is right."""
    name = rig.names[1]
    rig.film(name, lambda frames: [np.ascontiguousarray(np.rot90(frame)) for frame in frames])
    edits.note_rotation(rig.video(name), quarter_turns=1)


def _upside_down(rig: Rig) -> None:
    name = rig.names[2]
    rig.turn_camera(name)
    rig.cells["val_cameras"] = name


def _upside_down_in_training(rig: Rig) -> None:
    rig.turn_camera(rig.names[2])
    rig.cells["val_cameras"] = rig.names[3]


def _swapped_names(rig: Rig) -> None:
    first, second = rig.names[0], rig.names[2]
    rename = {first: second, second: first}
    rig.calibrate(lambda camera: replace(camera, name=rename[camera.name]), first, second)
    rig.cells["val_cameras"] = rig.names[3]


def _late(index: int, held_out: int) -> Callable[[Rig], None]:
    def damage(rig: Rig) -> None:
        rig.film(rig.names[index], lambda frames: frames[LATE:])
        for name in rig.names:
            if name != rig.names[index]:
                rig.film(name, lambda frames: frames[: len(frames) - LATE])
        rig.cells["val_cameras"] = rig.names[held_out]

    return damage


def _other_rate(rig: Rig) -> None:
    rig.film(rig.names[1], lambda frames: frames, fps=12)


def _few_cameras(count: int) -> Callable[[Rig], None]:
    return lambda rig: rig.rewrite(lambda record: record["cameras"].__delitem__(slice(count, None)))


def _two_cameras(rig: Rig) -> None:
    rig.rewrite(lambda record: record["cameras"].__setitem__(slice(None), record["cameras"][1:3]))


def _no_person(rig: Rig) -> None:
    for name in rig.names:
        empty = read_image(rig.plate(name))
        rig.film(name, lambda frames, empty=empty: [empty] * len(frames))


def _covered_face(rig: Rig) -> None:
    for name in rig.names:
        rig.film(name, lambda frames, name=name: [edits.blank_face(frame, rig.subject(name, frame)) for frame in frames])


def _sideways(rig: Rig) -> None:
    for name in rig.names[:2]:
        rig.film(name, lambda frames: [np.ascontiguousarray(np.rot90(frame)) for frame in frames])
        plate = read_image(rig.plate(name))
        rig.plate(name).unlink()
        cv2.imwrite(str(rig.plate(name)), np.ascontiguousarray(np.rot90(plate)[..., ::-1]))
    rig.calibrate(edits.rolled, *rig.names[:2])


def _rgba(rig: Rig) -> None:
    rig.as_images("{n:04d}.png", lambda name, image: np.dstack([image, rig.subject(name, image)]))
    shutil.rmtree(rig.folder / "background")


def _masks(rig: Rig) -> None:
    for name in rig.names:
        (rig.folder / "masks" / name).mkdir(parents=True)
        for n, frame in decode(rig.video(name)):
            cv2.imwrite(str(rig.folder / "masks" / name / f"{n:04d}.png"), rig.subject(name, frame))


def _opencv_files(rig: Rig) -> None:
    cameras = rig.cameras
    edits.write_opencv(rig.folder / "intri.yml", cameras, ("K", "dist"))
    edits.write_opencv(rig.folder / "extri.yml", cameras, ("Rot", "T"))
    rig.calibration.unlink()


def _toml(rig: Rig) -> None:
    edits.write_toml(rig.folder / "Calib.toml", rig.cameras)
    rig.calibration.unlink()


def _flat_poses(rig: Rig) -> None:
    def change(record):
        for camera in record["cameras"]:
            camera["R"] = [[*row, value] for row, value in zip(camera["R"], camera["t"])]

    rig.rewrite(change)


def _eight_terms(rig: Rig) -> None:
    rig.rewrite(lambda record: record["cameras"][0].update(dist=[0.01] * 8))


def _comma(rig: Rig) -> None:
    rig.calibration.write_text(rig.calibration.read_text().rstrip().removesuffix("}") + ",}")


def _broken_video(rig: Rig) -> None:
    data = rig.video(rig.names[1]).read_bytes()
    rig.video(rig.names[1]).unlink()
    rig.video(rig.names[1]).write_bytes(data[: len(data) // 3])


def _small_plate(rig: Rig) -> None:
    plate = read_image(rig.plate(rig.names[1]))
    rig.plate(rig.names[1]).unlink()
    cv2.imwrite(str(rig.plate(rig.names[1])), plate[::2, ::2, ::-1])


def _variable_in_path(rig: Rig) -> None:
    os.environ["C2A_MISTAKES"] = str(rig.folder.parent)
    rig.cells["path"] = f"$C2A_MISTAKES/{rig.folder.name}"


def _cell(**cells: str) -> Callable[[Rig], None]:
    return lambda rig: rig.cells.update(cells)


def _nothing(rig: Rig) -> None:
    pass


VARIANTS = {
    "good": Variant(_nothing, DONE, until="report"),
    # what R and t mean
    "millimetres": Variant(_in_units(1000), DONE, "set the column 'units' of captures.tsv to mm"),
    "centimetres": Variant(_in_units(100), DONE, "set the column 'units' of captures.tsv to cm"),
    "R_transposed": Variant(_stored("opencv_transposed"), "keypoints", "'convention' of captures.tsv to opencv_transposed"),
    "camera_to_world": Variant(_stored("opencv_c2w"), "keypoints", "'convention' of captures.tsv to opencv_c2w"),
    "t_is_position": Variant(_stored("opencv_position"), "keypoints", "'convention' of captures.tsv to opencv_position"),
    "opengl": Variant(_stored("opengl"), "keypoints", "'convention' of captures.tsv to opengl"),
    "opengl_camera_to_world": Variant(_stored("opengl_c2w"), "keypoints", "'convention' of captures.tsv to opengl_c2w"),
    # K and sizes
    "half_K": Variant(_scaled_K(0.5), DONE, "K seems to belong to images of 0.50 times the size"),
    "half_K_intri_yml": Variant(_half_K_in_intri_yml, DONE, "K seems to belong to images of 0.50 times the size"),
    "focal_length_1.5": Variant(_scaled_K(1.5, focal_alone=True), DONE, "check the focal lengths"),
    "K_and_size_of_4x": Variant(_scaled_K(4, with_size=True), PREFLIGHT, "scale K by the ratio of the sizes"),
    "K_of_4x": Variant(_scaled_K(4), PREFLIGHT, "K belongs to an image of another size"),
    "width_height_swapped": Variant(_swapped_sizes, PREFLIGHT, "turned"),
    "landscape_pixels": Variant(_landscape, PREFLIGHT, "turned"),
    "phone_rotation": Variant(_phone, DONE, until="keypoints"),
    "mounted_sideways": Variant(_sideways, DONE, until="keypoints"),
    # cameras that contradict the others
    "upside_down_held_out": Variant(_upside_down, DONE, "camera", until="report"),
    "upside_down": Variant(_upside_down_in_training, DONE, "camera", until="keypoints"),
    "names_swapped": Variant(_swapped_names, DONE, "swapped", until="keypoints"),
    "five_frames_late": Variant(_late(1, held_out=3), DONE, "5 frames ahead", until="keypoints"),
    "held_out_five_frames_late": Variant(_late(2, held_out=2), DONE, "5 frames ahead", until="keypoints"),
    "shorter_video": Variant(lambda rig: rig.film(rig.names[1], lambda frames: frames[:-5]), "frames", "different numbers of frames"),
    "one_frame_shorter": Variant(lambda rig: rig.film(rig.names[1], lambda frames: frames[:-1]), DONE, "shortest", until="sample"),
    "other_rate": Variant(_other_rate, "ingest", "different frame rates"),
    "one_camera_calibrated": Variant(_few_cameras(1), PREFLIGHT, "two training cameras"),
    "two_cameras": Variant(_two_cameras, DONE, "val has no figure", until="report"),
    # what the images show
    "no_person": Variant(_no_person, "matte", "subject"),
    "covered_face": Variant(_covered_face, "keypoints", "no face"),
    "rgba_images": Variant(_rgba, DONE, until="matte"),
    "masks": Variant(_masks, DONE, until="matte"),
    "numbers_without_zeros": Variant(lambda rig: rig.as_images("IMG_{n}.jpg"), DONE, until="keypoints"),
    # forms of the calibration
    "intri_yml": Variant(_opencv_files, DONE, until="sample"),
    "Calib_toml": Variant(_toml, DONE, until="sample"),
    "no_convention": Variant(lambda rig: rig.rewrite(lambda r: r.pop("convention") and None), PREFLIGHT, "'convention'"),
    "convention_opengl": Variant(lambda rig: rig.rewrite(lambda r: r.update(convention="OpenGL")), PREFLIGHT, "opengl_c2w"),
    "list_of_cameras": Variant(lambda rig: rig.rewrite(lambda r: r["cameras"]), PREFLIGHT, "is not a cameras.json"),
    "R_and_t_in_one": Variant(_flat_poses, PREFLIGHT, "R has a wrong shape"),
    "eight_distortion_terms": Variant(_eight_terms, PREFLIGHT, "unsupported distortion model"),
    "comma_too_many": Variant(_comma, PREFLIGHT, "JSON"),
    "other_name": Variant(lambda rig: rig.rewrite(lambda r: r["cameras"][0].update(name="Left-1")), PREFLIGHT, "camera 'Left-1' has no footage"),
    # files
    "broken_video": Variant(_broken_video, PREFLIGHT, ".mp4"),
    "missing_video": Variant(lambda rig: rig.video(rig.names[1]).unlink(), PREFLIGHT, "has no footage"),
    "missing_plate": Variant(lambda rig: rig.plate(rig.names[1]).unlink(), PREFLIGHT, "plate"),
    "plate_of_other_size": Variant(_small_plate, PREFLIGHT, "has a different size than its video"),
    "wrong_path": Variant(_cell(path="nowhere"), PREFLIGHT, "no such folder"),
    "variable_in_the_path": Variant(_variable_in_path, DONE, until="sample"),
    # settings
    "cuda_without_a_gpu": Variant(_nothing, PREFLIGHT, "cuda", until="report", sets=("train.device=cuda",)),
    "few_splats": Variant(_nothing, DONE, "max_splats", until="train", sets=("train.max_splats=3000",)),
}
