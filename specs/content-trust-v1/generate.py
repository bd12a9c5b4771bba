"""Write the content-trust-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark. Keys are Ed25519 keys of fixed bytes, so that every run writes
the same certificates; they guard nothing.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

VECTORS = Path(__file__).parent / "vectors"
Object = dict[str, Any]
Write = Callable[..., None]

FORMAT = "countermark/trust-bundle/v1"
CLAIM, DOCUMENT = "1.3.6.1.4.1.62558.2.1", "1.3.6.1.5.5.7.3.36"
TIME, OCSP, ANY, MAIL = (
    "1.3.6.1.5.5.7.3.8",
    "1.3.6.1.5.5.7.3.9",
    "2.5.29.37.0",
    "1.3.6.1.5.5.7.3.4",
)


def key(name: str) -> Ed25519PrivateKey:
    """Return the key of a name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def certificate(
    name: str, issuer: str, *, ca: bool = False, purposes: tuple[str, ...] = ()
) -> x509.Certificate:
    """Return the certificate of a name, issued by another."""

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key(name).public_key())
        .serial_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) | 1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if purposes:
        usage = x509.ExtendedKeyUsage([ObjectIdentifier(purpose) for purpose in purposes])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(key(issuer), None)


def pem(one: x509.Certificate) -> str:
    """Return a certificate in PEM form."""
    return one.public_bytes(Encoding.PEM).decode()


