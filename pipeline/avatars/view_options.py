"""What an image of an avatar shows, as values. Light to import: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.io.errors import InputError

SplatColors = Literal["color", "depth", "alpha", "none"]
MeshColors = Literal["surface", "normals", "counts"]
_RANGES = {"mesh_opacity": (0, 1), "mesh_samples": (1, 4), "background": (0, 255), "scale": (0.01, 10)}


@dataclass(frozen=True)
class ViewOptions:
    """What an image of an avatar shows. Raises InputError where a value is out of range.

    Attributes:
        splats: what is shown of the splats: their colours, depth as a colour map, alpha in grey over black, or nothing.
        mesh: what is shown of the body's mesh, see `mesh_layer`. mesh_opacity: of the mesh over the splats, 0..1; 0 = no mesh.
        mesh_samples: per pixel and axis; 2 = smooth rims, at four times the cost.
        background: RGB, 0..255. scale: factor on the sizes of the splats.
        regions: names of regions of the body model; only triangles whose three vertices are in one of them are shown, with their splats. Empty = all.
        depth_range: metres at the first and the last colour of the colour map; None = from the nearest to the farthest point of the image itself.
    """

    splats: SplatColors = "color"
    mesh: MeshColors = "surface"
    mesh_opacity: float = 0.0
    mesh_samples: int = 2
    background: tuple[int, int, int] = (255, 255, 255)
    scale: float = 1.0
    regions: tuple[str, ...] = ()
    depth_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            values = np.atleast_1d(getattr(self, name))
            if not ((low <= values) & (values <= high)).all():
                raise InputError(f"{name.replace('_', ' ')} out of range", found=getattr(self, name), expected=f"{low} to {high}")


PLAIN = ViewOptions()
