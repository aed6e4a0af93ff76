"""Packed images: all frames of one camera as PNGs in one uncompressed zip."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.io.errors import InputError
from pipeline.io.files import atomic_path

MATTE = "matte/"  # before a frame's name: the alpha that the user gave for it
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed date: the bytes depend only on the images
MOST_IMAGE_BYTES = 1 << 30
_PNG, _JPEG = b"\x89PNG", b"\xff\xd8\xff"
_FORMATS = (_PNG, _JPEG, b"BM", b"II*\0", b"MM\0*")
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"


class PackedWriter:
    """Adds images to an open zip; created by `packed_writer`."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive

    def add(self, name: str, image: np.ndarray) -> None:
        """Add an image under `name` (without extension): uint8 [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA."""
        self._archive.writestr(zipfile.ZipInfo(f"{name}.png", _EPOCH), encode_png(image))


@contextlib.contextmanager
def packed_writer(path: str | Path) -> Iterator[PackedWriter]:
    """Open `path` for writing; the file appears only if the block ends without an error."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        yield PackedWriter(archive)


class PackedImages:
    """Reads a packed zip. Open one instance per process; instances are not thread-safe."""

    def __init__(self, path: str | Path, *, remedy: str = ""):
        self.path = Path(path)
        self.remedy = remedy
        try:
            self._archive = zipfile.ZipFile(self.path)
            entries = self._archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
                raise ValueError("a compressed or encrypted entry")
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise InputError("cannot be read as packed images", file=path, found=error, expected="a zip of PNGs", remedy=remedy) from None
        self._entries = {entry.filename[:-4]: entry for entry in entries if entry.filename.endswith(".png")}

    def names(self) -> list[str]:
        """All image names, in the order in which they were written."""
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> np.ndarray:
        """One image, uint8 [H, W], [H, W, 3] RGB or [H, W, 4] RGBA. Raises InputError if it is absent or damaged."""
        if name not in self._entries:
            raise InputError(
                f"contains no image '{name}'",
                file=self.path,
                found=f"{len(self._entries)} other images",
                expected=f"{name}.png",
                remedy=self.remedy,
            )
        try:
            return decode_png(self._archive.read(self._entries[name]))
        except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
            raise InputError(f"image '{name}' is damaged", file=self.path, found=error, expected="a PNG", remedy=self.remedy) from None


def over_background(rgba: np.ndarray, background: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """uint8 RGB [H, W, 3] of uint8 RGBA [H, W, 4], colour not premultiplied, over an RGB colour."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + np.array(background, np.uint16) * (255 - alpha) + 127) // 255).astype(np.uint8)


def encode_png(image: np.ndarray, level: int = 1) -> bytes:
    """PNG bytes of a uint8 grey, RGB or RGBA image, or of a uint16 grey one."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    success, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, level])
    if not success:
        raise ValueError(f"cannot encode an image of shape {image.shape} and type {image.dtype} as PNG")
    return data.tobytes()


def decode_png(data: bytes) -> np.ndarray:
    """Decode an image's bytes to uint8 [H, W], RGB or RGBA [H, W, 3 or 4]. Raises ValueError if they are no 8-bit image."""
    image = decode_unchanged(data)
    if image.dtype != np.uint8:
        raise ValueError(f"an image of type {image.dtype}")
    return image


def decode_unchanged(data: bytes) -> np.ndarray:
    """The same as `decode_png`, uint8 or uint16 as it is. Raises ValueError if they are no image of 8 or 16 bits."""
    image = _decode(data, cv2.IMREAD_UNCHANGED)
    if image.dtype not in (np.uint8, np.uint16) or image.shape[2:] not in ((), (3,), (4,)):
        raise ValueError(f"an image of shape {image.shape} and type {image.dtype}")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return image


def decode_rgb(data: bytes) -> np.ndarray:
    """Decode an image's bytes to uint8 RGB [H, W, 3]. Raises ValueError if they are no complete image of a known format."""
    return cv2.cvtColor(_decode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def decode_rgb_as_stored(data: bytes) -> np.ndarray:
    """The same, not turned as EXIF says; transparent pixels of RGBA images are put over black."""
    image = _decode(data, cv2.IMREAD_UNCHANGED)
    if image.ndim == 3 and image.shape[2] == 4 and image.dtype == np.uint8:
        alpha = image[..., 3:].astype(np.uint16)
        return cv2.cvtColor(((image[..., :3] * alpha + 127) // 255).astype(np.uint8), cv2.COLOR_BGR2RGB)
    return cv2.cvtColor(_decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), cv2.COLOR_BGR2RGB)


def read_image(path: str | Path, decode: Callable[[bytes], np.ndarray] = decode_rgb) -> np.ndarray:
    """Read an image file, as uint8 RGB [H, W, 3] unless `decode` says otherwise. Raises InputError if it cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise InputError("no such image", file=path, expected="a PNG or JPEG file")
    if (size := path.stat().st_size) > MOST_IMAGE_BYTES:
        raise InputError("is too large for an image", file=path, found=f"{size} bytes", expected=f"at most {MOST_IMAGE_BYTES} bytes")
    try:
        return decode(path.read_bytes())
    except ValueError as error:
        raise InputError("cannot be decoded as an image", file=path, found=error, expected="a PNG or JPEG file", remedy="copy the file again") from None


def _decode(data: bytes, flag: int) -> np.ndarray:
    """What OpenCV decodes, of the formats on a list; `pipeline/__init__.py` limits its pixels."""
    if not data.startswith(_FORMATS):
        raise ValueError("not a PNG, JPEG, BMP or TIFF image" if data else "an empty file")
    # OpenCV fills what is missing of a truncated image with grey
    if data.startswith(_JPEG) and data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN) or data.startswith(_PNG) and b"IEND" not in data[-1024:]:
        raise ValueError("the image ends too early")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise ValueError(f"too many pixels, or damaged ({error.err})") from None
    if image is None:
        raise ValueError("the image is damaged")
    return image
