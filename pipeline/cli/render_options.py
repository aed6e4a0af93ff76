"""Options of the verbs that draw an avatar: which cameras, what the images show, where they are written, how a motion drives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pipeline.cli.options import FLAT, File, Flag, Folder, Number, option

Images = Annotated[Path | None, option("FOLDER|FILE.mp4")]


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

    split: Annotated[Literal["train", "val", "test"] | None, option("{train,val,test}")] = None
    camera: Annotated[str, option("NAME,...")] = ""
    cameras: File = None
    orbit: Flag = False
    trajectory: File = None
    size: Annotated[str, option("WxH")] = ""


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

    show: Annotated[Literal["color", "depth", "alpha", "surface", "normals", "counts"], option("{color,depth,alpha,surface,normals,counts}")] = "color"
    mesh: Annotated[float | None, option("OPACITY")] = None
    regions: Annotated[str, option("NAME,...")] = ""
    splat_scale: Annotated[float, option("FACTOR")] = 1.0
    background: Annotated[str, option("COLOR")] = "white"


@dataclass(frozen=True)
class Files:
    """What is written.

    Attributes:
        out: Folder for <camera>/<frame>.png; or an MP4 file, as --video.
        video: MP4 file; with several cameras one file for each, FILE_<camera>.mp4.
        alpha: Also write mattes, <camera>/<frame>_alpha.png.
        depth: Also write depth, <camera>/<frame>_depth.png: 16 bits, millimetres, 0 = nothing.
        beside_truth: Show the capture's image on the left of each.
        truth: Folder for the capture's images over the same background, under the same names, for ./c2a metrics.
    """

    out: Images = None
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

    fps: Annotated[float | None, option("RATE")] = None
    absolute: Flag = False
    neutral: Number = None
    smooth: Annotated[float, option("SECONDS")] = 0.0
    guard: Flag = False
    free_feet: Flag = False
    no_expressions: Flag = False
    follow: Flag = False


Filmed = Annotated[Cameras, FLAT]
Looks = Annotated[Look, FLAT]
Driven = Annotated[Driving, FLAT]
Written = Annotated[Files, FLAT]
FRONT, PLAIN, AS_IT_IS, NOTHING = Cameras(), Look(), Driving(), Files()
