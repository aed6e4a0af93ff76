"""Videos through PyAV: metadata, decoded frames, H.264 output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.io.errors import InputError
from pipeline.io.files import atomic_path

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


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
    import av

    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            header_frames = stream.frames
            fps = float(stream.average_rate or 0)
            stream.thread_type = "AUTO"
            times, turns = [], 0
            for frame in container.decode(stream):
                times.append(float(frame.time or 0))
                turns = quarter_turns(frame)
            width, height = (stream.width, stream.height)[:: -1 if turns % 2 else 1]
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from None
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
    import av

    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            turns = next((quarter_turns(frame) for frame in container.decode(stream)), 0)
            return (stream.height, stream.width) if turns % 2 else (stream.width, stream.height)
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from None


def quarter_turns(frame: VideoFrame) -> int:
    """How often a frame is turned to the left by 90 degrees to stand upright, as a phone's file says; ffmpeg and OpenCV turn it, too."""
    return round(frame.rotation / 90) % 4


def decode(path: str | Path, indices: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (frame index, RGB uint8 [H, W, 3], upright) in ascending order: all frames, or only those in `indices`.

    Raises:
        InputError: the video cannot be read or ends before the last requested frame.
    """
    import av

    requested = None if indices is None else set(indices)
    remaining = None if requested is None else len(requested)
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if requested is None or index in requested:
                    yield index, np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns(frame)))
                    if remaining is not None:
                        remaining -= 1
                if remaining == 0:
                    return
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from None
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


def _video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    if not container.streams.video:
        raise InputError("contains no video stream", file=path, expected="a video")
    return container.streams.video[0]


def _unreadable(path: str | Path, error: Exception) -> InputError:
    return InputError(
        "cannot be decoded",
        file=path,
        found=error,
        expected="a video that ffmpeg decodes to its end",
        remedy="copy or download the file again",
    )
