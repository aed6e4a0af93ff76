"""Verbs on data of the user's: body, calibration, unzip, metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipeline.cli.options import File, Flag, Folder, InFolder, Number, Sets, choices, option
from pipeline.contract.captures_table import CONVENTIONS, UNITS


def body(
    words: tyro.conf.Positional[Annotated[tuple[str, ...], option("import FORMAT FILE ... | list | show NAME")]] = (),
    /,
    name: Annotated[str, option("NAME")] = "",
    masks: File = None,
    teeth: Flag = False,
    out: File = None,
    config: File = None,
    sets: Sets = (),
) -> int:
    """Import, list or draw parametric models: FLAME, SMPL, ...

    `import` reads the files that their authors distribute (docs/body.md).

    For example:
      ./c2a body import flame generic_model.pkl --name flame2023 --masks FLAME_masks.pkl --teeth
      ./c2a body import smplx SMPLX_NEUTRAL.npz --name smplx
      ./c2a body list
      ./c2a body show flame2023 --out flame2023.png

    Args:
        words: import FORMAT FILE ..., where the format is flame, smpl, smplx, bfm, ict or gnm; list; or show NAME.
        name: What the imported model is called in captures.tsv and in fit.model.
        masks: FLAME_masks.pkl, for FLAME's regions.
        teeth: Add the teeth of GaussianAvatars to FLAME.
        out: PNG file of show.
        config: YAML file that overrides config.yaml.
        sets: Override one setting, such as bodies=FOLDER, where imported models lie; repeatable.
    """
    from pipeline.workflow.body_verb import body_verb
    from pipeline.workflow.run_options import RunOptions

    return body_verb(words, name, masks, teeth, out, RunOptions(config=config, sets=sets))


def calibration(
    action: tyro.conf.Positional[Annotated[Literal["convert"], tyro.conf.arg(metavar="convert")]],
    source: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="IN")]],
    target: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="OUT")]],
    format: Annotated[str, option("FORM")] = "",
    convention: Annotated[str, option(choices(CONVENTIONS))] = "",
    units: Annotated[str, option(choices(UNITS))] = "",
) -> int:
    """Convert a calibration into another form.

    For example:
      ./c2a calibration convert sparse/0 cameras.json
      ./c2a calibration convert cameras.json rig.calibration

    Args:
        action: What to do.
        source: A calibration in any form that docs/datasets.md describes.
        target: The file to write; for colmap and opencv a folder.
        format: Form of OUT: cameras_json, colmap, colmap_binary, transforms, captury, animatable_gaussians, opencv, pose2sim or caliscope (default: by the name of OUT).
        convention: What R and t of IN mean, as in captures.tsv.
        units: Of the translations of IN, as in captures.tsv.
    """
    from pipeline.workflow.calibration_verb import run_calibration

    run_calibration(source, target, format, convention, units)
    return 0


def unzip(folder: InFolder, out: Folder = None, jobs: Annotated[int, option("N")] = 8) -> int:
    """Extract a folder of dataset archives in parallel.

    Archives that an earlier call extracted are skipped.

    For example:
      ./c2a unzip downloads --out raw

    Args:
        folder: Where the .zip files lie.
        out: Where the contents go (default: beside the archives).
        jobs: Archives at once (default: 8).
    """
    from pipeline.stages import unzip as stage

    stage.run(folder, out or folder, jobs)
    return 0


def metrics(
    first: InFolder,
    second: InFolder,
    common: Flag = False,
    lpips: Annotated[tuple[tuple[Path, Path], ...], option("NETWORK LINEAR"), tyro.conf.UseAppendAction] = (),
    out: File = None,
    cores: Number = None,
) -> int:
    """Compare two folders of images: PSNR, SSIM, L1, LPIPS.

    Images are compared with those of the same names; LPIPS needs weights of your own (docs/rendering.md).

    For example:
      ./c2a metrics renders truth --out figures.json
      ./c2a metrics renders truth --lpips alexnet.pth alex.pth --lpips vgg16.pth vgg.pth

    Args:
        first: Folder of images; folders in it are searched too.
        second: Folder with images of the same names, in folders of the same names.
        common: Leave out images that only one of them has (default: that is an error).
        lpips: State dict of torchvision's AlexNet or VGG16, and the linear layers of LPIPS v0.1 for it; repeatable.
        out: JSON file for the metrics of every image, their means and their definitions.
        cores: CPU cores to use (default: all).
    """
    from pipeline.workflow.metrics_verb import compare

    compare(first, second, common, lpips, out, cores)
    return 0
