"""The prefilter never says no of a file in which somebody would find a mark, and reads little."""

import base64
import io
import json
import struct
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="pillow, which makes the images, is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.provenance.errors import MalformedContentError
from countermark.provenance.extract import find_store
from countermark.provenance.formats import carriers_of, detect_format
from countermark.provenance.prefilter import HEAD_BYTES, file_may_carry, may_carry
from support.media import MEDIA, boxed, chunk, image, riff, sign_media, signed, unsigned

NAMES = sorted(MEDIA)
STORE = signed("png")[1]
ENCODED = base64.b64encode(STORE)
XMP = b'<x:xmpmeta><rdf:Description dcterms:provenance="http://example.org/a"/></x:xmpmeta>'
WITHOUT = XMP.replace(b"provenance", b"identifier")


def c2pa_finds(data: bytes, media_type: str) -> bool:
    """Return whether c2pa finds a manifest or the address of one, broken ones included."""
    from c2pa import C2paError, Context, Reader, Settings

    context = Context(Settings.from_dict({"verify": {"remote_manifest_fetch": False}}))
    try:
        with Reader(media_type, io.BytesIO(data), context=context):
            return True
    except (C2paError.ManifestNotFound, C2paError.NotSupported):
        return False
    except C2paError as e:
        return str(e).startswith("Remote") or "umbf" in str(e).lower()


def wrapped(data: bytes) -> str:
    """Return the selectors of A.8 for these bytes."""
    return "\ufeff" + "".join(chr(0xFE00 + b if b < 16 else 0xE0100 + b - 16) for b in data)


@pytest.mark.parametrize("name", NAMES)
def test_signed_media_are_looked_at_and_unsigned_ones_are_not(name: str, tmp_path: Path) -> None:
    media_type = MEDIA[name][0]
    for data, expected in ((signed(name)[0], True), (unsigned(name), False)):
        assert may_carry(data, media_type) is expected
        assert may_carry(data) is expected
        path = tmp_path / "file"
        path.write_bytes(data)
        assert file_may_carry(path) is expected


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"zip", "docx", "pdf"}))
def test_media_that_only_refer_to_a_manifest_are_looked_at(name: str) -> None:
    media_type = MEDIA[name][0]
    data, _ = sign_media(media_type, unsigned(name), remote="http://127.0.0.1:9/a", embed=False)
    assert c2pa_finds(data, media_type)
    assert may_carry(data, media_type)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def _frame(name: bytes, payload: bytes) -> bytes:
    frame = name + len(payload).to_bytes(4, "big") + b"\0\0" + payload
    return b"ID3\3\0\0\0\0" + bytes((len(frame) >> 7, len(frame) & 127)) + frame + unsigned("mp3")


def _with_xmp(name: str, xmp: bytes) -> bytes:
    plain = unsigned(name)
    match name:
        case "jpeg":
            return plain[:2] + _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp) + plain[2:]
        case "png":
            text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
            return (
                plain[:33] + struct.pack(">I", len(text)) + b"iTXt" + text + bytes(4) + plain[33:]
            )
        case "webp":
            return riff(b"WEBP", chunk(b"VP8 ", bytes(20)), chunk(b"XMP ", xmp))
        case "mp4":
            identifier = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
            return plain + boxed(b"uuid", identifier + xmp)
        case "jxl":
            return plain + boxed(b"xml ", xmp)
        case "svg":
            return plain.replace(b"<rect", b"<metadata>" + xmp + b"</metadata><rect")
        case _:
            return _frame(b"PRIV", b"XMP\0" + xmp)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "mp4", "jxl", "svg", "mp3"])
def test_xmp_matters_only_if_it_refers_to_a_manifest(name: str) -> None:
    assert may_carry(_with_xmp(name, XMP))
    assert not may_carry(_with_xmp(name, WITHOUT))


@pytest.mark.parametrize(
    "data",
    [
        unsigned("jpeg")[:2] + b"\xff" + unsigned("jpeg")[2:],
        unsigned("jpeg")[:200],
        unsigned("png")[:-12],
        unsigned("mp4") + struct.pack(">I", 999) + b"free",
        unsigned("jxl") + boxed(b"brob", b"jumb" + bytes(9)),
        unsigned("gif")[:14],
        unsigned("tiff")[:4],
        unsigned("zip")[:-5],
        _frame(b"GEOB", b"\0application/c2pa\0\0\0"),
        b"%PDF-1.7 C2PA",
    ],
)
def test_what_is_odd_cut_short_or_compressed_is_looked_at(data: bytes) -> None:
    assert may_carry(data)


def test_jpeg_segments_that_go_on_beyond_the_first_bytes_are_followed(tmp_path: Path) -> None:
    long = _segment(0xE2, bytes(60_000)) * 3
    for data, expected in ((signed("jpeg")[0], True), (unsigned("jpeg"), False)):
        whole = data[:2] + long + data[2:]
        assert len(whole) > HEAD_BYTES
        path = tmp_path / "long.jpg"
        path.write_bytes(whole)
        assert file_may_carry(path) is expected
        assert may_carry(whole) is expected


