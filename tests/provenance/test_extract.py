"""Stores in media: ours is the one c2pa wrote, and hostile containers are refused."""

import io
import struct
import zipfile

import pytest

pytest.importorskip("PIL", reason="pillow, which makes the images, is not installed")

from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.provenance import containers, extract, extract_documents
from countermark.provenance.errors import MalformedContentError
from countermark.provenance.extract import container_of, find_store
from support.media import MEDIA, boxed, chunk, image, riff, sign_media, signed, unsigned

NAMES = sorted(MEDIA)
STORE = signed("png")[1]
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
FTYP = boxed(b"ftyp", b"mp42\0\0\0\0mp42")


def found(data: bytes, media_type: str = "") -> bytes | None:
    return find_store(io.BytesIO(data), media_type)


def refused(data: bytes, *, at: int | None = None, saying: str = "") -> None:
    with pytest.raises(MalformedContentError) as caught:
        found(data)
    assert caught.value.code == "malformed-content"
    assert saying in str(caught.value)
    if at is not None:
        assert caught.value.offset == at


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def part(store: bytes, number: int, *, instance: bytes = b"\x02\x11") -> bytes:
    return segment(0xEB, b"JP" + instance + struct.pack(">I", number) + store)


def png_chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + bytes(4)


def with_chunks(*chunks: bytes) -> bytes:
    plain = unsigned("png")
    return plain[:33] + b"".join(chunks) + plain[33:]


def box_with(store: bytes, purpose: bytes = b"manifest") -> bytes:
    return boxed(b"uuid", C2PA_BOX + bytes(4) + purpose + b"\0" + bytes(8) + store)


def synch(number: int) -> bytes:
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def id3(*frames: bytes, version: int = 4, flags: int = 0) -> bytes:
    body = b"".join(frames)
    return b"ID3" + bytes((version, 0, flags)) + synch(len(body)) + body + unsigned("mp3")


def geob(
    store: bytes, *, wide: bool = False, flags: int = 0, kind: bytes = b"application/c2pa"
) -> bytes:
    end = b"\0\0" if wide else b"\0"
    payload = bytes((int(wide),)) + kind + b"\0" + end + end + store
    return b"GEOB" + synch(len(payload)) + bytes((0, flags)) + payload


@pytest.mark.parametrize("name", NAMES)
def test_the_store_is_the_one_that_c2pa_wrote(name: str) -> None:
    data, store = signed(name)
    assert found(data, MEDIA[name][0]) == store


