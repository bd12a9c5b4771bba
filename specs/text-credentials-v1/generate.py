"""Write the text-credentials-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark. Selectors are computed character by character from the formula of
C2PA 2.5 A.8.3.1, and every exclusion is where this script put the mark.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from pathlib import Path

VECTORS = Path(__file__).parent / "vectors"
STORE = bytes.fromhex("000000206a756d62") + bytes(range(24))  # Boxes of no meaning.
BEGIN, END = b"-----BEGIN C2PA MANIFEST-----", b"-----END C2PA MANIFEST-----"
BASE64 = base64.b64encode(STORE)
DATA = b"data:application/c2pa;base64," + BASE64
SCRIPT = b'<script type="application/c2pa">' + BASE64 + b"</script>"
TEXT = "Caf\u00e9 \u6f22\n".encode()


def mark(
    padding: bytes = b"", *, version: int = 1, length: int = 32, store: bytes = STORE
) -> bytes:
    """Return a wrapper (A.8), by default a whole one."""
    body = b"C2PATXT\0" + bytes([version]) + length.to_bytes(4, "big") + store + padding
    selectors = (chr(0xFE00 + b) if b < 16 else chr(0xE0100 + b - 16) for b in body)
    return ("\ufeff" + "".join(selectors)).encode()


def line(prefix: bytes = b"# ", suffix: bytes = b"", reference: bytes = DATA) -> bytes:
    """Return a block (A.9) on one line, without its terminator."""
    return prefix + BEGIN + b" " + reference + b" " + END + suffix


def write(name: str, carrier: str, spec: str, why: str, asset: bytes, **expected: object) -> None:
    """Write one vector."""
    vector = {
        "carrier": carrier,
        "spec": spec,
        "why": why,
        "asset": base64.b64encode(asset).decode(),
        **expected,
    }
    (VECTORS / f"{name}.json").write_text(json.dumps(vector, indent=1) + "\n")


def refused(name: str, carrier: str, spec: str, why: str, asset: bytes) -> None:
    """Write a vector that is refused."""
    write(name, carrier, spec, why, asset, expect="malformed-content")


def absent(name: str, carrier: str, spec: str, why: str, asset: bytes) -> None:
    """Write a vector in which there is no store."""
    write(name, carrier, spec, why, asset, expect="no-manifest")


def found(
    name: str, carrier: str, spec: str, why: str, before: bytes, excluded: bytes, after: bytes,
    url: str = "",
) -> None:  # fmt: skip
    """Write a vector of which `excluded` is what the hash leaves out."""
    rest = before + after
    if carrier == "text-wrapper":
        rest = unicodedata.normalize("NFC", rest.decode()).encode()
    write(
        name, carrier, spec, why, before + excluded + after,
        expect="ok",
        store="" if url else STORE.hex(),
        url=url,
        exclusions=[[len(before), len(excluded)]] if excluded else [],
        sha256=hashlib.sha256(rest).hexdigest(),
    )  # fmt: skip


def text() -> None:
    """Write the vectors of section 2."""
    kind = "text-wrapper"
    gap = 3 + (13 + 32) * 4 + 6 - len(mark())
    padded = bytes((gap - 4 * (gap % 3)) // 3) + b"\x10" * (gap % 3)
    found("text-unpadded", kind, "2.4", "as we and c2patxt write it", TEXT, mark(), b"")
    found("text-padded-2.5", kind, "2.4", "C2PA 2.5 A.8.5", TEXT, mark(padded), b"")
    found("text-padded-ff", kind, "2.4", "as c2pa-text pads", TEXT, mark(b"\0\xff\xff"), b"")
    found("text-nfd", kind, "2.6", "hashed as NFC", b"e\xcc\x81", mark(), b"")
    found("text-seam", kind, "2.6", "removed, then normalised", b"e", mark(), b"\xcc\x81")
    found("text-bom", kind, "2.1", "a byte order mark is text", b"\xef\xbb\xbfa\r\n", mark(), b"")
    found("text-decoy", kind, "2.5", "what holds no store is none",
          mark(store=b"", length=0) + b"x", mark(), b"")  # fmt: skip
    refused("text-hidden", kind, "2.4", "hidden text behind the store", TEXT + mark(b"\0hi"))
    refused("text-order", kind, "2.4", "zeros come first", TEXT + mark(b"\x10\0"))
    refused("text-cut", kind, "2.2", "one selector is missing", TEXT + mark(length=33))
    refused("text-version", kind, "2.2", "version 2", TEXT + mark(version=2))
    refused("text-two", kind, "1.3", "two marks", TEXT + mark() + b"x" + mark())
    absent("text-bare", kind, "2.1", "no U+FEFF before the run", TEXT + mark()[3:])


def code() -> None:
    """Write the vectors of section 3."""
    kind = "text-block"
    found("code-first", kind, "3.3", "first line", b"", line() + b"\n", b"x = 1\n")
    found("code-crlf", kind, "3.3", "its terminator", b"", line() + b"\r\n", b"x = 1\r\n")
    found("code-last", kind, "3.3", "the newline before it", b"#!x\ny", b"\n" + line(), b"")
    found("code-last-crlf", kind, "3.3", "LF alone", b"#!x\r", b"\n" + line() + b"\r\n", b"")
    found("code-middle", kind, "3.3", "its own lines", b"x\n", line() + b"\n", b"y\n")
    three = BEGIN + b"\n" + DATA + b"\n" + END + b"\n"
    found("code-three", kind, "3.4", "front matter", b"---\n", three, b"a: 1\n---\n")
    found("code-bom", kind, "3.3", "is on no line", b"\xef\xbb\xbf", line() + b"\n", b"x\n")
    found("code-xml", kind, "3.6", "an instruction", b"", line(b"<?c2pa ", b" ?>") + b"\n", b"<a/>")
    url = "https://example.com/a.c2pa"
    found(
        "code-url", kind, "3.1", "an address", b"", line(reference=url.encode()) + b"\n", b"x", url
    )
    refused("code-before", kind, "3.5", "code before the comment", line(b"import os # ") + b"\n")
    refused("code-after", kind, "3.5", "code behind it", line(b"/* ", b" */ run()") + b"\n")
    refused("code-two", kind, "3.2", "two blocks", line() + b"\n" + line() + b"\n")
    refused("code-cut", kind, "3.2", "no end", line()[:80])
    refused("code-spelling", kind, "1.4", "other bits behind the last byte",
            line(reference=b"data:application/c2pa;base64,AB=="))  # fmt: skip
    absent("code-about", kind, "3.1", "speaks of delimiters", b'A = "' + BEGIN + b'"\n' + END)


def page() -> None:
    """Write the vectors of section 4."""
    kind, head, rest = "html-script", b"<!doctype html><head>", b"</head><p>x"
    found("html-script", kind, "4.3", "the whole element", head, SCRIPT, b"\n" + rest)
    found("html-no-head", kind, "4.1", "a head nobody wrote", b"", SCRIPT, b"<p>x")
    found("html-capitals", kind, "4.2", "case is the same", head,
          SCRIPT.replace(b"script", b"SCRIPT").replace(b"type", b"TYPE"), rest)  # fmt: skip
    link = b'<link href="https://example.com/a" rel="c2pa-manifest">'
    found("html-link", kind, "4.3", "no exclusion", head + link + rest, b"", b"",
          "https://example.com/a")  # fmt: skip
    absent("html-body", kind, "4.2", "outside the head", head + rest + SCRIPT)
    absent("html-comment", kind, "4.1", "in a comment", head + b"<!--" + SCRIPT + b"-->" + rest)
    absent("html-title", kind, "4.1", "in a title", head + b"<title>" + SCRIPT + b"</title>" + rest)
    refused("html-two", kind, "1.3", "a script and a link", head + SCRIPT + link + rest)
    refused("html-attribute", kind, "4.4", "an attribute nobody signed",
            head + SCRIPT.replace(b"<script", b"<script src=x") + rest)  # fmt: skip
    refused("html-types", kind, "4.4", "runs in a browser",
            head + SCRIPT.replace(b"<script", b"<script type=module") + rest)  # fmt: skip


if __name__ == "__main__":
    VECTORS.mkdir(exist_ok=True)
    for stale in VECTORS.glob("*.json"):
        stale.unlink()
    text()
    code()
    page()
