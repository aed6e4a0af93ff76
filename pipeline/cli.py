"""The command line: one verb per thing a user does."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import tyro

from pipeline.cli_options import (
    AS_IT_IS,
    DEFAULTS,
    FRONT,
    NOTHING,
    PLAIN,
    Action,
    Avatars,
    BodyWords,
    Common,
    Driven,
    DryRun,
    File,
    Filmed,
    Flag,
    Folder,
    From,
    Looks,
    Members,
    Name,
    Names,
    Number,
    Pairs,
    Place,
    Sets,
    Settings,
    Source,
    StageName,
    Target,
    Text,
    Until,
    Weights,
    Words,
    Written,
)
from pipeline.io.errors import InputError
from pipeline.io.files import ROOT

app = tyro.extras.SubcommandApp()
TO_SNAKEMAKE = ("run", "demo")  # verbs that hand it what comes after `--`
_snakemake: list[str] = []
_Function = TypeVar("_Function", bound=Callable[..., int])


def _verb(name: str) -> Callable[[_Function], _Function]:
    """A verb of the command line. The list of verbs shows the first paragraph of its docstring, its own --help also the examples."""

    def register(function: _Function) -> _Function:
        help = None if sys.argv[1:2] == [name] else (function.__doc__ or "").split("\n\n")[0]
        app.command(name=name, help=help)(function)
        return function

    return register


def _options(settings: Settings, **others: Any) -> Any:
    from pipeline.workflow.run_options import RunOptions

    return RunOptions(**vars(settings), **others)


@_verb("demo")
def demo(settings: Common = DEFAULTS, until: Until = None, cores: Number = None, dry_run: DryRun = False) -> int:
    """Generate a synthetic capture, run every stage on it, and name the report to open.

    Args:
        until: Last stage to run (default: report).
        cores: CPU cores to use (default: all).
        dry_run: Only show what would run, and why.
    """
    from pipeline.workflow.run import run

    return run(_options(settings, names=("demo",), until=until, cores=cores, dry_run=dry_run, snakemake=tuple(_snakemake)))


@_verb("run")
def run_captures(
    names: Names = (),
    /,
    all: Flag = False,
    failed: Flag = False,
    settings: Common = DEFAULTS,
    first: From = None,
    until: Until = None,
    fresh: Flag = False,
    strict: Flag = False,
    profile: Text = "default",
    cores: Number = None,
    dry_run: DryRun = False,
    reset_settings: Flag = False,
) -> int:
    """Run the pipeline. Finished stages are kept; interrupted stages resume.

    For example:
      ./c2a run anna                               from raw videos to report
      ./c2a run anna -n                            show what would run, and why
      ./c2a run anna --set train.iterations=3000   change a setting
      ./c2a run anna --name long --set train.iterations=9000   a variant, beside the first result
      ./c2a run anna bob --until matte             two captures, up to the mattes
      ./c2a run --all --profile slurm              every capture of the table, on a cluster
      ./c2a run anna -- --keep-incomplete          what follows -- goes to Snakemake

    Args:
        names: Captures of the table, or groups of its column `group`.
        all: Every capture of the table.
        failed: Captures whose last run failed or was interrupted.
        first: Rerun from this stage on; earlier stages must be complete.
        until: Last stage to run (default: report).
        fresh: Rerun all stages.
        strict: Do not start a group if one of its captures fails (default: go on without it).
        profile: Where stages run: default (this machine), slurm, or the path of a Snakemake profile.
        cores: CPU cores to use (default: all); ignored with a cluster profile.
        dry_run: Only show what would run, and why.
        reset_settings: Drop the settings that earlier runs of these captures were given.
    """
    from pipeline.workflow.run import run

    options = {
        "reset_settings": reset_settings,
        "first": first,
        "until": until,
        "fresh": fresh,
        "strict": strict,
        "profile": profile,
        "cores": cores,
        "dry_run": dry_run,
    }
    return run(_options(settings, names=names, all=all, failed=failed, snakemake=tuple(_snakemake), **options))


@_verb("status")
def status(names: Names = (), /, watch: Flag = False, settings: Common = DEFAULTS) -> int:
    """Show the state of every stage of every capture: done, stale, running (where), interrupted, failed (why) or missing.

    For example:
      ./c2a status                                 all captures
      ./c2a status anna --watch                    one, until it is done

    Args:
        names: Captures or groups (default: all).
        watch: Refresh until everything is done.
    """
    from pipeline.workflow.status import print_status

    return print_status(_options(settings, names=names, all=not names), watch)


@_verb("cohort")
def cohort(names: Names = (), /, out: Folder = None, settings: Common = DEFAULTS) -> int:
    """Write a table and a page over many captures or groups, with variants and failed ones: quality, warnings, time, memory, an image of each.

    Args:
        names: Captures or groups (default: all).
        out: Folder for cohort.tsv and cohort.html (default: the directory of results).
    """
    from pipeline.workflow.cohort_verb import write_cohort

    return write_cohort(_options(settings, names=names, all=not names), out and Path.cwd() / out)


@_verb("clean-work")
def clean_work(names: Names = (), /, dry_run: DryRun = False, settings: Common = DEFAULTS) -> int:
    """Remove the intermediate files of complete captures and groups; unfinished and running ones are kept.

    Args:
        names: Captures or groups (default: all that have intermediate files).
        dry_run: Only list what would be removed.
    """
    from pipeline.workflow.clean import clean

    return clean(_options(settings, names=names, dry_run=dry_run))


@_verb("render")
def render(
    name: Name,
    cameras: Filmed = FRONT,
    frames: Text = "all",
    subject: Text = "",
    snapshot: Number = None,
    look: Looks = PLAIN,
    files: Written = NOTHING,
    settings: Common = DEFAULTS,
) -> int:
    """Render a trained avatar at the tracked frames of its capture, as images, a video or both.

    For example:
      ./c2a render anna --orbit --video anna.mp4
      ./c2a render anna --split val --beside-truth --video val.mp4
      ./c2a render anna --split test --out renders --truth images      then: ./c2a metrics renders images
      ./c2a render anna --camera cam04 --frames 0:50 --mesh 0.5 --size 550x802 --video mesh.mp4
      ./c2a render anna --cameras mycameras.json --out images --frames take_000012 --alpha --depth
      ./c2a render anna --trajectory path.json --show normals --background black --video path.mp4

    Args:
        name: Capture or group.
        frames: all, positions A:B, or frame ids separated by commas (default: all of the split, or of the capture).
        subject: Of a group: which of its captures (default: the first).
        snapshot: The avatar after so many steps of its training, one of train.snapshots.
    """
    from pipeline.workflow.render_verb import render_avatar

    render_avatar(name, _options(settings, names=(name,)), cameras, look, files, frames, subject, snapshot)
    return 0


@_verb("drive")
def drive(
    name: Name,
    motion: Text = "",
    cameras: Filmed = FRONT,
    out: File = None,
    frames: Text = "all",
    subject: Text = "",
    driving: Driven = AS_IT_IS,
    look: Looks = PLAIN,
    settings: Common = DEFAULTS,
) -> int:
    """Drive a trained avatar with any motion: another capture, or a file (docs/motion.md); a driving capture is shown on the left.

    For example:
      ./c2a drive anna --motion bob --out anna_as_bob.mp4
      ./c2a drive anna --motion take.csv --smooth 0.04 --guard --out anna.mp4
      ./c2a drive ben --motion walk.bvh --fps 30 --follow --out ben.mp4
      ./c2a drive ben --motion dance.pkl --orbit --frames 0:300 --out images

    Args:
        name: Capture or group.
        motion: Capture whose fit drives, or a motion file: BVH, AMASS, AIST++, FLAME, Live Link Face, ARKit, MediaPipe.
        out: MP4 file, or a folder for <camera>/<number>.png.
        frames: all, or positions A:B in the motion (default: all).
        subject: Of a group: which of its captures (default: the first).
    """
    from pipeline.workflow.drive_verb import drive_avatar

    drive_avatar(name, motion, _options(settings, names=(name,)), cameras, look, driving, out, frames, subject)
    return 0


@_verb("metrics")
def metrics(first: Place, second: Place, common: Flag = False, lpips: Weights = (), out: File = None, cores: Number = None) -> int:
    """Compare two folders of images by their names: PSNR over all channels and per channel, SSIM, L1, and LPIPS with weights of your own.

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