@pytest.mark.parametrize("name", NAMES)
def test_files_without_a_manifest_have_no_store(name: str) -> None:
    assert found(unsigned(name), MEDIA[name][0]) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_is_refused_or_has_the_whole_store_or_none(name: str) -> None:
    data, store = signed(name)
    for end in range(0, len(data), max(len(data) // 60, 1)):
        try:
            assert found(data[:end], MEDIA[name][0]) in (None, store)
        except MalformedContentError:
            continue


def test_a_store_of_several_jpeg_segments_is_put_together() -> None:
    picture = image("PNG", side=200)
    data, store = sign_media("image/jpeg", unsigned("jpeg"))
    assert found(data) == store
    body = struct.pack(">I", 8 + len(picture) + 40) + b"jumb" + b"\0\0\0\x25jumdc2pa" + bytes(28)
    long = body + picture
    parts = [long[:60_000]] + [
        long[:8] + long[at : at + 60_000] for at in range(60_000, len(long), 60_000)
    ]
    segments = b"".join(part(one, number) for number, one in enumerate(parts, 1))
    jpeg = unsigned("jpeg")
    assert len(parts) > 1
    assert found(jpeg[:2] + segments + jpeg[2:]) == long


def test_parts_of_a_jpeg_store_out_of_order_are_refused() -> None:
    jpeg = unsigned("jpeg")
    head = STORE[:300]
    rest = STORE[:8] + STORE[300:]
    good = jpeg[:2] + part(head, 1) + part(rest, 2) + jpeg[2:]
    assert found(good) == STORE
    for numbers in ((1, 3), (1, 1)):
        bad = jpeg[:2] + part(head, numbers[0]) + part(rest, numbers[1]) + jpeg[2:]
        refused(bad, at=2 + len(part(head, 1)), saying="part")
    apart = jpeg[:2] + part(head, 1) + part(rest, 2, instance=b"\x00\x07") + jpeg[2:]
    assert found(apart) == head


def test_jpeg_segments_behind_the_first_scan_are_nobody_s() -> None:
    jpeg = unsigned("jpeg")
    assert found(jpeg[:-2] + part(STORE, 1) + jpeg[-2:]) is None


def test_fill_bytes_and_junk_between_jpeg_segments_hide_nothing() -> None:
    jpeg = unsigned("jpeg")
    assert found(jpeg[:2] + b"\xff" * 9000 + part(STORE, 1)[1:] + jpeg[2:]) == STORE
    assert found(jpeg[:2] + b"\0\0" + part(STORE, 1) + jpeg[2:]) == STORE


@pytest.mark.parametrize(
    "data",
    [
        unsigned("jpeg")[:2]
        + part(STORE, 1)
        + part(STORE, 1, instance=b"\0\x09")
        + unsigned("jpeg")[2:],
        with_chunks(png_chunk(b"caBX", STORE), png_chunk(b"caBX", STORE)),
        riff(b"WEBP", chunk(b"C2PA", STORE), chunk(b"C2PA", STORE)),
        FTYP + box_with(STORE) + box_with(STORE),
        FTYP + box_with(STORE) + box_with(STORE, b"original"),
        id3(geob(STORE), geob(STORE)),
        signed("jxl")[0] + STORE,
        signed("svg")[0].replace(b"</metadata>", b"<c2pa:manifest>AA==</c2pa:manifest></metadata>"),
        signed("pdf")[0] + b"\n9 0 obj\n<<>>\nstream\n" + STORE + b"\nendstream",
    ],
    ids=["jpeg", "png", "riff", "bmff", "bmff-original", "id3", "jxl", "svg", "pdf"],
)
def test_a_second_store_is_refused(data: bytes) -> None:
    refused(data, saying="a second manifest store")


def test_an_update_comes_after_the_manifests_it_updates() -> None:
    inner = int.from_bytes(STORE[8:12], "big")
    both = found(FTYP + box_with(STORE, b"original") + box_with(STORE, b"update"))
    assert both == (2 * len(STORE) - 8 - inner).to_bytes(4, "big") + STORE[4:] + STORE[8 + inner :]
    refused(FTYP + box_with(STORE, b"update"), saying="update")
    refused(FTYP + box_with(STORE, b"original") + box_with(b"", b"update"), saying="update")


def test_merkle_boxes_are_not_stores() -> None:
    assert found(FTYP + box_with(b"", b"merkle")) is None
    assert found(FTYP + box_with(b"", b"merkle") + box_with(STORE)) == STORE


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kind", [b"application/c2pa", b"application/x-c2pa-manifest-store"])
def test_id3_objects_are_read_whatever_their_names_are_written_in(wide: bool, kind: bytes) -> None:
    assert found(id3(geob(STORE, wide=wide, kind=kind))) == STORE
    assert found(id3(geob(STORE, kind=b"image/png"))) is None


def test_id3_objects_of_older_tags_and_unsynchronised_ones_are_read() -> None:
    payload = b"\0application/c2pa\0\0\0" + STORE
    stuffed = payload.replace(b"\xff", b"\xff\0")
    third = b"GEOB" + struct.pack(">I", len(payload)) + b"\0\0" + payload
    second = b"GEO" + struct.pack(">I", len(payload))[1:] + payload
    fourth = b"GEOB" + synch(len(stuffed)) + b"\0\x02" + stuffed
    assert found(id3(third, version=3)) == STORE
    assert found(id3(second, version=2)) == STORE
    assert found(id3(fourth)) == STORE


def test_compressed_id3_objects_are_not_opened() -> None:
    refused(id3(geob(STORE, flags=0x08)), saying="compressed")


def test_flac_files_carry_it_in_a_tag_before_them() -> None:
    assert signed("flac")[0].startswith(b"ID3")
    assert found(unsigned("flac")) is None


@pytest.mark.parametrize("tail", [b"", b"a comment"])
def test_a_zip_with_something_before_or_behind_it_is_read(tail: bytes) -> None:
    data, store = signed("zip")
    commented = data[:-2] + struct.pack("<H", len(tail)) + tail
    assert found(commented) == store


def test_a_compressed_store_in_a_zip_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("META-INF/content_credential.c2pa", bytes(1_000_000))
    refused(out.getvalue(), saying="compressed")


def test_a_zip_with_two_ends_is_refused() -> None:
    data = signed("zip")[0]
    refused(data + data[-22:], saying="two ends")


def test_a_large_zip_is_read_by_its_own_record() -> None:
    data, store = signed("zip")
    end = data[-22:]
    size, offset = struct.unpack_from("<II", end, 12)
    at = len(data) - 22
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 3, 3, size, offset)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, at, 1)
    marked = end[:12] + b"\xff" * 8 + end[20:]
    assert found(data[:at] + record + locator + marked) == store
    refused(data[:at] + bytes(56) + locator + marked, saying="record")
    refused(data[:at] + marked, saying="locator")


