"""Videos: metadata and frames through PyAV, writing H.264."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.io.errors import InputError
from pipeline.io.files import atomic_path


@dataclass(frozen=True)
class VideoInfo:
    """What a video says and what decoding it to the end showed; `timestamps` in seconds, one per frame."""

    width: int
    height: int
    frames: int
    fps: float
    timestamps: tuple[float, ...]


def probe(path: str | Path) -> VideoInfo:
    """Decode a video to its end and report what is in it.

    Raises:
        InputError: the file is missing, is no video, breaks off, or announces more frames than it holds.
    """
    import av

    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            announced, fps = stream.frames, float(stream.average_rate or 0)
            stream.thread_type = "AUTO"
            times = [float(frame.time or 0) for frame in container.decode(stream)]
            width, height = stream.width, stream.height
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from None
    if not times or announced > len(times):
        raise InputError(
            "the video breaks off",
            file=path,
            found=f"{len(times)} frames decoded",
            expected=f"{announced or 'some'} frames",
            remedy="copy or download the file again",
        )
    return VideoInfo(width, height, len(times), fps, tuple(times))


def picture_size(path: str | Path) -> tuple[int, int]:
    """(width, height) from the header alone. Raises InputError where the file is missing or no video."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            return stream.width, stream.height
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from None


def decode(path: str | Path, indices: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (frame index, RGB uint8 [H, W, 3]) in order, all frames or only those in `indices`.

    Raises:
        InputError: the video cannot be read or ends before the last wanted frame.
    """
    import av

    wanted = None if indices is None else set(indices)
    remaining = None if wanted is None else len(wanted)
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if wanted is None or index in wanted:
                    yield index, frame.to_ndarray(format="rgb24")
                    if remaining is not None:
                        remaining -= 1
                if remaining == 0:
                    return
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from None
    if remaining:
        raise InputError(f"the video ends {remaining} wanted frames too early", file=path, remedy="copy or download the file again")


def write_video(path: str | Path, frames: Iterable[np.ndarray], fps: float, *, crf: int = 14) -> None:
    """Write RGB uint8 frames [H, W, 3] as H.264 (yuv420p; odd sizes lose their last row or column), atomically."""
    import av

    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = None
        for image in frames:
            image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
                # the same bytes whatever the number of cores, and in every run: x264's fast paths read memory that nobody wrote (seen: nine kinds of bytes in 60 runs)
                stream.options = {"crf": str(crf), "preset": "veryfast", "x264-params": "cpu-independent=1"}
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        if stream is None:
            raise ValueError(f"{path}: no frames to write")
        container.mux(stream.encode())


def _video_stream(container, path):  # noqa: ANN001, ANN202  (PyAV has no stable names for these types)
    if not container.streams.video:
        raise InputError("holds no video stream", file=path, expected="a video")
    return container.streams.video[0]


def _unreadable(path: str | Path, error: Exception) -> InputError:
    return InputError("cannot be decoded", file=path, found=error, expected="a video that ffmpeg reads to its end", remedy="copy or download the file again")