@_verb("export")
def export(name: Name, out: Path, format: Text = "gaussian_avatars", iteration: int = 1, settings: Common = DEFAULTS) -> int:
    """Write a trained avatar in the files of another system: a model folder that GaussianAvatars' viewer opens. Its body must be a FLAME.

    For example:
      ./c2a export anna --out model

    Args:
        name: Capture, or an avatar.npz.
        out: Folder to write.
        format: gaussian_avatars.
        iteration: Number of the folder point_cloud/iteration_N.
    """
    from pipeline.workflow.exchange_verbs import export_avatar

    export_avatar(name, _options(settings, names=(name,)), format, out, iteration)
    return 0


@_verb("import")
def import_model(folder: tyro.conf.Positional[Path], body: Text, out: Path, format: Text = "gaussian_avatars") -> int:
    """Make an avatar.npz of a trained model of GaussianAvatars (point_cloud.ply with binding_0, flame_param.npz).

    For example:
      ./c2a import model --body flame2023 --out model/avatar.npz

    Args:
        folder: Of the model; its last iteration is taken.
        body: The FLAME that it was trained with (./c2a body import flame).
        out: The avatar.npz to write.
        format: gaussian_avatars.
    """
    from pipeline.workflow.exchange_verbs import import_avatar

    import_avatar(folder, format, body, out, Path.cwd())
    return 0


