"""Videos: `survey` decodes them to the end, preflight reads the header, `frames` single images."""

from __future__ import annotations

import functools
import random
import struct
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.hostile.case import Case, written

GIFT = b"a secret"


def read(folder: Path) -> None:
    from pipeline.capture.media import read_frames
    from pipeline.io import video

    path = next(folder.glob("x.*"))
    video.image_size(path)
    info = video.probe(path)
    for _, image in read_frames(path, range(info.frames)):
        assert image.shape == (info.height, info.width, 3)


@functools.cache
def made(container: str = "mp4", title: str = "", codec: str = "libx264", frames: int = 5, size: tuple[int, int] = (64, 48), audio: bool = False) -> bytes:
    import av

    with tempfile.TemporaryDirectory() as place:
        path = f"{place}/x.{container}"
        with av.open(path, "w", format={"mkv": "matroska", "ts": "mpegts"}.get(container, container)) as out:
            out.metadata["title"] = title
            if audio:
                stream = out.add_stream("aac" if container == "mp4" else "pcm_s16le", rate=8000)
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
                frame.rate = 8000
                out.mux(stream.encode(frame))
                out.mux(stream.encode())
            else:
                stream = out.add_stream(codec, rate=Fraction(24))
                stream.width, stream.height = size
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                out.start_encoding()
                for number in range(frames):
                    image = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)
                    out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                out.mux(stream.encode())
        return Path(path).read_bytes()


def case(what: str, data: Callable[[], bytes], expected: str = "refused", name: str = "x.mp4") -> Case:
    return Case("video", what, lambda folder: written(name, data())(folder), read, expected)


def latin1(container: str) -> Callable[[], bytes]:
    return lambda: made(container, "Caf" + "E" * 5).replace(b"CafEEEEE", b"Caf\xe9\xe9\xe9\xe9\xe9")


def script(text: str, name: str = "x.mp4") -> Callable[[Path], None]:
    """A file that names another one, which holds a video that must not be opened."""

    def make(folder: Path) -> None:
        (folder / "other.mp4").write_bytes(made())
        (folder / name).write_text(text.replace("HERE", str(folder)))

    return make


def patched(mark: bytes, offset: int, value: bytes) -> Callable[[], bytes]:
    """The mp4 with other bytes behind a box's name."""

    def change() -> bytes:
        data = made()
        where = data.index(mark) + len(mark) + offset
        return data[:where] + value + data[where + len(value) :]

    return change


