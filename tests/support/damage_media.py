"""Media that were damaged, or signed with a hash that is wrong in itself."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache

from countermark.provenance.verdict import Axis
from countermark.signing.verdict import Outcome
from support.damage import Case, Subject
from support.media import MEDIA as FILES
from support.media import sign_media, signed, unsigned
from support.rebuilt import Rebuilt
from support.stores import Signed, png_exclusion, sign_wav

__all__ = [
    "MEDIA",
    "boxes_hashed",
    "chunks",
    "photograph_hashed",
    "png_chunk",
    "second_hole",
    "stored_boxes",
    "with_store",
]

_BMFF, _DATA = "c2pa.hash.bmff.v3", "c2pa.hash.data"
_JPEG_NAMES = {
    0xE0: "APP0",
    0xEB: "APP11",
    0xDB: "DQT",
    0xC0: "SOF0",
    0xC4: "DHT",
    0xDA: "SOS",
}
_NAMES = {"png": "a.png", "mp4": "a.mp4", "zip": "a.zip", "jpeg": "a.jpg", "wav": "a.wav"}


def with_store(asset: bytes, old: bytes, new: bytes) -> bytes:
    """Return a file with another store in the place of its own; of another length only in PNG."""
    if asset.count(old) != 1:
        raise ValueError("not this store's place")
    at = asset.index(old)
    if asset.startswith(b"\x89PNG"):
        return asset[: at - 8] + png_chunk(b"caBX", new) + asset[at + len(old) + 4 :]
    if len(old) != len(new):
        raise ValueError("no room for this store")
    return asset[:at] + new + asset[at + len(old) :]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(asset: bytes) -> list[tuple[str, bytes]]:
    """Return the parts of a PNG file by the names that C2PA has for them."""
    parts, at = [("PNGh", asset[:8])], 8
    while at < len(asset):
        end = at + 12 + int.from_bytes(asset[at : at + 4], "big")
        name = asset[at + 4 : at + 8].decode()
        parts.append(("C2PA" if name == "caBX" else name, asset[at:end]))
        at = end
    return parts


@cache
def _png() -> Signed:
    asset, store = signed("png")
    return Signed(store, asset)


def _rebuilt(name: str, change: Callable[[Rebuilt], object]) -> Callable[[], Subject]:
    """Return what makes a file whose own manifest was changed inside and signed again."""

    def make() -> Subject:
        # Room for what is put in, since a store must keep its length: the padding gives it.
        asset, store = signed(name)
        one = Rebuilt(store)
        change(one)
        return Subject(with_store(asset, store, one.store(length=len(store))), _NAMES[name])

    return make


def boxes_hashed(*, excluded: str = "", drop: str = "") -> Subject:
    """Return a PNG file bound by `c2pa.hash.boxes`: a hash for each of its chunks."""

    def change(one: Rebuilt) -> None:
        boxes = [
            {
                "names": [name],
                "alg": "sha256",
                "hash": bytes(1) if name == "C2PA" else hashlib.sha256(data).digest(),
                "pad": b"",
                **({"excluded": True} if name == excluded else {}),
            }
            for name, data in chunks(_png().asset)
            if name != drop
        ]
        one.remove(_DATA)
        one.put("c2pa.hash.boxes", {"alg": "sha256", "boxes": boxes})

    return _rebuilt("png", change)()


def stored_boxes() -> bytes:
    """Return a store whose one hash is of named parts."""
    one = Rebuilt(signed("png")[1])
    one.remove(_DATA)
    one.put("c2pa.hash.boxes", {"alg": "sha256", "boxes": [{"names": ["GIF89a"], "hash": b""}]})
    return one.store()


def second_hole() -> Subject:
    """Return a PNG file whose hash leaves out more than the manifest, in a place of its own."""
    return _rebuilt("png", _second_hole)()


def photograph_hashed() -> Subject:
    """Return a JPEG file bound by `c2pa.hash.boxes`: what is before the manifest, and behind."""
    asset, _ = signed("jpeg")
    marks, at = [("SOI", 0)], 2
    while marks[-1][0] != "SOS":
        marks.append((_JPEG_NAMES[asset[at + 1]], at))
        at += 2 + int.from_bytes(asset[at + 2 : at + 4], "big")
    marks.append(("EOI", len(asset) - 2))
    own = [at for name, at in marks if name == "APP11"]
    behind = next(at for name, at in marks if at > own[-1])
    parts = [
        ([name for name, at in marks if at < own[0]], asset[: own[0]]),
        (["C2PA"], b""),
        ([name for name, at in marks if at > own[-1]], asset[behind:]),
    ]

    def change(one: Rebuilt) -> None:
        boxes = [
            {"names": names, "alg": "sha256", "hash": hashlib.sha256(data).digest(), "pad": b""}
            for names, data in parts
        ]
        one.remove(_DATA)
        one.put("c2pa.hash.boxes", {"alg": "sha256", "boxes": boxes})

    return _rebuilt("jpeg", change)()


def _grown(subject: Subject, more: bytes) -> Subject:
    return subject._replace(data=subject.data + more)


def _edited(subject: Subject, old: bytes, new: bytes) -> Subject:
    if subject.data.count(old) != 1:
        raise ValueError("not there once")
    return subject._replace(data=subject.data.replace(old, new))


def _flip(name: str, at: int) -> Callable[[], Subject]:
    def make() -> Subject:
        data = bytearray(signed(name)[0])
        data[at] ^= 1
        return Subject(bytes(data), _NAMES[name])

    return make


def _cut(name: str, count: int) -> Callable[[], Subject]:
    return lambda: Subject(signed(name)[0][:-count], _NAMES[name])


def _more(name: str) -> Callable[[], Subject]:
    return lambda: Subject(signed(name)[0] + b"x", _NAMES[name])


def _moved(name: str) -> Callable[[], Subject]:
    """Put the manifest of one file into another of its length."""

    def make() -> Subject:
        _, store = signed(name)
        other = bytearray(unsigned(name))
        other[-1 if name != "png" else -20] ^= 1
        theirs, their_store = sign_media(FILES[name][0], bytes(other))
        return Subject(with_store(theirs, their_store, store), _NAMES[name])

    return make


def _zip_of(changed: dict[str, bytes | None]) -> Callable[[], Subject]:
    """Write the archive anew, with other contents or other entries."""

    def make() -> Subject:
        out = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(signed("zip")[0])) as old,
            zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new,
        ):
            contents: dict[str, bytes | None] = {
                entry.filename: old.read(entry) for entry in old.infolist()
            }
            contents |= changed
            for entry, data in contents.items():
                if data is not None:
                    new.writestr(entry, data)
        return Subject(out.getvalue(), _NAMES["zip"])

    return make


def _wider(one: Rebuilt) -> None:
    value = one.value(_DATA)
    (span,) = value["exclusions"]
    one.put(_DATA, {**value, "exclusions": [{**span, "length": span["length"] + 40}]})


def _second_hole(one: Rebuilt) -> None:
    asset = _png().asset
    start, length = png_exclusion(asset)
    spans = [(start, length), (start + length, 40)]
    kept = hashlib.sha256(asset[:start] + asset[start + length + 40 :]).digest()
    entries = [{"start": s, "length": n} for s, n in spans]
    one.put(_DATA, {**one.value(_DATA), "exclusions": entries, "hash": kept})


def _twice(kind: str) -> Callable[[], Subject]:
    def make() -> Subject:
        asset = _png().asset
        start, length = png_exclusion(asset)
        chunk = asset[start : start + length]
        return Subject(asset[:start] + chunk * 2 + asset[start + length :], kind)

    return make


def _picture(kind: str) -> Callable[[], Subject]:
    """Damage the thumbnail inside a manifest."""

    def make() -> Subject:
        made = sign_wav(thumbnail=b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9")
        at = made.asset.index(bytes(range(200)), made.asset.index(made.store))
        asset = bytearray(made.asset)
        asset[at + 9] ^= 1
        return Subject(bytes(asset), kind)

    return make


_INTEGRITY, _SIGNATURE = Axis.INTEGRITY, Axis.SIGNATURE


def _changed(make: Callable[[], Subject], *statuses: str, code: str = "content-changed") -> Case:
    return Case(make, _INTEGRITY, code, Outcome.TAMPERED, statuses)


def _bad(
    make: Callable[[], Subject],
    *statuses: str,
    code: str = "malformed-content",
    axis: Axis = _INTEGRITY,
) -> Case:
    return Case(make, axis, code, Outcome.MALFORMED, statuses)


MEDIA: dict[str, Case] = {
    "picture flipped": _changed(_flip("png", -20), "assertion.dataHash.mismatch"),
    "picture with a byte more": _changed(_more("png"), "assertion.dataHash.mismatch"),
    "picture cut": _bad(_cut("png", 12)),
    "sound cut": _bad(_cut("wav", 99)),
    "picture cut in its manifest": _bad(lambda: Subject(signed("png")[0][:900], "a.png")),
    "picture with another's manifest": _changed(_moved("png"), "assertion.dataHash.mismatch"),
    "picture with two manifests": _bad(_twice("a.png")),
    "photograph flipped": _changed(_flip("jpeg", -9), "assertion.dataHash.mismatch"),
    "sound flipped": _changed(_flip("wav", 60), "assertion.dataHash.mismatch"),
    "hash that leaves a picture out": _changed(
        _rebuilt("png", _wider), "assertion.dataHash.mismatch"
    ),
    "thumbnail flipped": Case(
        _picture("a.wav"),
        _SIGNATURE,
        "assertion-changed",
        Outcome.TAMPERED,
        ("assertion.hashedURI.mismatch",),
    ),
    "film flipped": _changed(_flip("mp4", -9), "assertion.bmffHash.mismatch"),
    "film with another's manifest": _changed(_moved("mp4"), "assertion.bmffHash.mismatch"),
    "film with a byte more": _changed(_more("mp4"), "assertion.bmffHash.mismatch"),
    "film cut": _changed(_cut("mp4", 40), "assertion.bmffHash.mismatch"),
    "film whose hash has nothing to hash": _bad(
        _rebuilt("mp4", lambda one: one.put(_BMFF, {"alg": "sha256", "exclusions": []})),
        "assertion.bmffHash.malformed",
        code="binding-malformed",
    ),
    "boxes of which one was flipped": _changed(
        lambda: _edited(boxes_hashed(), chunks(_png().asset)[-2][1], png_chunk(b"IDAT", b"x")),
        "assertion.boxesHash.mismatch",
    ),
    "boxes of which one is new": _changed(
        lambda: _edited(
            boxes_hashed(),
            chunks(_png().asset)[-1][1],
            png_chunk(b"tEXt", b"a\0b") + png_chunk(b"IEND", b""),
        ),
        "assertion.boxesHash.mismatch",
    ),
    # What c2pa itself calls a match.
    "boxes with bytes behind them": _changed(
        lambda: _grown(boxes_hashed(), b"behind"), code="content-added"
    ),
    "boxes with a chunk behind them": _changed(
        lambda: _grown(boxes_hashed(), png_chunk(b"tEXt", b"a\0b")), code="content-added"
    ),
    "boxes of which one is not listed": _changed(
        lambda: boxes_hashed(drop="IEND"), code="content-added"
    ),
    "boxes of a photograph with bytes behind them": _changed(
        lambda: _grown(photograph_hashed(), b"behind\xff\xd9"), code="content-added"
    ),
    "collection with a file changed": _changed(
        _zip_of({"a.txt": b"another text"}), "assertion.collectionHash.mismatch"
    ),
    "collection with a file more": _changed(
        _zip_of({"c.txt": b"more"}), "assertion.collectionHash.mismatch"
    ),
    "collection with a file less": _changed(
        _zip_of({"a.txt": None}), "assertion.collectionHash.mismatch"
    ),
}
