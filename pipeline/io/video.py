"""Videos through PyAV: metadata, decoded frames, H.264 output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.io.errors import InputError
from pipeline.io.files import atomic_path

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FORMATS = "mov,avi,matroska,webm"  # ffmpeg's names of the containers that are read
MOST_PIXELS = 1 << 26
MOST_FRAMES = 2_000_000


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a fully decoded video. fps: from the header. timestamps: [frames] seconds."""

    width: int
    height: int
    frames: int
    fps: float
    timestamps: tuple[float, ...]


def probe(path: str | Path) -> VideoInfo:
    """Decode a video to its end.

    Raises:
        InputError: the file is missing, not a video, truncated, or has fewer frames than its header states.
    """
    with _opened(path) as (container, stream):
        header_frames, fps = stream.frames, float(stream.average_rate or 0)
        times, turns = [], 0
        for frame in _frames(container, stream, path):
            times.append(float(frame.time or 0))
            turns = quarter_turns(frame)
        width, height = (stream.width, stream.height)[:: -1 if turns % 2 else 1]
    if not times or header_frames > len(times):
        raise InputError(
            "the video is truncated",
            file=path,
            found=f"{len(times)} frames decoded",
            expected=f"{header_frames or 'some'} frames, as its header states",
            remedy="copy or download the file again",
        )
    return VideoInfo(width, height, len(times), fps, tuple(times))


def image_size(path: str | Path) -> tuple[int, int]:
    """(width, height) of the first frame, upright; no other is decoded. Raises InputError if the file is missing or not a video."""
    with _opened(path) as (container, stream):
        turns = next((quarter_turns(frame) for frame in _frames(container, stream, path)), 0)
        return (stream.height, stream.width) if turns % 2 else (stream.width, stream.height)


def quarter_turns(frame: VideoFrame) -> int:
    """How often a frame is turned to the left by 90 degrees to stand upright, as a phone's file says; ffmpeg and OpenCV turn it, too."""
    return round(frame.rotation / 90) % 4


def decode(path: str | Path, indices: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (frame index, RGB uint8 [H, W, 3], upright) in ascending order: all frames, or only those in `indices`.

    Raises:
        InputError: the video cannot be read or ends before the last requested frame.
    """
    requested = None if indices is None else set(indices)
    remaining = None if requested is None else len(requested)
    with _opened(path) as (container, stream):
        for index, frame in enumerate(_frames(container, stream, path)):
            if requested is None or index in requested:
                yield index, np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns(frame)))
                if remaining is not None:
                    remaining -= 1
            if remaining == 0:
                return
    if remaining:
        raise InputError(
            f"the video ends {remaining} frames too early",
            file=path,
            expected=f"frames up to number {max(requested or ())}",
            remedy="copy or download the file again",
        )


def write_video(path: str | Path, frames: Iterable[np.ndarray], fps: float, *, crf: int = 14) -> None:
    """Write RGB uint8 frames [H, W, 3] as H.264 in mp4, atomically. yuv420p drops an odd last row or column."""
    import av

    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = None
        for image in frames:
            image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                # Deterministic bytes: one thread, and no CPU-specific code (x264's fast paths read uninitialised
                # memory: 60 runs gave nine different files).
                stream.options = {"crf": str(crf), "preset": "veryfast", "x264-params": "cpu-independent=1"}
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        if stream is None:
            raise ValueError(f"{path}: no frames to write")
        container.mux(stream.encode())


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video file and its first video stream. Raises InputError if it has none, or one that no decoder can read."""
    import av

    # neither playlists nor scripts, which name other files, nor addresses of a network; titles may be in any encoding
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
            stream = _video_stream(container, path)
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            stream.thread_type = "AUTO"
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            "cannot be decoded",
            file=path,
            found=error,
            expected=f"a video that ffmpeg decodes to its end ({FORMATS})",
            remedy="copy or download the file again",
        ) from None


def _video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    """The first video stream. Raises InputError if there is none, or one that no decoder can read."""
    if not container.streams.video:
        raise InputError("contains no video stream", file=path, expected="a video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise InputError("has a video stream that cannot be decoded", file=path, found="an unknown codec", expected="a codec of ffmpeg")
    if not 0 < stream.width * stream.height <= MOST_PIXELS:
        found, expected = f"{stream.width}x{stream.height}", f"at most {MOST_PIXELS} pixels"
        raise InputError("has images of an impossible size", file=path, found=found, expected=expected)
    return stream


def _frames(container: InputContainer, stream: VideoStream, path: str | Path) -> Iterator[VideoFrame]:
    """Every frame. Raises InputError where the size changes, or where there is no end."""
    size = None
    for index, frame in enumerate(container.decode(stream)):
        size = size or (frame.width, frame.height)
        if (frame.width, frame.height) != size or index >= MOST_FRAMES:
            found = f"frame {index} is {frame.width}x{frame.height}"
            expected = f"at most {MOST_FRAMES} frames of {size[0]}x{size[1]}"
            raise InputError("the size changes on the way, or it has no end", file=path, found=found, expected=expected, remedy="convert the video to one size")
        yield frame