def digest(one: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate."""
    return hashlib.sha256(one.public_bytes(Encoding.DER)).hexdigest()


ROOT = certificate("root", "root", ca=True)
MIDDLE = certificate("middle", "root", ca=True)
CLOCK = certificate("clock", "clock", ca=True)
OTHER = certificate("other", "other", ca=True)
LEAF = certificate("leaf", "root", purposes=(CLAIM,))
BELOW = certificate("below", "middle", purposes=(DOCUMENT,))

BASE: Object = {
    "format": FORMAT,
    "name": "Trust of the vectors",
    "dated": "2026-08-05",
    "purposes": [CLAIM, DOCUMENT],
    "lists": [{"name": "CAs", "kind": "manifest", "certificates": [pem(ROOT)]}],
}
FULL: Object = BASE | {
    "valid_until": "2027-08-05",
    "lists": [
        {"name": "CAs", "kind": "manifest", "source": "here", "certificates": [pem(ROOT)]},
        {"name": "clocks", "kind": "tsa", "certificates": [pem(CLOCK)]},
        {"name": "people", "kind": "cawg", "certificates": [pem(OTHER), pem(MIDDLE)]},
    ],
    "allowed": [digest(LEAF)],
}


def changed(path: tuple[str | int, ...], value: object, base: Object = FULL) -> str:
    """Return a bundle with one value in the place of another; without it if it is Ellipsis."""
    document = copy.deepcopy(base)
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(document)


def build() -> dict[str, Object]:
    """Return every vector by file name without `.json`."""
    out: dict[str, Object] = {}

    def ok(name: str, why: str, text: str) -> None:
        out[f"ok-{name}"] = {"expect": "ok", "spec": "2", "why": why, "bundle": text}

    def no(name: str, spec: str, why: str, text: str) -> None:
        expect = "malformed-trust-bundle"
        out[name] = {"expect": expect, "spec": spec, "why": why, "bundle": text}

    def leaf(name: str, expect: str, why: str, chain: list[x509.Certificate], text: str) -> None:
        certificates = [pem(one) for one in chain]
        vector = {"expect": expect, "spec": "4.1", "why": why, "bundle": text}
        out[f"leaf-{name}"] = vector | {"chain": certificates}

    _files(ok, no)
    _signers(leaf)
    return out


def _files(ok: Write, no: Write) -> None:
    text = json.dumps(FULL)
    ok("least", "what must be there", json.dumps(BASE))
    ok("full", "all that may be there", text)
    ok("spaced", "white space", json.dumps(FULL, indent=2) + "\n")
    ok("no-list", "allowed signers only", changed(("lists",), []))
    ok("last-day", "to be used on its own day only", changed(("valid_until",), FULL["dated"]))
    no("empty", "2.1", "no byte at all", "")
    no("array", "2.1", "not an object", "[]")
    no("cut", "2.1", "cut short", text[:-1])
    no("same-key", "2.1", "a member twice", text.replace('"name"', '"name": "x", "name"', 1))
    no("nested", "2.1", "nested too deep", changed(("allowed",), [[[[[[]]]]]]))
    no("format", "2.2", "another version", changed(("format",), FORMAT[:-1] + "2"))
    no("unknown", "2.2", "an unknown member", changed(("allowed_list",), []))
    for name in ("format", "name", "dated", "purposes", "lists"):
        no(f"no-{name}", "2.2", f"no {name}", changed((name,), ...))
    no("name-empty", "2.3", "an empty name", changed(("name",), ""))
    no("name-long", "2.3", "201 characters", changed(("name",), "x" * 201))
    no("name-escape", "2.3", "a control character", changed(("name",), "a\x1b[2Jb"))
    no("name-bidi", "2.3", "a bidirectional mark", changed(("name",), "a\u202eb"))
    no("dated-time", "2.4", "a moment", changed(("dated",), "2026-08-05T00:00:00Z"))
    no("dated-month", "2.4", "a month that is none", changed(("dated",), "2026-13-05"))
    no("dated-week", "2.4", "a date of weeks", changed(("dated",), "2026-W32-3"))
    no("until-before", "2.4", "over before it begins", changed(("valid_until",), "2026-08-04"))
    no("until-null", "2.4", "null for no day", changed(("valid_until",), None))
    no("purposes-none", "2.5", "no purpose", changed(("purposes",), []))
    no(
        "purposes-many",
        "2.5",
        "17 purposes",
        changed(("purposes",), [f"1.2.{n}" for n in range(17)]),
    )
    no("purpose-word", "2.5", "a name", changed(("purposes",), ["claimSigning"]))
    no("purpose-zero", "2.5", "a leading zero", changed(("purposes",), ["1.2.03"]))
    for name, purpose in (("time", TIME), ("ocsp", OCSP), ("any", ANY)):
        no(f"purpose-{name}", "2.5", "not of signers", changed(("purposes",), [CLAIM, purpose]))
    twice = changed(("lists", 1, "name"), "CAs")
    no("list-twice", "2.6", "two lists of one name", twice)
    many = [FULL["lists"][0] | {"name": str(n)} for n in range(65)]
    no("lists-many", "2.6", "65 lists", changed(("lists",), many))
    no("allowed-upper", "2.7", "upper case", changed(("allowed",), [digest(LEAF).upper()]))
    no("allowed-short", "2.7", "63 digits", changed(("allowed",), [digest(LEAF)[:-1]]))
    no("allowed-pem", "2.7", "a certificate", changed(("allowed",), [pem(LEAF)]))
    place = ("lists", 0)
    no("list-text", "3.1", "not an object", changed(place, pem(ROOT)))
    no("list-unknown", "3.1", "an unknown member", changed((*place, "trust_config"), ""))
    for name in ("name", "kind", "certificates"):
        no(f"list-no-{name}", "3.1", f"no {name}", changed((*place, name), ...))
    no("source-empty", "3.1", "an empty source", changed((*place, "source"), ""))
    no("source-null", "3.1", "null for no source", changed((*place, "source"), None))
    no("list-kind", "3.2", "another kind", changed((*place, "kind"), "ocsp"))
    no("list-kind-number", "3.2", "a number", changed((*place, "kind"), 1))
    there = (*place, "certificates")
    no("list-empty", "3.3", "no certificate", changed(there, []))
    no("certificate-der", "3.3", "base64 without PEM", changed(there, [pem(ROOT)[28:-26]]))
    no("certificate-two", "3.3", "two in one text", changed(there, [pem(ROOT) + pem(OTHER)]))
    no("certificate-text", "3.3", "text before it", changed(there, ["x\n" + pem(ROOT)]))
    no("certificate-cut", "3.3", "cut short", changed(there, [pem(ROOT).replace("MI", "MJ", 1)]))
    no("certificate-leaf", "3.3", "a signer's own", changed(there, [pem(LEAF)]))


def _signers(leaf: Write) -> None:
    base, full = json.dumps(BASE), json.dumps(FULL)
    fine = "signer-purpose-accepted+signer-listed"
    leaf("listed", fine, "its CA is listed", [LEAF], base)
    leaf("root-carried", fine, "the root is carried, too", [LEAF, ROOT], base)
    leaf("below", fine, "an intermediate CA between", [BELOW, MIDDLE], base)
    unlisted = "signer-purpose-accepted+signer-unlisted"
    leaf("no-link", unlisted, "the intermediate CA is missing", [BELOW], base)
    stranger = certificate("stranger", "other", purposes=(CLAIM,))
    leaf("stranger", unlisted, "nobody listed its CA", [stranger, OTHER], base)
    leaf("allowed", "signer-purpose-accepted+signer-allowed", "allowed by itself", [LEAF], full)
    otherwise = "signer-purpose-accepted+signer-listed-otherwise"
    leaf("cawg", otherwise, "its CA is listed for identities", [stranger], full)
    timed = certificate("timed", "clock", purposes=(CLAIM,))
    leaf("tsa", otherwise, "its CA is listed for timestamps", [timed], full)
    refused = "signer-purpose-refused+signer-listed"
    for name, purposes, why in (
        ("time-stamping", (TIME,), "a timestamp authority's"),
        ("ocsp", (OCSP,), "an OCSP responder's"),
        ("mail", (MAIL,), "a purpose that this bundle does not accept"),
        ("any", (CLAIM, ANY), "for anything"),
        ("no-purpose", (), "without any"),
    ):
        leaf(name, refused, why, [certificate(name, "root", purposes=purposes)], base)
    forged = certificate("leaf", "root", purposes=(CLAIM,))
    raw = forged.public_bytes(Encoding.DER)
    bad = x509.load_der_x509_certificate(raw[:-1] + bytes((raw[-1] ^ 1,)))
    leaf("forged", unlisted, "not signed by the CA it names", [bad], base)
    end = certificate("end", "root")
    by_end = certificate("by-end", "end", purposes=(CLAIM,))
    leaf("no-ca", unlisted, "issued by what is no CA", [by_end, end], base)
    leaf("none", "signer-certificate-malformed", "no certificate at all", [], base)


def main() -> None:
    """Write every vector, and remove those that are no longer made."""
    vectors = build()
    VECTORS.mkdir(exist_ok=True)
    for path in VECTORS.glob("*.json"):
        if path.stem not in vectors:
            path.unlink()
    for name, vector in vectors.items():
        text = json.dumps(vector, indent=1, ensure_ascii=True) + "\n"
        (VECTORS / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
