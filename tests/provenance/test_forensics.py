"""What happened to a broken mark, and what makes it whole again (every case of survival)."""

import html
import io
import json
import re
import unicodedata
from collections.abc import Callable

import pytest

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from countermark.provenance import forensics
from countermark.provenance.carrier import Carrier
from countermark.provenance.errors import ProvenanceError
from countermark.provenance.forensics import diagnose
from countermark.provenance.html_script import HtmlScript
from countermark.provenance.text_repairs import repairs
from countermark.provenance.text_wrapper import TextWrapper
from countermark.provenance.verdict import Diagnosis
from countermark.signing.verdict import Outcome
from support.signed_texts import TEXT, block, outcome, signed, signed_text

MARKER = "\ufeff"
TEXT_CARRIER = TextWrapper()


def judge(carrier: Carrier = TEXT_CARRIER) -> Callable[[bytes], Outcome]:
    def judged(data: bytes) -> Outcome:
        try:
            return outcome(carrier, data)
        except ProvenanceError:
            return Outcome.MALFORMED

    return judged


def diagnosed(data: bytes, carrier: Carrier = TEXT_CARRIER) -> list[str]:
    """Return the codes of repairs that work, or else, in brackets, of what was seen."""
    found = diagnose(data, judge(carrier))
    for diagnosis in found:
        # Nothing is said to help but what was tried, and what was tried says how it came out.
        assert bool(diagnosis.repair) == (diagnosis.repaired_outcome is Outcome.VERIFIED)
    return [one.code if one.repair else f"[{one.code}]" for one in found]


def on_text(change: Callable[[str], str]) -> bytes:
    return change(signed_text().decode()).encode("utf-8", "surrogatepass")


# --- What text goes through (field notes 2.4).

SURVIVED: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "json": lambda text: json.loads(json.dumps(text)),
    "utf-16": lambda text: text.encode("utf-16").decode("utf-16"),
    "html": lambda text: html.unescape(html.escape(text)),
    "nfc": lambda text: unicodedata.normalize("NFC", text),
}


@pytest.mark.parametrize("name", SURVIVED)
def test_what_a_mark_survives_needs_no_repair(name: str) -> None:
    assert judge()(on_text(SURVIVED[name])) is Outcome.VERIFIED


