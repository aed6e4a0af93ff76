"""Model files of unknown origin: pickles, npz with pickled members, MATLAB files. Nothing in them may be executed."""

from __future__ import annotations

import io
import pickle
import zlib
from pathlib import Path

import numpy as np

from tests.hostile.arrays import described, header, npy, npz
from tests.hostile.case import Case, Payload, written

GOOD = {"v": np.arange(12.0).reshape(3, 4), "names": ["a", "b"], "one": np.float64(2)}


def read_named(name: str):  # noqa: ANN201
    def read(folder: Path) -> None:
        from pipeline.io.model_files import read_model_file

        read_model_file(folder / name, "a model")

    return read


def pickled(what: str, data: bytes, expected: str = "refused", words: str = "") -> Case:
    return Case("pickle", what, written("x.pkl", data), read_named("x.pkl"), expected, words)  # type: ignore[arg-type]


def archived(what: str, data: bytes, expected: str = "refused", words: str = "") -> Case:
    return Case("model npz", what, written("x.npz", data), read_named("x.npz"), expected, words)  # type: ignore[arg-type]


def matlab(what: str, data: bytes, expected: str = "refused", words: str = "") -> Case:
    return Case("mat", what, written("x.mat", data), read_named("x.mat"), expected, words)  # type: ignore[arg-type]


def mat(compress: bool = False) -> bytes:
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, {"shapeMU": np.arange(12.0), "s": {"a": 1}}, do_compression=compress)
    return file.getvalue()


def mat_bomb() -> bytes:
    """A compressed element of more than 1 GiB of zeros."""
    packer = zlib.compressobj(1)
    start, block = packer.flush(zlib.Z_FULL_FLUSH), packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = start + block * 1100 + packer.flush()
    return mat()[:128] + (15).to_bytes(4, "little") + len(body).to_bytes(4, "little") + body


def damaged(data: bytes, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for place in rng.integers(len(data), size=1 + seed % 5):
        changed[place] = rng.integers(256)
    return bytes(changed)


def array(state: bytes) -> bytes:
    """A dictionary of one array whose state is given as opcodes."""
    return b"}Vv\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR" + state + b"bs."


DOUBLE = b"cnumpy\ndtype\n(Vf8\nI0\nI1\ntR"
CALL = b"cos\nsystem\n(Vtouch EXECUTED\ntR."
OPCODES = {
    "a call": CALL,
    "a call of eval": b"c__builtin__\neval\n(Vopen('EXECUTED', 'w')\ntR.",
    "a call by STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0etouch EXECUTED\x85R.",
    "an instance": b"(Vtouch EXECUTED\nios\nsystem\n.",
    "an object": b"(cos\nsystem\nVtouch EXECUTED\no.",
    "numpy.load": b"}Vv\ncnumpy\nload\n(Vx.npy\ntRs.",
    "numpy's testing": b"}Vv\ncnumpy.testing._private.utils\nrunstring\n(Vopen('EXECUTED','w')\n}tRs.",
    "an attribute of a name that is known": b"}Vv\n\x8c\x05numpy\x8c\x10ndarray.__init__\x93s.",
    "a chain of names": b"}Vv\nc__builtin__\ngetattr\n(cos\nVsystem\ntRs.",
    "extension 1": b"\x80\x02\x82\x01.",
    "a persistent id": b"Px\n.",
    "a call of a value": b"}Vv\nVtext\n(I1\ntRs.",
    "a state for a name": b"}Vv\ncnumpy\ndtype\n}bs.",
    "a dictionary of pickles' own names": b"}cnumpy\ndtype\nI1\ns.",
}
STATES = {
    "too few bytes": b"(I1\n(I3\nt" + DOUBLE + b"I00\nVxx\nt",
    "of 4 TB": b"(I1\n(I500000000000\nt" + DOUBLE + b"I00\nVxx\nt",
    "a negative side": b"(I1\n(I-1\nt" + DOUBLE + b"I00\nVxx\nt",
    "a type of fields": b"(I1\n(I1\ntcnumpy\ndtype\n(V[('a','f8')]\nI0\nI1\ntRI00\nVxx\nt",
    "of a type that is text": b"(I1\n(I1\ntVf8\nI00\nVxxxxxxxx\nt",
    "without a state": b"N",
    "objects that are bytes": b"(I1\n(I1\ntcnumpy\ndtype\n(VO8\nI0\nI1\ntRI00\nVxxxxxxxx\nt",
}
BASE = pickle.dumps(GOOD, 2)
CASES = [
    *(pickled(f"good, protocol {protocol}", pickle.dumps(GOOD, protocol), "accepted") for protocol in range(6)),
    *(pickled(f"executes, protocol {protocol}", pickle.dumps({"v": Payload()}, protocol), words="system") for protocol in range(6)),
    *(pickled(what, data) for what, data in OPCODES.items()),
    *(pickled(f"array {what}", array(state)) for what, state in STATES.items()),
    pickled("not named", pickle.dumps([1, 2], 2), words="holds no named values"),
    pickled("names that are numbers", pickle.dumps({1: 2}, 2)),
    pickled("empty", b""),
    pickled("text", b"hello"),
    pickled("truncated", BASE[:-30]),
    pickled("lists in lists", b"]" * 100_000 + b"a" * 99_999 + b"."),
    pickled("a list of itself", b"]q\0h\0a."),
    pickled("10^30 items by reference", b"]q\0" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(100)) + b"."),
    pickled("2 million opcodes", b"N0" * 1_000_001 + b"N."),
    pickled("an integer of 100000 digits", b"L" + b"9" * 100_000 + b"L\n."),
    pickled("a text of 4 GB", b"T\xff\xff\xff\x7fxx."),
    pickled("marks alone", b"(((((((."),
    *(pickled(f"damaged {seed}", damaged(BASE, seed), "either") for seed in range(30)),
    archived("good", npz(npy(GOOD["v"])), "accepted"),
    archived("a table of objects", npz(npy(np.array({"a": 1}, object))), "accepted"),
    archived("an object that executes", npz(npy(np.array([Payload()], object))), words="system"),
    archived("a pickle in place of the array", npz(pickle.dumps(Payload()))),
    archived("objects of a shape alone", npz(header(described("(10**9,)", "'|O'"), b""))),
    archived("a pickle in place of the archive", pickle.dumps(Payload())),
    matlab("good", mat(), "accepted"),
    matlab("good, compressed", mat(compress=True), "accepted"),
    matlab("MATLAB 7.3", b"MATLAB 7.3 MAT-file".ljust(512, b"\0"), words="7.3"),
    matlab("a pickle", CALL),
    matlab("empty", b""),
    matlab("truncated", mat()[:200]),
    Case("mat", "bomb", lambda folder: (folder / "x.mat").write_bytes(mat_bomb()) and None, read_named("x.mat")),
    *(matlab(f"damaged {seed}", damaged(mat(compress=seed % 2 == 0), seed), "either") for seed in range(40)),
]