@_verb("benchmark")
def benchmark(
    name: Name, subject: Text = "", snapshot: Number = None, frames: Number = None, rounds: int = 3, out: File = None, settings: Common = DEFAULTS
) -> int:
    """Measure how many images per second an avatar is drawn at, its rig included, by GaussianAvatars' protocol: 550x802, 500 frames, 3 rounds.

    For example:
      ./c2a benchmark anna --out speed.json

    Args:
        name: Capture or group.
        subject: Of a group: which of its captures (default: the first).
        snapshot: The avatar after so many steps of its training, one of train.snapshots.
        frames: Frames of a round (default: 500, on a CPU 10).
        rounds: How often to measure; the median counts.
        out: JSON file for the figures.
    """
    from pipeline.workflow.benchmark_verb import measure

    measure(name, _options(settings, names=(name,)), subject, snapshot, frames, rounds, out)
    return 0


@_verb("view")
def view(
    names: Avatars = (),
    /,
    attach: Text = "",
    host: Text = "127.0.0.1",
    port: int = 8080,
    device: Text = "auto",
    size: int = 960,
    out: Folder = None,
    settings: Common = DEFAULTS,
) -> int:
    """Show avatars in the browser: move the camera, the time, the face and the body; save images, videos and camera paths (docs/viewer.md).

    For example:
      ./c2a view anna                              then open the address that it prints
      ./c2a view anna bob                          two, beside one another
      ./c2a view my/avatar.npz                       a file
      ./c2a view --attach anna                     follow the training that runs: its avatar, losses, pause
      ssh -L 8080:127.0.0.1:8080 HOST              a viewer of another machine, in the browser of this one

    Args:
        names: Captures, groups, avatar.npz files or folders that hold one.
        attach: Capture or group whose training to follow.
        host: Address to listen on: 127.0.0.1 = this machine alone; 0.0.0.0 = every network, without a password.
        port: Port to listen on; 0 = any that is free.
        device: auto, cpu or cuda.
        size: Longest side of an image in pixels when nothing moves.
        out: Folder for what is saved in the browser (default: views/NAME).
    """
    from pipeline.workflow.view_verb import ViewWish, view_avatars

    view_avatars(ViewWish(names, attach, host, port, device, size, out), _options(settings, names=names))
    return 0


