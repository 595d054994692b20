"""Mutations of files by their structure: bytes, JSON, arrays in an npz, members of an archive, lines."""

from __future__ import annotations

import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["KINDS", "mutated", "mutated_bytes", "mutated_json", "mutated_npy", "mutated_npz"]

# Numbers and texts that readers are known to stumble over.
_NUMBERS = (0, -1, 1, 2, 7, 255, 2**31 - 1, 2**31, 2**63, -(2**63), 10**400, 0.5, 1e-320, 1e308, -0.0, float("inf"))
_TEXTS = ("", "\0", "a" * 5000, "../x", "/etc/passwd", "\x1b[2J", "\u202e", "1e999", "nan", "identity", "[" * 50)
_DTYPES = ("f8", "f4", ">f8", "i8", "u1", "?", "S1", "U3", "c16", "M8[D]", "f2")


def mutated(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Return the bytes of a file of a kind (:data:`KINDS`, or bytes) with one change or a few."""
    change = KINDS.get(kind)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        use = change if change is not None and rng.random() < 0.7 else mutated_bytes
        try:
            data = use(data, rng)
        except Exception:  # an earlier change left nothing that has this structure
            data = mutated_bytes(data, rng)
    return data


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, insert or overwrite some bytes."""
    found, n = bytearray(data), len(data)
    place, length = rng.randrange(n + 1), rng.choice((1, 1, 2, 4, 8, 64))
    kind = rng.randrange(6)
    if kind == 0 and n:
        found[place % n] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del found[place:]
    elif kind == 2:
        del found[place : place + length]
    elif kind == 3:
        found[place:place] = found[place : place + length * 8]
    elif kind == 4:
        found[place : place + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    else:
        number = rng.choice((0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1))
        found[place : place + 4] = number.to_bytes(4, rng.choice(("big", "little")))
    return bytes(found)


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """Change one value of JSON."""
    text = json.dumps(_changed(json.loads(data), rng))
    depth = rng.choice((3, 900, 100_000))
    return text.replace('"deep"', "[" * depth + "]" * depth).encode()


def _changed(value: Any, rng: random.Random) -> Any:
    """Return JSON with one of its values replaced, dropped or doubled."""
    inner = isinstance(value, dict | list) and len(value) > 0
    if not inner or rng.random() < 0.15:
        return _other(value, rng)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return value[:place] + rng.choice(([], [_changed(value[place], rng)], [value[place]] * 2)) + value[place + 1 :]
    key = rng.choice(list(value))
    what = rng.random()
    if what < 0.1:
        return {name: item for name, item in value.items() if name != key}
    if what < 0.15:
        return value | {rng.choice(_TEXTS): value[key]}
    return value | {key: _changed(value[key], rng)}


def _other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.5:
        return value * rng.choice((-1, 2, 1 + 1e-9, 1e-3, 1e6)) if abs(value) < 1e300 else 0
    return rng.choice((*_NUMBERS, *_TEXTS, None, True, [], {}, [1, 2], {"map": "identity"}, [0] * 3000, "deep", "deep"))


def mutated_npz(data: bytes, rng: random.Random) -> bytes:
    """Change one array of an npz file, or its JSON where it has some."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = rng.choice(list(arrays))
    kind = rng.random()
    if kind < 0.05:
        del arrays[name]
    elif kind < 0.1:
        arrays[rng.choice(("more", "path", "references", "intercept", "class_means", "../x"))] = arrays[name]
    elif kind < 0.15:
        other = rng.choice(list(arrays))
        arrays[name], arrays[other] = arrays[other], arrays[name]
    elif "meta" in arrays and kind < 0.5:
        meta = mutated_json(arrays["meta"].tobytes(), rng)
        arrays["meta"] = np.frombuffer(meta, dtype=np.uint8)
    else:
        arrays[name] = _array(arrays[name], rng)
    stream = io.BytesIO()
    rng.choice((np.savez, np.savez_compressed))(stream, **arrays)
    return stream.getvalue()


def _array(A: np.ndarray, rng: random.Random) -> np.ndarray:
    """Change the numbers, the dtype or the shape of an array."""
    changes: tuple[Callable[[], np.ndarray], ...] = (
        lambda: A.astype(rng.choice(_DTYPES)),
        lambda: A.reshape(-1),
        lambda: A.T,
        lambda: A[..., None],
        lambda: A[:0],
        lambda: A[1:],
        lambda: np.concatenate([A, A]),
        lambda: np.zeros(()),
        lambda: np.zeros((3, 0), A.dtype),
        lambda: _spoiled(A, rng),
        lambda: _spoiled(A, rng),
        lambda: A * A.dtype.type(rng.choice((-1, 0, 2, 3))),
        lambda: A[::-1],
    )
    return np.ascontiguousarray(rng.choice(changes)())


def _spoiled(A: np.ndarray, rng: random.Random) -> np.ndarray:
    found = A.copy()
    flat = found.reshape(-1)
    place = rng.randrange(flat.size)
    value = rng.choice((np.nan, np.inf, 1e300, 1e-300, 0.0, 1.0, -1.0, 1e16))
    value = min(value, 6e4) if A.dtype == np.float16 else value
    nearly = flat[place] * (1 + 10.0 ** -rng.randrange(4, 16)) if A.dtype.kind == "f" else value
    flat[place] = rng.choice((value, nearly))
    return found


def mutated_npy(data: bytes, rng: random.Random) -> bytes:
    """Change the array of an npy file."""
    stream = io.BytesIO()
    np.save(stream, _array(np.load(io.BytesIO(data), allow_pickle=False), rng), allow_pickle=False)
    return stream.getvalue()


def _safetensors(data: bytes, rng: random.Random) -> bytes:
    """Change the JSON at the head of tensors, and say its length."""
    length = int.from_bytes(data[:8], "little")
    head = mutated_json(data[8 : 8 + length], rng)
    return len(head).to_bytes(8, "little") + head + data[8 + length :]


def _parquet(data: bytes, rng: random.Random) -> bytes:
    """Change a column of a table: its type, a value, its name."""
    import pandas

    frame, stream = pandas.read_parquet(io.BytesIO(data)), io.BytesIO()
    name = rng.choice(list(frame.columns))
    kind = rng.randrange(4)
    if kind == 0:
        frame[name] = frame[name].astype(rng.choice(("str", "category", "object")))
    elif kind == 1:
        frame.loc[rng.randrange(len(frame)), name] = None
    elif kind == 2:
        frame = frame.rename(columns={name: rng.choice(_TEXTS)})
    else:
        frame[name] = rng.choice([pandas.Timestamp(0), b"\xff", 2**62, float("inf"), True, pandas.Timedelta(1)])
    frame.to_parquet(stream, compression=rng.choice(("snappy", "gzip", None)))
    return stream.getvalue()


def _lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    line = lines[place]
    changed = rng.choice((mutated_json, mutated_bytes))(line.rstrip(b"\n"), rng) + rng.choice(
        (b"\n", b"\n", b"", b"\r\n")
    )
    lines[place : place + 1] = rng.choice(([changed], [line, line], [], [changed, line]))
    return b"".join(lines)


def _members(names: list[str], rng: random.Random) -> tuple[int, str]:
    place = rng.randrange(len(names))
    parts = names[place].split("/")
    other = rng.choice(
        (*_TEXTS, "a/../b.png", "train/" + names[place], parts[-1], "/".join(parts[::-1]), names[0], "C:\\x.png")
    )
    return place, other.replace("\0", "0") or "x"


def _zip(data: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place, name = _members([name for name, _ in members], rng)
    members[place] = _member(members[place], name, rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _tar(data: bytes, rng: random.Random) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [(info.name, archive.extractfile(info).read()) for info in archive if info.isfile()]  # type: ignore[union-attr]
    place, name = _members([name for name, _ in members], rng)
    members[place] = _member(members[place], name, rng)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=rng.choice(("w", "w:gz"))) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = rng.choice((tarfile.REGTYPE,) * 30 + (tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE))
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def _member(member: tuple[str, bytes], name: str, rng: random.Random) -> tuple[str, bytes]:
    if rng.random() < 0.4:
        return name, member[1]
    return member[0], mutated_bytes(member[1], rng)


KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "npz": mutated_npz,
    "npy": mutated_npy,
    "json": mutated_json,
    "lines": _lines,
    "zip": _zip,
    "tar": _tar,
    "parquet": _parquet,
    "safetensors": _safetensors,
}