def mutated(container: str, seed: int) -> Callable[[], bytes]:
    def change() -> bytes:
        random_, data = random.Random(seed), bytearray(made(container))
        for _ in range(random_.randint(1, 30)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        return bytes(data[: random_.randrange(len(data) // 2, len(data) + 1)])

    return change


def sizes(codec: str, first: tuple[int, int], second: tuple[int, int]) -> Callable[[], bytes]:
    """Two streams of images one after the other, as the same stream."""

    def join() -> bytes:
        import av
        from av.packet import Packet

        with tempfile.TemporaryDirectory() as place:
            parts = []
            for number, size in enumerate((first, second)):
                part = f"{place}/{number}.avi"
                Path(part).write_bytes(made("avi", codec=codec, size=size))
                with av.open(part) as container:
                    parts.append([bytes(packet) for packet in container.demux(video=0) if packet.size])
            with av.open(f"{place}/out.avi", "w") as out:
                stream = out.add_stream(codec, rate=Fraction(24))
                stream.width, stream.height = first
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                for number, data in enumerate(parts[0] + parts[1]):
                    packet = Packet(data)
                    packet.stream, packet.pts, packet.dts, packet.time_base, packet.is_keyframe = stream, number, number, Fraction(1, 24), True
                    out.mux(packet)
            return Path(f"{place}/out.avi").read_bytes()

    return join


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
SCRIPTS = {
    "playlist": HLS.format("HERE/other.mp4"),
    "playlist of a file address": HLS.format("file://HERE/other.mp4"),
    "playlist of the network": HLS.format("http://127.0.0.1:9/x.mp4"),
    "concat script": "ffconcat version 1.0\nfile HERE/other.mp4\n",
    "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "dash manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation id="1" mimeType="video/mp4"><BaseURL>HERE/other.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
    "image pattern": "x%03d.png",
    "protocol in the text": "concat:HERE/other.mp4|HERE/other.mp4",
}
CASES = [
    *(case(f"good {container}", functools.partial(made, container), "accepted", f"x.{container}") for container in ("mp4", "mov", "mkv", "avi")),
    *(case(f"a title in Latin-1, {container}", latin1(container), "accepted", f"x.{container}") for container in ("mp4", "mkv", "avi")),
    case("a title with an escape", lambda: made("mkv", "\x1b]0;x\x07"), "accepted", "x.mkv"),
    *(Case("video", f"{what} renamed", script(text), read) for what, text in SCRIPTS.items()),
    Case("video", "a name with protocol and bars", lambda folder: written("x.concat:a|b.mp4", made())(folder), read, "accepted"),
    Case("video", "a name with a percent sign", lambda folder: written("x.%03d.mp4", made())(folder), read, "accepted"),
    case("mpeg transport stream renamed", lambda: made("ts")),
    case("wav renamed", lambda: made("wav", audio=True)),
    case("audio alone", lambda: made("mp4", audio=True)),
    case("zero frames", lambda: made("mp4", frames=0)),
    case("truncated in the middle", lambda: made("avi", frames=20)[:9000], name="x.avi"),
    case("truncated mp4", lambda: made()[: len(made()) // 2]),
    case("header alone", lambda: made()[:40]),
    case("empty", bytes),
    case("zeros", lambda: bytes(100_000)),
    case("text", lambda: b"hello" * 999),
    case("gif renamed", lambda: b"GIF89a\xff\xff\xff\xff\xf0\0\0" + bytes(999)),
    case("png renamed", lambda: b"\x89PNG\r\n\x1a\n" + bytes(999)),
    case("size of 65535x65535", patched(b"avc1", 24, b"\xff\xff\xff\xff"), "either"),
    case("2^32-1 samples", patched(b"stsz", 8, b"\xff\xff\xff\xff")),
    case("2^32-1 samples of one size", patched(b"stsz", 4, b"\0\0\0\1\xff\xff\xff\xff")),
    case("2^32-1 chunks", patched(b"stco", 4, b"\xff\xff\xff\xff"), "either"),
    case("2^32-1 times", patched(b"stts", 4, b"\xff\xff\xff\xff"), "either"),
    case("time scale 0", patched(b"mdhd", 12, bytes(4)), "either"),
    case("unknown codec", lambda: made().replace(b"avc1", b"zzzz")),
    case("box of 2^64", lambda: made().replace(b"moov", b"moov")[:4] + made()[4:32] + struct.pack(">I4sQ", 1, b"free", 2**63 - 1) + made()[32:]),
    case("boxes in boxes", lambda: made()[:32] + b"".join(struct.pack(">I4s", 8 * n + 8, b"moov") for n in range(20_000, 0, -1))),
    case("size changes on the way", sizes("mjpeg", (64, 48), (96, 80)), name="x.avi"),
    case("size grows to 32 times on the way", sizes("mjpeg", (64, 48), (2048, 1536)), name="x.avi"),
    *(case(f"mp4 mutated {seed}", mutated("mp4", seed), "either") for seed in range(24)),
    *(case(f"mkv mutated {seed}", mutated("mkv", seed), "either", "x.mkv") for seed in range(12)),
    *(case(f"avi mutated {seed}", mutated("avi", seed), "either", "x.avi") for seed in range(12)),
    Case("video", "a folder without images", lambda folder: (folder / "x.mp4").mkdir(), read),
]