@_verb("body")
def body(words: BodyWords = (), /, name: Text = "", masks: File = None, teeth: Flag = False, out: File = None, config: File = None, sets: Sets = ()) -> int:
    """Import a parametric model from its authors' files, list all models, or draw one: body import|list|show.

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
        sets: Override one setting, such as bodies=FOLDER, where imported models lie.
    """
    from pipeline.workflow.body_verb import body_verb
    from pipeline.workflow.run_options import RunOptions

    return body_verb(words, name, masks, teeth, out, RunOptions(config=config, sets=sets))


@_verb("unzip")
def unzip(folder: tyro.conf.Positional[Path], out: Folder = None, jobs: int = 8) -> int:
    """Extract a folder of dataset archives in parallel; complete ones are skipped.

    Args:
        folder: Where the .zip files lie.
        out: Where the contents go (default: beside the archives).
        jobs: Archives at once.
    """
    from pipeline.stages import unzip as stage

    stage.run(folder, out or folder, jobs)
    return 0


@_verb("calibration")
def calibration(
    action: Action,
    source: Source,
    target: Target,
    form: Text = "",
    convention: Text = "",
    units: Text = "",
) -> int:
    """Convert a calibration into another form.

    Examples:
        ./c2a calibration convert sparse/0 cameras.json
        ./c2a calibration convert cameras.json rig.calibration

    Args:
        action: convert
        source: A calibration in any form that docs/datasets.md describes.
        target: The file to write; for colmap and opencv a folder.
        form: cameras_json, colmap, colmap_binary, transforms, captury, animatable_gaussians, opencv, pose2sim or caliscope (default: by the name of the file).
        convention: What R and t of the source mean, as in captures.tsv.
        units: Of the source's translations, as in captures.tsv.
    """
    from pipeline.workflow.calibration_verb import run_calibration

    run_calibration(source, target, form, convention, units)
    return 0


@_verb("doctor")
def doctor() -> int:
    """Check the installation, and say how to get what is missing."""
    from pipeline.machine.doctor import print_doctor

    return print_doctor()


@_verb("test")
def test(arguments: Words = (), /) -> int:
    """Run the project's own tests (further words go to pytest; put -- before options)."""
    import pytest

    return int(pytest.main([f"--rootdir={ROOT}", *(arguments or [str(ROOT / "tests")])]))


@_verb("stage")
def stage(
    stage: StageName,
    name: Name,
    settings: Common = DEFAULTS,
    threads: int = 2,
    values: Text = "",
    key: Text = "",
    members: Members = (),
    inputs: Pairs = (),
    outputs: Pairs = (),
    part: Text = "",
) -> int:
    """Run one stage of one capture or group, without those before it (what `run` calls).

    Args:
        stage: The stage.
        name: A capture of the table, or a group.
        threads: CPU cores to use.
        values: The stage's settings as JSON (default: those of the configuration).
        key: What the results depend on, kept in the manifest (default: computed).
        members: Of a group: the captures to use (default: all).
        inputs: The artefacts that it reads (default: where they lie).
        outputs: The artefacts that it writes (default: where they lie).
        part: Process only shard 2/8 of the cameras; the stage itself then publishes them (stages that `scatter` splits).
    """
    from pipeline.workflow.stage_verb import StageCall, run_stage

    call = StageCall(stage, name, threads, values, key, members, inputs, outputs, part)
    run_stage(call, _options(settings, names=(name,)))
    return 0


def main() -> None:
    """Entry point of `python -m pipeline`; user errors end in a few lines and exit code 1, never in a traceback."""
    words = sys.argv[1:]
    if words[:1] in (["--version"], ["-V"]):
        print("c2a " + tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
        return
    if words[:1] and words[0] in TO_SNAKEMAKE and "--" in words:
        place = words.index("--")
        words, _snakemake[:] = words[:place], words[place + 1 :]
    try:
        about = "Multi-view captures of people in, animatable Gaussian-splat avatars out. First steps: ./c2a demo, then README.md."
        sys.exit(app.cli(prog="c2a", description=about, args=words, config=(tyro.conf.FlagCreatePairsOff,)))
    except (InputError, OSError) as error:
        from pipeline.stages.failure import explain

        explained = explain(error)
        if explained is error and not isinstance(error, InputError):
            raise
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