def test_images_inside_a_pdf_keep_their_manifests_to_themselves() -> None:
    picture = signed("jpeg")[0]
    inside = b"\n9 0 obj\n<</Filter/DCTDecode>>\nstream\n" + picture + b"\nendstream\nendobj\n"
    assert found(unsigned("pdf") + inside) is None
    assert found(signed("pdf")[0] + inside) == signed("pdf")[1]


def test_a_pdf_that_names_a_manifest_nobody_can_see_is_refused() -> None:
    hidden = b"\n9 0 obj\n<</AFRelationship /C2PA_Manifest>>\nendobj\n"
    refused(unsigned("pdf") + hidden, saying="not plain")


def test_an_svg_a_thousand_deep_costs_nothing_and_hides_nothing() -> None:
    deep = b"<g>" * 100_000 + b"</g>" * 100_000
    data = signed("svg")[0].replace(b"<rect", deep + b"<rect")
    assert found(data) == signed("svg")[1]
    nested = b"<svg><g><metadata><c2pa:manifest>AAAA</c2pa:manifest></metadata></g></svg>"
    assert found(nested) is None


def test_an_svg_that_declares_entities_is_refused() -> None:
    bomb = b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>'
    refused(bomb, saying="entities")


@pytest.mark.parametrize("wrong", [b"!!!!", b"AAA", "ä".encode()])
def test_a_store_in_svg_that_is_not_base64_is_refused(wrong: bytes) -> None:
    refused(b"<svg><metadata><c2pa:manifest>" + wrong + b"</c2pa:manifest></metadata></svg>")
    assert found(b"<svg><metadata><c2pa:manifest>AAAA</c2pa:manifest></metadata></svg>") == bytes(3)


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (b"\xff\xd8\xff\xeb\xff\xff\0\0", 4),
        (b"\xff\xd8\xff\xeb\0\1", 4),
        (b"\xff\xd8" + segment(0xE0, b"x"), 7),
        (with_chunks(struct.pack(">I", 0x7FFFFFFF) + b"caBX"), 33),
        (riff(b"WEBP", b"C2PA\xff\xff\xff\x7f" + bytes(9)), 12),
        (FTYP + struct.pack(">I", 0x7FFFFFFF) + b"uuid" + C2PA_BOX, 20),
        (FTYP + b"\0\0\0\1uuid" + b"\xff" * 8, 20),
        (FTYP + b"\0\0\0\7uuid", 20),
        (b"ID3\4\0\0\x7f\x7f\x7f\x7f", 6),
        (b"ID3\4\0\0\xff\0\0\0", 6),
        (b"ID3\5\0\0\0\0\0\0", 3),
        (b"II*\0\x08\0\0\0\xff\xff" + bytes(20), 10),
        (b"GIF89a" + bytes(7) + b"\x21\xff\xff", 271),
        (b"GIF89a" + bytes(7) + b"\x55", 13),
        (b"\0\0\1\0jumb" + bytes(20), 0),
        (b"PK\x03\x04" + bytes(40), 0),
    ],
)
def test_a_length_that_leads_out_of_the_file_is_refused_with_its_place(
    data: bytes, at: int
) -> None:
    refused(data, at=at)


