"""`./c2a export` and `./c2a import`: avatars in the files of other systems."""

from __future__ import annotations

from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.workflow.kept_settings import config_of
from pipeline.workflow.render_verb import trained
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.targets import layout_of

FORMATS = ("gaussian_avatars",)


def export_avatar(name: str, options: RunOptions, format: str, out: Path, iteration: int) -> None:
    """Write a trained avatar, of a capture or an avatar.npz, in another system's form, and name the folder. Raises InputError where that form cannot hold it."""
    if format not in FORMATS:
        raise InputError(f"--format {format}: no such format", expected="one of " + ", ".join(FORMATS), remedy="correct --format")
    path = options.here / name if name.endswith(".npz") else trained(name, layout_of(name, config_of(name, options)), options).avatar
    check_writable(options.here / out, "--out")
    from pipeline.avatars.rigged.entry import read_avatar
    from pipeline.avatars.rigged.model_folder import write_model_folder

    print(f"wrote {write_model_folder(read_avatar(path), options.here / out, iteration)}")


def import_avatar(folder: Path, body: str, out: Path, here: Path) -> None:
    """Write the avatar.npz of a trained model of another system. Raises InputError where the folder is not one, or the body is another."""
    if out.suffix != ".npz":
        raise InputError("an avatar is an npz file", found=str(out), expected="--out FILE.npz", remedy="correct --out")
    from pipeline.avatars.rigged.model_folder import is_model_folder, read_model_folder
    from pipeline.io.arrays import save_npz

    if not is_model_folder(here / folder):
        expected = "a folder with point_cloud/iteration_N/point_cloud.ply, or point_cloud.ply and flame_param.npz themselves"
        raise InputError("is no trained model of GaussianAvatars", file=here / folder, expected=expected, remedy="correct the folder")
    check_writable((here / out).parent, "--out")
    arrays = read_model_folder(here / folder, body)
    save_npz(here / out, arrays, compress=False)
    print(f"wrote {here / out}: {len(arrays['binding']):,} splats, {len(arrays['frames'])} frames")
