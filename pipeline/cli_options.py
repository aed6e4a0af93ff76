"""The options of the command line, as types: one place for their names and choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pipeline.avatars.registry import METHODS

STAGES = tuple(dict.fromkeys(name for method in METHODS.values() for name in method.table))
PRESETS = ("auto", *dict.fromkeys(name for method in METHODS.values() for name in method.preset_names))
_CHOICES = "{" + ",".join(STAGES) + "}"


def _option(metavar: str, **others: Any) -> Any:
    """An option that may be left out; what that means is said in its description."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="", **others)


Names = tyro.conf.Positional[Annotated[tuple[str, ...], _option("[CAPTURE ...]")]]
Avatars = tyro.conf.Positional[Annotated[tuple[str, ...], _option("[CAPTURE|FILE ...]")]]
Name = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="CAPTURE")]]
BodyWords = tyro.conf.Positional[Annotated[tuple[str, ...], _option("import FORMAT FILE ... | list | show NAME")]]
Words = tyro.conf.Positional[Annotated[tuple[str, ...], _option("WORD")]]
Action = tyro.conf.Positional[Annotated[Literal["convert"], tyro.conf.arg(metavar="convert")]]
Source = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="IN")]]
Target = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="OUT")]]
StageName = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar=_CHOICES)]]
Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
DryRun = Annotated[bool, tyro.conf.arg(aliases=["-n"], help_behavior_hint="")]
From = Annotated[str | None, _option(_CHOICES, name="from")]
Until = Annotated[str | None, _option(_CHOICES)]
Text = Annotated[str, _option("TEXT")]
File = Annotated[Path | None, _option("FILE")]
Folder = Annotated[Path | None, _option("FOLDER")]
Place = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
Weights = Annotated[tuple[tuple[Path, Path], ...], _option("NETWORK LINEAR"), tyro.conf.UseAppendAction]
Number = Annotated[int | None, _option("N")]
Members = Annotated[tuple[str, ...], _option("CAPTURE ...")]
Sets = Annotated[tuple[str, ...], _option("KEY=VALUE", name="set"), tyro.conf.UseAppendAction]
Pairs = Annotated[tuple[str, ...], _option("NAME=PATH ...")]


@dataclass(frozen=True)
class Settings:
    """Options of every verb that takes a configuration.

    Attributes:
        method: Avatar method (default: that of config.yaml).
        variant: Name of a variant: results with other settings of the method, beside those without a name.
        preset: How long and how fine to train (default: that of config.yaml).
        captures: Table of captures (default: captures.tsv).
        results: Directory of results (default: results).
        work: Directory of intermediate files, kept on failure (default: work).
        config: YAML file that overrides config.yaml.
        sets: Override one setting, such as train.iterations=3000; repeatable.
    """

    method: Annotated[str | None, _option("{" + ",".join(METHODS) + "}")] = None
    variant: Annotated[str | None, _option("NAME", name="name")] = None
    preset: Annotated[str | None, _option("{" + ",".join(PRESETS) + "}")] = None
    captures: File = None
    results: Folder = None
    work: Folder = None
    config: File = None
    sets: Sets = ()


Common = Annotated[Settings, tyro.conf.arg(name="")]
DEFAULTS = Settings()


@dataclass(frozen=True)
class Cameras:
    """Which cameras film what; without any of split, camera, cameras, orbit and trajectory one in front of the subject.

    Attributes:
        split: Cameras and frames of a split: train, val (held-out cameras) or test (held-out frames).
        camera: Only these cameras, separated by commas: of the split, of the file of --cameras, else of the capture.
        cameras: Calibration file (docs/datasets.md); rendered without distortion.
        orbit: A camera that swings in front of the subject.
        trajectory: Camera path, one camera per image (docs/rendering.md).
        size: Size of the images; each has the whole view of its camera (default: the camera's).
    """

    split: Annotated[Literal["train", "val", "test"] | None, _option("{train,val,test}")] = None
    camera: Annotated[str, _option("NAME,...")] = ""
    cameras: File = None
    orbit: Flag = False
    trajectory: File = None
    size: Annotated[str, _option("WxH")] = ""


@dataclass(frozen=True)
class Look:
    """What the images show.

    Attributes:
        show: Of the splats color, depth or alpha; or the body's mesh: surface, normals, or counts of splats per triangle (default: color).
        mesh: Opacity of the body's mesh over the splats, 0 to 1.
        regions: Only the splats and triangles of these regions of the body, separated by commas.
        splat_scale: Factor on the sizes of the splats, 0.01 to 10 (default: 1).
        background: white, black, or R,G,B from 0 to 255 (default: white).
    """

    show: Annotated[Literal["color", "depth", "alpha", "surface", "normals", "counts"], _option("{color,depth,alpha,surface,normals,counts}")] = "color"
    mesh: Annotated[float | None, _option("OPACITY")] = None
    regions: Annotated[str, _option("NAME,...")] = ""
    splat_scale: Annotated[float, _option("FACTOR")] = 1.0
    background: Annotated[str, _option("COLOR")] = "white"


@dataclass(frozen=True)
class Files:
    """What is written.

    Attributes:
        out: Folder for <camera>/<frame>.png.
        video: MP4 file; with several cameras one file for each, FILE_<camera>.mp4.
        alpha: Also write mattes, <camera>/<frame>_alpha.png.
        depth: Also write depth, <camera>/<frame>_depth.png: 16 bits, millimetres, 0 = nothing.
        beside_truth: Show the capture's image on the left of each.
        truth: Folder for the capture's images over the same background, under the same names, for ./c2a metrics.
    """

    out: Folder = None
    video: File = None
    alpha: Flag = False
    depth: Flag = False
    beside_truth: Flag = False
    truth: Folder = None


@dataclass(frozen=True)
class Driving:
    """How a motion is brought to the avatar (docs/motion.md).

    Attributes:
        fps: Frames per second of the output (default: those of the motion).
        absolute: Take expressions, head and place as the motion has them, not relative to the driver's neutral.
        neutral: Frame of the motion in which the driver is neutral (default: the median of all).
        smooth: Smooth over so many seconds, such as 0.04 (default: not at all).
        guard: Keep poses and expressions near those that the avatar was trained with.
        free_feet: Leave feet as the joint rotations move them, even if they slide.
        no_expressions: Drive the joints alone.
        follow: Cameras move along with the body.
    """

    fps: Annotated[float | None, _option("RATE")] = None
    absolute: Flag = False
    neutral: Number = None
    smooth: Annotated[float, _option("SECONDS")] = 0.0
    guard: Flag = False
    free_feet: Flag = False
    no_expressions: Flag = False
    follow: Flag = False


Filmed = Annotated[Cameras, tyro.conf.arg(name="")]
Looks = Annotated[Look, tyro.conf.arg(name="")]
Driven = Annotated[Driving, tyro.conf.arg(name="")]
Written = Annotated[Files, tyro.conf.arg(name="")]
FRONT = Cameras()
PLAIN = Look()
NOTHING = Files()
AS_IT_IS = Driving()
