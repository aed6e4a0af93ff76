"""Splats as the binary PLY file that 3D Gaussian Splatting viewers open."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from pipeline.io.errors import InputError
from pipeline.io.files import atomic_path
from pipeline.splat.harmonics import degree_of
from pipeline.splat.splats import Splats

REST = 45  # f_rest columns of SH degree 3: the loader of 3DGS refuses files with fewer
_VERTICES = re.compile("element vertex [0-9]{1,9}")


def write_ply(path: str | Path, splats: Splats, binding: torch.Tensor | np.ndarray | None = None) -> None:
    """Write unbatched splats with SH atomically; values as they are stored: log scales, opacity logits, quaternions wxyz. SH are padded to degree 3.

    Args:
        binding: [N] face id of each splat, an extra column `binding_0` that plain viewers skip (float: exact below 2^24).
    """
    columns = splat_columns(splats)
    if binding is not None:
        columns["binding_0"] = np.asarray(binding, np.float32)
    table = np.stack(list(columns.values()), axis=1).astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}", *(f"property float {name}" for name in columns), "end_header", ""]
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(table.tobytes())


def splat_columns(splats: Splats) -> dict[str, np.ndarray]:
    """The columns [N] of the standard file in order; f_rest holds all coefficients of red, then green, then blue, zeros above the splats' degree."""
    if splats.sh is None or splats.batched:
        raise ValueError("a PLY holds one set of splats with SH colours")
    means, quats, scales, opacities, sh = (x.detach().cpu().numpy() for x in (splats.means, splats.quats, splats.log_scales, splats.opacities, splats.sh))
    rest = np.zeros((len(sh), 3, REST // 3), np.float32)
    rest[:, :, : sh.shape[1] - 1] = sh[:, 1:].transpose(0, 2, 1)
    columns = {name: means[:, i] for i, name in enumerate("xyz")}
    columns |= {name: np.zeros(len(means), np.float32) for name in ("nx", "ny", "nz")}
    columns |= {f"f_dc_{i}": sh[:, 0, i] for i in range(3)}
    columns |= {f"f_rest_{i}": column for i, column in enumerate(rest.reshape(len(sh), REST).T)}
    columns["opacity"] = opacities
    columns |= {f"scale_{i}": scales[:, i] for i in range(3)}
    return columns | {f"rot_{i}": quats[:, i] for i in range(4)}


def read_ply(path: str | Path) -> tuple[Splats, np.ndarray | None]:
    """Splats and, where the file has one, the binding [N] int64. Raises InputError for anything but a complete binary splat PLY of floats."""
    path = Path(path)
    header, table = _read_table(path)
    columns = dict(zip(header, table.T))
    rest = [name for name in header if name.startswith("f_rest_")]
    needed = [*"xyz", *(f"f_dc_{i}" for i in range(3)), "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    missing = [name for name in needed if name not in columns]
    if missing or len(rest) not in (0, 9, 24, REST):
        raise InputError(
            "not a splat PLY",
            file=path,
            found=f"missing {missing}, {len(rest)} f_rest columns",
            expected=f"3DGS columns, f_rest 0, 9, 24 or {REST}",
            remedy="export the splats again",
        )

    def gather(*names: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([columns[name] for name in names], axis=1).astype(np.float32))

    dc = gather("f_dc_0", "f_dc_1", "f_dc_2")[:, None]
    higher = gather(*(f"f_rest_{i}" for i in range(len(rest)))).view(len(table), 3, len(rest) // 3).transpose(1, 2) if rest else dc[:, :0]
    sh = torch.cat([dc, higher], dim=1).contiguous()
    degree_of(sh.shape[1])
    splats = Splats(gather(*"xyz"), gather(*needed[-4:]), gather(*needed[-7:-4]), gather("opacity")[:, 0], sh)
    return splats, columns["binding_0"].astype(np.int64) if "binding_0" in columns else None


def _read_table(path: Path) -> tuple[list[str], np.ndarray]:
    """Column names and float32 table [N, columns] of a binary little-endian PLY with one vertex element."""
    if not path.is_file():
        raise InputError("no such file", file=path, expected="a splat PLY", remedy="export the splats, or correct the path")
    data = path.read_bytes()
    head, mark, body = data.partition(b"end_header\n")
    lines = head.decode("ascii", "replace").split("\n")
    elements = [line.split() for line in lines if line.startswith("element ")]
    properties = [line.split() for line in lines if line.startswith("property ")]
    plain = lines[0].strip() == "ply" and "format binary_little_endian 1.0" in lines and len(elements) == 1
    if not mark or not plain or not _VERTICES.fullmatch(" ".join(elements[0])) or any(p[1:-1] not in (["float"], ["float32"]) for p in properties):
        raise InputError(
            "not a splat PLY",
            file=path,
            found=lines[:3],
            expected="binary_little_endian, one vertex element of float properties",
            remedy="convert it to such a file",
        )
    count = int(elements[0][2])
    if len(body) != 4 * count * len(properties):
        raise InputError(
            "PLY is cut short or too long",
            file=path,
            found=f"{len(body)} bytes",
            expected=f"{4 * count * len(properties)} bytes for {count} splats",
            remedy="export the splats again",
        )
    return [p[-1] for p in properties], np.frombuffer(body, "<f4").reshape(count, len(properties))