def test_tiff_directories_in_a_circle_are_refused() -> None:
    refused(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0", at=8, saying="circle")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_of_either_order_and_size_is_read_from_its_last_page(order: str, big: bool) -> None:
    word = "Q" if big else "I"
    head = (b"II" if order == "<" else b"MM") + struct.pack(
        f"{order}HHH" if big else f"{order}H", *((43, 8, 0) if big else (42,))
    )
    first = len(head) + struct.calcsize(word)
    row = f"{order}HH{word}{word}"
    count = "Q" if big else "H"
    page = struct.calcsize(f"{order}{count}") + struct.calcsize(row) + struct.calcsize(word)
    store_at = first + 2 * page

    def directory(tag: int, kind: int, following: int) -> bytes:
        entry = struct.pack(row, tag, kind, len(STORE), store_at)
        return struct.pack(f"{order}{count}", 1) + entry + struct.pack(f"{order}{word}", following)

    def file(tags: tuple[int, int], kind: int = 7) -> bytes:
        pages = directory(tags[0], kind, first + page) + directory(tags[1], kind, 0)
        return head + struct.pack(f"{order}{word}", first) + pages + STORE

    assert found(file((256, 0xCD41))) == STORE
    assert found(file((0xCD41, 256))) == STORE
    assert found(file((256, 257))) is None
    refused(file((0xCD41, 0xCD41)), saying="second")
    refused(file((256, 0xCD41), kind=1), saying="type")


def test_a_store_over_the_limit_is_refused_and_one_at_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("png", "webp", "gif", "tiff", "mp4", "jxl", "mp3", "pdf", "zip", "jpeg"):
        data, store = signed(name)
        monkeypatch.setattr(
            extract, "MAX_STORE_BYTES", len(store) + (100 if name in ("gif", "mp3") else 0)
        )
        assert found(data) == store
        monkeypatch.setattr(extract, "MAX_STORE_BYTES", len(store) - 1)
        refused(data, saying="limit")


def test_pieces_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_PIECES", 100)
    refused(with_chunks(png_chunk(b"teXt", b"") * 101), saying="over 100 pieces")
    refused(b"\xff\xd8" + segment(0xE0, b"") * 101, saying="over 100 pieces")
    refused(riff(b"WEBP", chunk(b"abcd", b"") * 101), saying="over 100 pieces")
    refused(FTYP + boxed(b"free", b"") * 101, saying="over 100 pieces")
    refused(b"GIF89a" + bytes(7) + b"\x21\xfe\0" * 101, saying="over 100 pieces")
    assert found(with_chunks(png_chunk(b"teXt", b"") * 90)) is None


def test_a_file_full_of_what_looks_like_a_store_is_refused_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extract_documents, "_MAX_CANDIDATES", 10)
    refused(b"%PDF-1.7\n" + STORE[16:32] * 11, saying="over 10")


class Counting(io.BytesIO):
    """Counts the bytes that are read out of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_nothing_of_a_large_file_is_read_but_what_leads_to_the_store() -> None:
    source = Counting(FTYP + boxed(b"mdat", bytes(32 << 20)) + box_with(STORE))
    assert find_store(source, "video/mp4") == STORE
    assert source.taken < 100_000


@pytest.mark.parametrize("junk", [b"\0\xff\x01", b"\0" * 999 + b"\xff\x01", b"\xff\xff\x01"])
def test_junk_in_a_jpeg_is_not_read_again_for_each_of_its_markers(junk: bytes) -> None:
    source = Counting(b"\xff\xd8" + junk * (600_000 // len(junk)))
    with pytest.raises(MalformedContentError):
        find_store(source)
    assert source.taken < 4 * 600_000


def test_what_is_no_container_has_no_store() -> None:
    for data in (b"", b"plain text", b"RIFFtext", b"0000free text", unsigned("mp3")):
        assert found(data, "text/plain") is None
    assert container_of(b"\x00\x00\x00\x10jumb") == "c2pa"
    assert found(STORE) == STORE


SEEDS = [signed(name)[0] for name in NAMES] + [STORE]


@given(st.binary(max_size=300), st.sampled_from([seed[:16] for seed in SEEDS]))
@example(b"", b"")
def test_any_bytes_have_a_store_or_none_or_are_refused(data: bytes, head: bytes) -> None:
    for whole in (data, head + data):
        try:
            store = found(whole, "image/svg+xml")
        except MalformedContentError:
            continue
        assert store is None or len(store) <= len(whole)


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0), st.binary(max_size=4)), min_size=1, max_size=4),
)
def test_a_changed_file_has_a_store_or_none_or_is_refused(
    seed: bytes, changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(seed)
    for place, put in changes:
        start = place % len(data)
        data[start : start + len(put)] = put
    try:
        store = found(bytes(data))
    except MalformedContentError:
        return
    assert store is None or len(store) <= len(data)
