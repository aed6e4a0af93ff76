"""Verbs that show a trained avatar: render, drive, view, benchmark."""

from __future__ import annotations

from typing import Annotated

import tyro

from pipeline.cli.options import DEFAULTS, Common, File, Folder, Member, Name, Number, option, run_options
from pipeline.cli.render_options import AS_IT_IS, FRONT, NOTHING, PLAIN, Driven, Filmed, Images, Looks, Written


def render(
    name: Name,
    cameras: Filmed = FRONT,
    frames: Annotated[str, option("A:B|FRAME,...")] = "all",
    subject: Member = "",
    snapshot: Number = None,
    look: Looks = PLAIN,
    files: Written = NOTHING,
    settings: Common = DEFAULTS,
) -> int:
    """Render an avatar at the tracked frames of its capture.

    It writes images, a video or both (docs/rendering.md).

    For example:
      ./c2a render anna --orbit --video anna.mp4
      ./c2a render anna --split val --beside-truth --video val.mp4
      ./c2a render anna --split test --out renders --truth images      then: ./c2a metrics renders images
      ./c2a render anna --camera cam04 --frames 0:50 --mesh 0.5 --size 550x802 --video mesh.mp4
      ./c2a render anna --cameras mycameras.json --out images --frames take_000012 --alpha --depth
      ./c2a render anna --trajectory path.json --show normals --background black --video path.mp4

    Args:
        name: Capture or group.
        frames: Positions A:B, without B, or frames by their ids (default: all of the split, or of the capture).
        subject: Of a group: which of its captures (default: the first).
        snapshot: The avatar after so many steps of its training, one of train.snapshots.
    """
    from pipeline.workflow.render_verb import render_avatar

    render_avatar(name, run_options(settings, names=(name,)), cameras, look, files, frames, subject, snapshot)
    return 0


def drive(
    name: Name,
    motion: Annotated[str, option("CAPTURE|FILE")] = "",
    cameras: Filmed = FRONT,
    out: Images = None,
    frames: Annotated[str, option("A:B")] = "all",
    subject: Member = "",
    driving: Driven = AS_IT_IS,
    look: Looks = PLAIN,
    settings: Common = DEFAULTS,
) -> int:
    """Drive an avatar by another capture or a motion file.

    The images of a capture that drives are shown on the left (docs/motion.md).

    For example:
      ./c2a drive anna --motion bob --out anna_as_bob.mp4
      ./c2a drive anna --motion take.csv --smooth 0.04 --guard --out anna.mp4
      ./c2a drive ben --motion walk.bvh --fps 30 --follow --out ben.mp4
      ./c2a drive ben --motion dance.pkl --orbit --frames 0:300 --out images

    Args:
        name: Capture or group.
        motion: Capture whose fit drives, or a motion file: BVH, AMASS, AIST++, FLAME, Live Link Face, ARKit, MediaPipe.
        out: Folder for <camera>/<number>.png; or an MP4 file, with several cameras one for each, FILE_<camera>.mp4.
        frames: Positions A:B, without B, in the motion (default: all).
        subject: Of a group: which of its captures (default: the first).
    """
    from pipeline.workflow.drive_verb import drive_avatar

    drive_avatar(name, motion, run_options(settings, names=(name,)), cameras, look, driving, out, frames, subject)
    return 0


def view(
    names: tyro.conf.Positional[Annotated[tuple[str, ...], option("[CAPTURE|FILE|MODEL ...]")]] = (),
    /,
    attach: Member = "",
    body: Annotated[str, option("NAME")] = "",
    host: Annotated[str, option("ADDRESS")] = "127.0.0.1",
    port: Annotated[int, option("N")] = 8080,
    device: Annotated[str, option("{auto,cpu,cuda}")] = "auto",
    longest_side: Annotated[int, option("PIXELS")] = 960,
    out: Folder = None,
    settings: Common = DEFAULTS,
) -> int:
    """Show avatars in the browser, or follow a training.

    Move the camera, the time, the face and the body; save images, videos and camera paths (docs/viewer.md).

    For example:
      ./c2a view anna                              then open the address that it prints
      ./c2a view anna bob                          two, beside one another
      ./c2a view my/avatar.npz                     a file
      ./c2a view model --body flame2023            a trained model of GaussianAvatars
      ./c2a view --attach anna                     follow the training that runs: its avatar, losses, pause
      ssh -L 8080:127.0.0.1:8080 HOST              a viewer of another machine, in the browser of this one

    Args:
        names: Captures or groups; avatar.npz files, or folders with one; model folders of GaussianAvatars.
        attach: Capture or group whose training to follow.
        body: Of a model folder: the FLAME that it was trained with (./c2a body list).
        host: Address to listen on: 127.0.0.1 = this machine alone; 0.0.0.0 = every network, without a password (default: 127.0.0.1).
        port: Port to listen on; 0 = any that is free (default: 8080).
        device: Where to draw (default: auto).
        longest_side: Longest side of an image when nothing moves (default: 960).
        out: Folder for what is saved in the browser (default: views/NAME).
    """
    from pipeline.workflow.view_verb import ViewWish, view_avatars

    view_avatars(ViewWish(names, attach, body, host, port, device, longest_side, out), run_options(settings, names=names))
    return 0


def benchmark(
    name: Name,
    subject: Member = "",
    snapshot: Number = None,
    images: Number = None,
    rounds: Annotated[int, option("N")] = 3,
    out: File = None,
    settings: Common = DEFAULTS,
) -> int:
    """Measure how many images per second an avatar gives.

    The rig is included. By GaussianAvatars' protocol: 550x802, 500 images, 3 rounds (docs/rendering.md).

    For example:
      ./c2a benchmark anna --out speed.json

    Args:
        name: Capture or group.
        subject: Of a group: which of its captures (default: the first).
        snapshot: The avatar after so many steps of its training, one of train.snapshots.
        images: Images of a round (default: 500, on a CPU 10).
        rounds: How often to measure; the median counts (default: 3).
        out: JSON file for the figures.
    """
    from pipeline.workflow.benchmark_verb import measure

    measure(name, run_options(settings, names=(name,)), subject, snapshot, images, rounds, out)
    return 0
