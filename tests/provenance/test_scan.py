"""Scans: one line for each file, in order, whatever a file does to those who look at it."""

import functools
import io
import json
import os
import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import example, given
from hypothesis import strategies as st

from countermark.provenance.errors import ScanError
from countermark.provenance.scan import (
    PoolOptions,
    ScanItem,
    ScanOptions,
    items_of_folder,
    items_of_lines,
    items_of_list,
    judge_batch,
    scan,
)
from countermark.provenance.scan_items import MAX_LINE_BYTES
from countermark.provenance.scan_report import scan_page
from countermark.provenance.scan_summary import Tally
from countermark.provenance.trust import TrustBundle, TrustList, dump_trust, load_trust
from countermark.provenance.verdict import TrustUsed
from countermark.signing.errors import FileExistsRefusedError
from support.credentials import make_credentials
from support.media import MEDIA, sign_media, signed, unsigned

POOL = PoolOptions(jobs=2, batch=3)


def trust() -> TrustBundle:
    listed = TrustList("tests", "manifest", (make_credentials().ca_der,))
    return load_trust(
        dump_trust(TrustBundle(name="tests", dated=date(2026, 8, 5), lists=(listed,)))
    )


def believing(*, prefilter: bool = True) -> ScanOptions:
    return ScanOptions(trust=trust(), prefilter=prefilter)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a signed, a changed and an unsigned file of some kinds."""
    made = tmp_path / "files"
    (made / "inner").mkdir(parents=True)
    for name in ("jpeg", "png", "mp3"):
        data = signed(name)[0]
        changed = bytearray(data)
        changed[-3] ^= 1
        (made / f"{name}-signed").write_bytes(data)
        (made / "inner" / f"{name}-changed").write_bytes(changed)
        (made / f"{name}-unsigned").write_bytes(unsigned(name))
    (made / "notes.txt").write_text("nothing to see")
    (made / "empty").write_bytes(b"")
    return made


def lines_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_bytes().splitlines()]


def test_a_scan_has_a_line_for_each_file_in_order_and_counts_them(
    folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    seen: list[int] = []
    summary = scan(
        items_of_folder(folder), output, options=believing(), pool=POOL, progress=seen.append
    )
    lines = lines_of(output)
    assert [line["index"] for line in lines] == list(range(11))
    assert [Path(line["file"]).name for line in lines] == [
        "empty",
        "jpeg-changed",
        "mp3-changed",
        "png-changed",
        "jpeg-signed",
        "jpeg-unsigned",
        "mp3-signed",
        "mp3-unsigned",
        "notes.txt",
        "png-signed",
        "png-unsigned",
    ]
    verdicts = {Path(line["file"]).name: line["verdict"] for line in lines}
    for name in ("jpeg", "png", "mp3"):
        assert verdicts[f"{name}-signed"] == "verified"
        assert verdicts[f"{name}-changed"] == "tampered"
        assert verdicts[f"{name}-unsigned"] == "nothing-to-verify"
    assert seen == list(range(1, 12))
    assert (summary.files, summary.resumed) == (11, 0)
    assert {count.name: count.files for count in summary.verdicts} == {
        "nothing-to-verify": 5,
        "verified": 3,
        "tampered": 3,
    }
    assert [(count.name, count.files) for count in summary.sources] == [
        ("trainedAlgorithmicMedia", 6)
    ]
    assert sum(count.files for count in summary.signers) == 6
    assert {noted.verdict for noted in summary.noted} == {"tampered"}


def test_a_line_says_who_signed_and_how_it_was_made(folder: Path) -> None:
    (line,) = judge_batch([ScanItem(7, str(folder / "png-signed"), "row-7")], believing())
    assert (line["index"], line["id"], line["verdict"]) == (7, "row-7", "verified")
    assert line["media_type"] == "image/png"
    assert line["size"] == len(signed("png")[0])
    assert line["carrier"] == "embedded"
    assert line["signer"]["trusted_by"] == "tests"  # type: ignore[index]
    assert line["disclosure"]["digital_source_type"] == "trainedAlgorithmicMedia"  # type: ignore[index]
    assert line["axes"]["integrity"] == "held"  # type: ignore[index]
    assert json.loads(json.dumps(line)) == line


def test_the_batch_function_is_a_plain_value_that_any_engine_can_map(folder: Path) -> None:
    judge = functools.partial(judge_batch, options=believing())
    again = pickle.loads(pickle.dumps(judge))  # noqa: S301
    items = list(items_of_folder(folder))
    assert again(items) == judge(items)
    assert [line["index"] for line in again(items[4:6])] == [4, 5]


@pytest.mark.parametrize("name", sorted(MEDIA))
def test_the_prefilter_changes_no_verdict(name: str, tmp_path: Path) -> None:
    for kind, data in (("signed", signed(name)[0]), ("unsigned", unsigned(name))):
        suffix = ".svg" if name == "svg" else ".mp3" if name == "mp3" else ".bin"
        (tmp_path / f"{kind}{suffix}").write_bytes(data)
    items = list(items_of_folder(tmp_path))
    quick = judge_batch(items, believing())
    slow = judge_batch(items, believing(prefilter=False))
    assert [(a["verdict"], a["code"]) for a in quick] == [(b["verdict"], b["code"]) for b in slow]


def test_a_manifest_beside_a_file_counts_and_is_no_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(b"some data")
    (tmp_path / "data.bin.c2pa").write_bytes(signed("png")[1])
    (tmp_path / "lonely.c2pa").write_bytes(signed("png")[1])
    items = list(items_of_folder(tmp_path))
    assert [Path(item.path).name for item in items] == ["data.bin", "lonely.c2pa"]
    beside, _ = judge_batch(items, believing())
    assert beside["carrier"] == "sidecar"
    assert beside["verdict"] in ("tampered", "malformed")


def test_links_and_pipes_are_not_followed_or_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "real.png").write_bytes(signed("png")[0])
    (tmp_path / "a" / "link.png").symlink_to("real.png")
    (tmp_path / "a" / "around").symlink_to(".", target_is_directory=True)
    os.mkfifo(tmp_path / "a" / "pipe")
    assert [Path(item.path).name for item in items_of_folder(tmp_path)] == ["real.png"]
    asked = [
        ScanItem(n, str(tmp_path / "a" / name)) for n, name in enumerate(("pipe", "gone", "."))
    ]
    for line in judge_batch(asked):
        assert (line["verdict"], line["code"]) == ("inconclusive", "content-not-found")


def test_a_name_that_is_not_utf8_has_a_line_and_can_be_resumed(tmp_path: Path) -> None:
    made = tmp_path / "files"
    made.mkdir()
    (made / os.fsdecode(b"\xff\x1b[2J.png")).write_bytes(signed("png")[0])
    output = tmp_path / "out.jsonl"
    assert scan(items_of_folder(made), output, pool=POOL).resumed == 0
    summary = scan(items_of_folder(made), output, pool=POOL, resume=True)
    assert (summary.files, summary.resumed) == (1, 1)
    (line,) = lines_of(output)
    assert Path(line["file"]).name == "\\xff\x1b[2J.png"
    assert b"\x1b" not in output.read_bytes()
    assert "\x1b" not in summary.noted[0].file


def _interrupted(items: Iterator[ScanItem], after: int) -> Iterator[ScanItem]:
    for item in items:
        if item.number == after:
            raise KeyboardInterrupt
        yield item


def test_an_interrupted_scan_leaves_whole_lines_and_goes_on_to_the_same_end(
    folder: Path, tmp_path: Path
) -> None:
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    expected = scan(items_of_folder(folder), whole, options=believing(), pool=POOL)
    one = PoolOptions(jobs=1, batch=1)
    with pytest.raises(KeyboardInterrupt):
        scan(
            _interrupted(items_of_folder(folder), 10),
            output,
            options=believing(),
            pool=one,
        )
    done = len(lines_of(output))
    with output.open("ab") as file:
        file.write(b'{"index":')  # As a crash of the machine would leave it.
    summary = scan(items_of_folder(folder), output, options=believing(), pool=POOL, resume=True)
    assert output.read_bytes() == whole.read_bytes()
    assert summary == expected._replace(resumed=done)


def test_an_output_that_is_there_is_kept(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("mine")
    with pytest.raises(FileExistsRefusedError):
        scan(items_of_folder(folder), output, pool=POOL)
    for text in ("mine", "mine\n", '{"indices"', "[]"):
        output.write_text(text)
        with pytest.raises(ScanError) as caught:
            scan(items_of_folder(folder), output, pool=POOL, resume=True)
        assert caught.value.code == "content-scan"
        assert output.read_text() == text


@pytest.mark.parametrize("fault", ["files", "options", "array", "fewer", "other"])
def test_an_output_of_other_files_or_options_is_not_continued(
    fault: str, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    scan(items_of_folder(folder), output, pool=POOL)
    before = output.read_bytes()
    options = ScanOptions()
    match fault:
        case "files":
            (folder / "a-new-one").write_bytes(b"")
        case "options":
            options = believing()
        case "fewer":
            (folder / "png-unsigned").unlink()
        case "array":
            output.write_bytes(b"[]\n")
        case _:
            output.write_bytes(before.replace(b'"index":0', b'"index":1', 1))
    kept = output.read_bytes()
    with pytest.raises(ScanError) as caught:
        scan(items_of_folder(folder), output, options=options, pool=POOL, resume=True)
    assert caught.value.code == "content-scan"
    assert output.read_bytes() == kept


def test_two_scans_cannot_write_to_one_output(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"

    def second(_: int) -> None:
        with pytest.raises(ScanError):
            scan(items_of_folder(folder), output, pool=POOL, resume=True)

    scan(list(items_of_folder(folder))[:1], output, pool=POOL, progress=second)
    assert len(lines_of(output)) == 1


def _large(path: Path, head: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def test_a_file_that_takes_too_long_costs_itself_only(tmp_path: Path) -> None:
    made = tmp_path / "files"
    made.mkdir()
    _large(made / "b-slow.bin", b"", 1 << 36)  # A hole: hashing it takes a minute.
    _, store = sign_media("application/octet-stream", b"x", embed=False)
    (made / "b-slow.bin.c2pa").write_bytes(store)
    for name in ("a.png", "c.png", "d.png"):
        (made / name).write_bytes(signed("png")[0])
    output = tmp_path / "out.jsonl"
    pool = PoolOptions(jobs=2, batch=4, timeout_s=2.0)
    summary = scan(items_of_folder(made), output, options=believing(), pool=pool)
    assert [line["code"] for line in lines_of(output)] == [
        "verified",
        "scan-timeout",
        "verified",
        "verified",
    ]
    assert summary.of("inconclusive") == 1
    assert "2 seconds" in summary.noted[0].sentence


def test_a_file_that_takes_too_much_memory_costs_itself_only(tmp_path: Path) -> None:
    made = tmp_path / "files"
    made.mkdir()
    _large(made / "b-large.jpg", signed("jpeg")[0], 3 << 29)  # c2pa reads a JPEG into memory.
    for name in ("a.png", "c.png"):
        (made / name).write_bytes(signed("png")[0])
    output = tmp_path / "out.jsonl"
    pool = PoolOptions(jobs=1, memory_bytes=1 << 30)
    scan(items_of_folder(made), output, options=believing(), pool=pool)
    first, crashed, last = lines_of(output)
    assert (first["verdict"], last["verdict"]) == ("verified", "verified")
    assert crashed["verdict"] in ("inconclusive", "malformed")
    assert crashed["code"] in ("scan-crashed", "malformed-content")


def test_workers_that_cannot_start_are_an_error_and_not_a_verdict(
    folder: Path, tmp_path: Path
) -> None:
    pool = PoolOptions(jobs=1, memory_bytes=32 << 20)
    with pytest.raises(ScanError) as caught:
        scan(items_of_folder(folder), tmp_path / "out.jsonl", pool=pool)
    assert "could not start" in str(caught.value)
    assert lines_of(tmp_path / "out.jsonl") == []


def test_an_outdated_trust_bundle_shows_in_every_line_that_rests_on_it(folder: Path) -> None:
    listed = TrustList("tests", "manifest", (make_credentials().ca_der,))
    old = TrustBundle(
        name="old", dated=date(2020, 1, 1), valid_until=date(2020, 1, 2), lists=(listed,)
    )
    options = ScanOptions(trust=old, now=datetime.now(UTC))
    (line,) = judge_batch([ScanItem(0, str(folder / "png-signed"))], options)
    assert (line["verdict"], line["code"]) == ("outside-validity", "trust-bundle-outdated")


def test_a_list_names_files_relative_to_itself(tmp_path: Path) -> None:
    text = io.BytesIO(b"a.png\n\n/abs/b.png\r\nwith space \n")
    assert [item.path for item in items_of_list(text, beside=tmp_path)] == [
        str(tmp_path / "a.png"),
        "/abs/b.png",
        str(tmp_path / "with space "),
    ]


def test_jsonl_names_files_and_their_ids(tmp_path: Path) -> None:
    text = io.BytesIO(b'{"path":"a.png","id":"x","more":[1]}\n\n{"id":7,"path":"/b"}\n{"path":"c"}')
    assert list(items_of_lines(text, beside=tmp_path)) == [
        ScanItem(0, str(tmp_path / "a.png"), "x"),
        ScanItem(1, "/b", 7),
        ScanItem(2, str(tmp_path / "c")),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"path":5}',
        b'{"path":""}',
        b'{"path":"a\\u0000b"}',
        b'{"path":"a","id":true}',
        b'{"path":"a","id":[]}',
        b'{"path":"a","path":"b"}',
        b"x" * (MAX_LINE_BYTES + 1),
    ],
)
def test_a_line_that_names_no_file_ends_the_scan(line: bytes, tmp_path: Path) -> None:
    with pytest.raises(ScanError) as caught:
        list(items_of_lines(io.BytesIO(b'{"path":"a"}\n' + line), beside=tmp_path))
    assert "line 2" in str(caught.value)


@given(st.binary(max_size=200))
@example(b"a\0b")
def test_any_list_names_files_or_is_refused(data: bytes) -> None:
    for read in (items_of_list, items_of_lines):
        try:
            items = list(read(io.BytesIO(data), beside=Path("/base")))
        except ScanError:
            continue
        assert [item.number for item in items] == list(range(len(items)))


def test_counting_a_million_names_takes_no_more_memory_than_ten_thousand() -> None:
    tally = Tally()
    for number in range(12_000):
        signer = {"organization": f"o{number}"}
        tally.add({"file": "f", "verdict": "tampered", "manifest": "m", "signer": signer})
    summary = tally.summary(resumed=0)
    assert summary.files == sum(count.files for count in summary.signers) == 12_000
    assert len(summary.signers) == 10_001
    assert summary.signers[0].name == "(others)"
    assert (len(summary.noted), summary.not_noted) == (1000, 11_000)


def test_a_report_escapes_what_files_say_and_stands_alone() -> None:
    tally = Tally()
    evil = '<script>alert("x")</script>'
    tally.add(
        {
            "file": evil,
            "verdict": "tampered",
            "code": "content-changed",
            "sentence": "\x1b[2J" + evil,
            "manifest": "m",
            "signer": {"organization": evil},
            "disclosure": {"digital_source_type": evil, "model_name": evil},
            "media_type": "image/png",
        }
    )
    page = scan_page(
        tally.summary(resumed=0), subject=evil, trust=TrustUsed(evil, "2026-08-05", "a" * 64)
    )
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page or "default-src &#x27;none&#x27;" in page
    assert "src=" not in page
    assert "href=" not in page
    assert "100.00%" in page


def test_a_report_of_nothing_is_a_page_too() -> None:
    page = scan_page(Tally().summary(resumed=0), subject="x", trust=None)
    assert "0 files" in page
    assert "nobody is believed" in page