REPAIRED: dict[str, tuple[Callable[[str], str], list[str]]] = {
    "U+FEFF removed": (lambda t: t.replace(MARKER, ""), ["marker-removed"]),
    "category Cf removed": (
        lambda t: "".join(c for c in t if unicodedata.category(c) != "Cf"),
        ["marker-removed"],
    ),
    "isprintable": (
        lambda t: "".join(c for c in t if c.isprintable() or c == "\n"),
        ["marker-removed"],
    ),
    "NFD": (lambda t: unicodedata.normalize("NFD", t), ["normal-form-nfd"]),
    "CR LF": (lambda t: t.replace("\n", "\r\n"), ["line-ends-crlf"]),
    "line end added": (lambda t: t + "\n", ["newline-added"]),
    "CR LF added": (lambda t: t + "\r\n", ["newline-added"]),
    "byte order mark added": (lambda t: MARKER + t, ["bom-added"]),
    "quoted": (
        lambda t: "".join(f"> {line}\n" for line in t.split("\n")),
        ["quote-prefix", "newline-added"],
    ),
    "quoted, one line end": (lambda t: re.sub("^", "> ", t, flags=re.M), ["quote-prefix"]),
    "indented": (lambda t: re.sub("^", "    ", t, flags=re.M), ["indented"]),
    "pasted twice": (lambda t: t + t, ["mark-duplicated"]),
    "mark twice": (lambda t: t + t[len(TEXT.decode()) :], ["mark-duplicated"]),
    "escaped as HTML": (html.escape, ["html-escaped"]),
    "escaped as JSON": (lambda t: json.dumps(t)[1:-1], ["json-escaped"]),
    "a JSON string": (json.dumps, ["json-escaped"]),
    "signature added": (lambda t: t + "\n-- \nsent from a phone", ["text-added-after"]),
    "greeting added": (lambda t: "Dear all,\n" + t, ["text-added-before"]),
    "mark moved to the front": (
        lambda t: t[len(TEXT.decode()) :] + TEXT.decode(),
        ["mark-moved"],
    ),
    "last white space gone": (
        lambda t: TEXT.decode().removesuffix("\n") + t[len(TEXT.decode()) :],
        ["whitespace-stripped"],
    ),
    "read as Latin-1": (lambda t: t.encode().decode("latin-1"), ["mojibake"]),
    "CR LF and NFD": (
        lambda t: unicodedata.normalize("NFD", t).replace("\n", "\r\n"),
        ["line-ends-crlf", "normal-form-nfd"],
    ),
    "U+FEFF removed, CR LF, and a line end": (
        lambda t: t.replace(MARKER, "").replace("\n", "\r\n") + "\r\n",
        ["marker-removed", "line-ends-crlf", "newline-added"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPAIRED)
def test_what_can_be_undone_is_said_and_makes_the_mark_whole(name: str) -> None:
    change, want = REPAIRED[name]
    data = on_text(change)
    assert judge()(data) is not Outcome.VERIFIED
    assert diagnosed(data) == want


def test_a_text_that_was_stored_as_utf_16_is_whole_as_utf_8() -> None:
    data = signed_text().decode().encode("utf-16")
    assert diagnosed(data) == ["utf-16"]


def test_a_byte_order_mark_that_was_signed_and_is_gone_is_put_back() -> None:
    data = signed_text(MARKER.encode() + TEXT)
    assert diagnosed(data[3:]) == ["bom-removed"]


def test_line_ends_that_were_cr_lf_are_put_back() -> None:
    data = signed_text(TEXT.replace(b"\n", b"\r\n"))
    assert diagnosed(data.replace(b"\r\n", b"\n")) == ["line-ends-lf"]


def test_text_that_was_taken_apart_when_it_was_signed_is_taken_apart_again() -> None:
    data = signed_text(unicodedata.normalize("NFD", TEXT.decode()).encode())
    composed = unicodedata.normalize("NFC", data.decode()).encode()
    assert diagnosed(composed) == ["normal-form-nfc"]


LOST: dict[str, tuple[Callable[[str], str], list[str], str]] = {
    "an edit": (lambda t: t.replace("jagen", "fegen"), ["[text-changed]"], "as many bytes"),
    "a longer edit": (lambda t: t.replace("jagen", "jagten"), ["[text-longer]"], ""),
    "an excerpt": (lambda t: t[8:], ["[excerpt]"], "cannot be restored"),
    "white space collapsed": (
        lambda t: re.sub(r"\s+", " ", t[: len(TEXT.decode())]).strip() + t[len(TEXT.decode()) :],
        ["[excerpt]"],
        "",
    ),
    "selectors cut off": (lambda t: t[: len(TEXT.decode()) + 1 + 500], ["[mark-cut]"], " %"),
    "all but the header cut off": (
        lambda t: t[: len(TEXT.decode()) + 1 + 9],
        ["[mark-cut]"],
        "after 9",
    ),
    "cut off, without U+FEFF": (
        lambda t: t[: len(TEXT.decode()) + 1 + 500].replace(MARKER, ""),
        ["[marker-removed]"],
        "",
    ),
    "three bytes at most": (
        lambda t: "".join(c for c in t if ord(c) < 0x10000),
        ["[selectors-lost]"],
        "four bytes",
    ),
    "only four bytes": (
        lambda t: re.sub("[\ufe00-\ufe0f]", "", t),
        ["[selectors-lost]"],
        "some of its",
    ),
    "category Mn removed": (
        lambda t: "".join(c for c in t if unicodedata.category(c) != "Mn"),
        [],
        "",
    ),
    "ASCII alone": (lambda t: t.encode("ascii", "ignore").decode(), [], ""),
}


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_undone_is_said_as_far_as_it_shows(name: str) -> None:
    change, want, words = LOST[name]
    data = on_text(change)
    assert diagnosed(data) == want
    assert words in " ".join(one.sentence for one in diagnose(data, judge()))


def test_a_cut_mark_says_how_much_of_it_is_here() -> None:
    mark = signed_text().decode()[len(TEXT.decode()) + 1 :]
    for share in (1, 74, 99):
        count = len(mark) * share // 100
        (found,) = diagnose(TEXT + (MARKER + mark[:count]).encode(), judge())
        here = 100 * count // len(mark)
        want = f"{count} of its {len(mark)} characters are here, {here} %"
        assert want in found.sentence


# --- Code and HTML.

CODE = b"# \xc3\xa4\nx = '&'\n"
CODE_REPAIRED: dict[str, tuple[Callable[[bytes], bytes], list[str]]] = {
    "CR LF": (lambda d: d.replace(b"\n", b"\r\n"), ["line-ends-crlf"]),
    "line end added": (lambda d: d + b"\n", ["newline-added"]),
    "line end removed": (lambda d: d[:-1], ["newline-removed"]),
    "NFD": (lambda d: unicodedata.normalize("NFD", d.decode()).encode(), ["normal-form-nfd"]),
    "byte order mark": (lambda d: MARKER.encode() + d, ["bom-added"]),
    "quoted": (lambda d: re.sub(rb"^(?!\Z)", b"> ", d, flags=re.M), ["quote-prefix"]),
    "escaped": (lambda d: html.escape(d.decode()).encode(), ["html-escaped"]),
    "broken into lines": (
        lambda d: d[:200] + b"\n" + d[200:900] + b"\r\n" + d[900:],
        ["block-wrapped"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CODE_REPAIRED)
def test_code_is_repaired_too(name: str) -> None:
    carrier = block("a.py")
    data, _ = signed(carrier, CODE)
    change, want = CODE_REPAIRED[name]
    assert diagnosed(change(data), carrier) == want


def test_code_whose_block_is_cut_off_is_said_to_be() -> None:
    carrier = block("a.py")
    data, _ = signed(carrier, CODE)
    assert diagnosed(data[:1000], carrier) == ["[mark-cut]"]


def test_html_is_repaired_too() -> None:
    carrier = HtmlScript()
    data, _ = signed(carrier, b"<head></head>\n<p>x\n")
    assert diagnosed(data.replace(b"\n", b"\r\n"), carrier) == ["line-ends-crlf"]
    wrapped = data[:300] + b"\n" + data[300:]
    assert diagnosed(wrapped, carrier) == ["block-wrapped"]


# --- What it may cost, and what it never does.


def test_without_a_judge_nothing_is_said_to_work() -> None:
    data = on_text(lambda text: text.replace(MARKER, ""))
    (found,) = diagnose(data)
    assert (found.code, found.repair, found.repaired_outcome) == ("marker-removed", "", None)


def test_what_another_question_decides_still_counts_as_whole() -> None:
    data = on_text(lambda text: text.replace(MARKER, ""))

    def judged(repaired: bytes) -> Outcome:
        holds = judge()(repaired) is Outcome.VERIFIED
        return Outcome.UNTRUSTED_SIGNER if holds else Outcome.TAMPERED

    (found,) = diagnose(data, judged)
    assert found.repaired_outcome is Outcome.UNTRUSTED_SIGNER


def test_a_repair_that_does_not_hold_is_not_called_one() -> None:
    data = on_text(lambda text: text.replace(MARKER, "").replace("jagen", "fegen"))
    assert diagnosed(data) == ["[marker-removed]"]


def test_only_so_many_repairs_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forensics, "_plausible", lambda _data: True)
    calls: list[bytes] = []

    def judged(data: bytes) -> Outcome:
        calls.append(data)
        return Outcome.TAMPERED

    diagnose(on_text(lambda text: text.replace("jagen", "fegen")), judged)
    assert len(calls) == forensics.MAX_JUDGED


def test_only_so_many_bytes_are_diagnosed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = on_text(lambda text: text + "\n")
    monkeypatch.setattr(forensics, "MAX_FORENSIC_BYTES", len(data))
    assert diagnosed(data) == ["newline-added"]
    monkeypatch.setattr(forensics, "MAX_FORENSIC_BYTES", len(data) - 1)
    assert diagnose(data, judge()) == ()


def test_only_so_many_bytes_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    data = on_text(lambda text: text + "\n")
    monkeypatch.setattr(forensics, "_MAX_TRIED_BYTES", len(data))
    assert diagnosed(data) == ["[text-changed]"]


_PIECES = [
    *(b"\n", b"\r\n", b"> ", b"&amp;", b'"', b"\\ufeff", b"\xff\xfe", b"\xef\xbb\xbf", b"x"),
    *(b"-----BEGIN C2PA MANIFEST-----", b"-----END C2PA MANIFEST-----", b"\xc3\xaf\xc2\xbb"),
    *(b"data:application/c2pa;base64,", b'<script type="application/c2pa">', b"</script>"),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=4), max_size=12), st.integers(0, 80))
def test_any_bytes_are_diagnosed_without_an_error(pieces: list[bytes], at: int) -> None:
    noise = b"".join(pieces)
    mark = "\ufeff".encode() + signed_text()[len(TEXT) + 3 : len(TEXT) + 3 + at]
    for data in (noise, noise + mark, mark + noise):
        for found in diagnose(data, lambda _: Outcome.TAMPERED):
            assert isinstance(found, Diagnosis)
            assert not found.repair
        assert len(list(repairs(data))) < 40


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_signed_text_is_diagnosed_without_an_error(at: int, change: int) -> None:
    data = bytearray(signed_text())
    data[at % len(data)] ^= change
    for found in diagnose(bytes(data), judge()):
        assert found.code
        assert io.StringIO(found.sentence).read()