def test_large_files_are_not_read_but_for_their_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.write(unsigned("mp4"))
        file.write(struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 1 << 40))
        file.truncate(len(unsigned("mp4")) + (1 << 40))  # A hole: reading it would take hours.
    assert not file_may_carry(path)


TEXTS = {
    "wrapper.txt": ("A plain text." + wrapped(b"C2PATXT\0\1" + bytes(4))).encode(),
    "marker-gone.txt": ("A plain text." + wrapped(b"C2PATXT\0\1")[1:]).encode(),
    "block.py": b"# -----BEGIN C2PA MANIFEST----- data:application/c2pa;base64,"
    + ENCODED
    + b" -----END C2PA MANIFEST-----\nprint()\n",
    "address.py": b"# -----BEGIN C2PA MANIFEST----- https://example.org/a"
    b" -----END C2PA MANIFEST-----\n",
    "script.html": b'<html><script type="application/c2pa">' + ENCODED + b"</script></html>",
    "upper.html": b'<html><SCRIPT TYPE="Application/C2PA">' + ENCODED + b"</SCRIPT></html>",
    "mixed.html": b"<html><script type='application/C2pa'>" + ENCODED + b"</script></html>",
    "entity.html": b'<html><script type="application/c2p&#97;">' + ENCODED + b"</script></html>",
    "link.html": b"<html><link rel=c2pa-manifest href=a.c2pa></html>",
    "svg.html": b"<html><svg></svg><SCRIPT TYPE=APPLICATION/C2PA></SCRIPT></html>",
}


@pytest.mark.parametrize("name", TEXTS)
def test_marks_in_text_are_looked_at(name: str) -> None:
    assert may_carry(TEXTS[name])
    spread = TEXTS[name].replace(b"C2PA", b"").replace(b"c2pa", b"").replace(b"c2p&#97;", b"")
    if "wrapper" not in name and "marker" not in name:
        assert not may_carry(spread.replace(b"C2pa", b""))


@pytest.mark.parametrize("name", [name for name in TEXTS if "address" not in name])
def test_a_mark_far_into_a_text_is_found_wherever_blocks_end(name: str) -> None:
    for before in range((1 << 20) - 60, (1 << 20) + 20, 7):
        assert may_carry(b" " * before + TEXTS[name])


def test_text_that_speaks_of_nothing_is_passed_over() -> None:
    for text in ("A text. \ufeff\ufe0f &amp; <b type=x>", "{}", "\ufeffx", "a" * 100_000, ""):
        assert not may_carry(text.encode(), "text/plain")


def _safetensors(metadata: str) -> bytes:
    header = b'{"__metadata__":{%s},"t":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}' % (
        metadata.encode()
    )
    return struct.pack("<Q", len(header)) + header + b"c2pa c2pa"


def test_only_the_header_of_safetensors_counts_and_escapes_hide_nothing() -> None:
    assert may_carry(_safetensors('"c2pa:manifest":"AAAA"'))
    assert may_carry(_safetensors('"c2p\\u0061:manifest":"AAAA"'))
    assert not may_carry(_safetensors('"format":"pt"'))


def test_what_begins_like_a_container_and_is_text_is_read_as_text() -> None:
    mark = TEXTS["wrapper.txt"]
    for start in (b"RIFF1234text", b"0000mdat", b"0000free", b"xxxxmoov"):
        assert may_carry(start + mark)
        assert not may_carry(start + b" and no mark")


SEEDS = [(name, data) for name in NAMES for data in (signed(name)[0], unsigned(name))]
CHANGES = st.lists(st.tuples(st.integers(0), st.binary(max_size=4)), max_size=3)


def changed(data: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    new = bytearray(data)
    for place, put in changes:
        start = place % len(new)
        new[start : start + len(put)] = put
    return bytes(new)


@settings(max_examples=250)
@given(st.sampled_from(SEEDS), CHANGES)
def test_it_never_says_no_where_c2pa_or_we_find_something(
    seed: tuple[str, bytes], changes: list[tuple[int, bytes]]
) -> None:
    name, data = seed[0], changed(seed[1], changes)
    if may_carry(data):
        return
    try:
        assert find_store(io.BytesIO(data), MEDIA[name][0]) is None
    except MalformedContentError:
        pass
    assert not c2pa_finds(data, MEDIA[name][0])


@settings(max_examples=250)
@given(st.sampled_from(sorted(TEXTS.items())), CHANGES)
def test_it_never_says_no_where_a_carrier_finds_something(
    seed: tuple[str, bytes], changes: list[tuple[int, bytes]]
) -> None:
    name, data = seed[0], changed(seed[1], changes)
    if may_carry(data):
        return
    for carrier in carriers_of(detect_format(name, data[:4096]), name):
        try:
            assert carrier.find(io.BytesIO(data)) is None
        except MalformedContentError:
            continue


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    assert may_carry(data) in (True, False)
    assert may_carry(json.dumps(data.hex()).encode()) is False


def test_a_picture_of_noise_carries_nothing() -> None:
    assert not may_carry(image("JPEG", side=300, quality=95))
