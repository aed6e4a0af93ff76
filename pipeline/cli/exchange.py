"""Verbs between avatars and the files of other systems: motion, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipeline.cli.options import DEFAULTS, Common, File, InFile, Sets, option, run_options

Format = Annotated[str, option("{gaussian_avatars}")]


def motion(
    source: tyro.conf.Positional[Annotated[Literal["from-video"], tyro.conf.arg(metavar="from-video")]],
    file: InFile,
    out: File = None,
    focal: Annotated[float | None, option("PIXELS")] = None,
    frames: Annotated[str, option("A:B")] = "all",
) -> int:
    """Make a motion file for `drive` from a video of a face.

    The 52 expressions and the head's rotation, by the fit of a capture with one camera (docs/motion.md).

    For example:
      ./c2a motion from-video selfie.mp4           writes selfie.npz
      ./c2a drive anna --motion selfie.npz --out anna.mp4

    Args:
        source: What the motion is made from.
        file: Video of one face, upright.
        out: Motion file, .npz (default: the video's name, here).
        focal: Focal length of the camera (default: 1.1 times the longer side of the image).
        frames: Positions A:B, without B, in the video (default: all).
    """
    from pipeline.workflow.motion_verb import video_to_motion

    video_to_motion(file, out, focal, frames)
    return 0


def export(
    name: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="CAPTURE|FILE")]],
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")],
    format: Format = "gaussian_avatars",
    iteration: Annotated[int, option("N")] = 1,
    settings: Common = DEFAULTS,
) -> int:
    """Write an avatar as a model folder of GaussianAvatars.

    Its viewer opens that. The avatar's body must be a FLAME.

    For example:
      ./c2a export anna --out model

    Args:
        name: Capture or group, or an avatar.npz.
        out: Model folder to write.
        format: Form of the files (default: gaussian_avatars).
        iteration: Number of the folder point_cloud/iteration_N (default: 1).
    """
    from pipeline.workflow.exchange_verbs import export_avatar

    export_avatar(name, run_options(settings, names=(name,)), format, out, iteration)
    return 0


def import_model(
    folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="MODEL")]],
    body: Annotated[str, tyro.conf.arg(metavar="NAME")],
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")],
    format: Format = "gaussian_avatars",
    config: File = None,
    sets: Sets = (),
) -> int:
    """Make an avatar.npz from a model folder of GaussianAvatars.

    The folder holds point_cloud.ply with binding_0, and flame_param.npz. ./c2a view opens such a folder directly.

    For example:
      ./c2a import model --body flame2023 --out model/avatar.npz

    Args:
        folder: Model folder of GaussianAvatars; its last iteration is taken.
        body: The FLAME that it was trained with (./c2a body list).
        out: The avatar.npz to write.
        format: Form of the files (default: gaussian_avatars).
        config: YAML file that overrides config.yaml.
        sets: Override one setting, such as bodies=FOLDER, where imported models lie; repeatable.
    """
    from pipeline.workflow.exchange_verbs import import_avatar
    from pipeline.workflow.run_options import RunOptions

    import_avatar(folder, format, body, out, RunOptions(config=config, sets=sets))
    return 0
