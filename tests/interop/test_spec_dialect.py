"""Bundles as the OMS text and older signers have them, where released verifiers differ.

The peer is not needed here: what it does with these is in test_model_signing_api.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from countermark import signing
from support.peer import SMALL_FILES, WEIGHTS, Ran, countermark, flip_bit, make_key

PAYLOAD_TYPE = "application/vnd.in-toto+json"
V3 = "application/vnd.dev.sigstore.bundle.v0.3+json"
Document = dict[str, object]


def verify(model: Path, signature: Path, public: Path) -> Ran:
    return countermark("verify", model, "--signature", signature, "--public-key", public, "--json")


def outcome(model: Path, signature: Path, public: Path) -> tuple[int, str]:
    ran = verify(model, signature, public)
    return ran.code, str(ran.document["code"])


def warnings(ran: Ran) -> set[str]:
    checks = ran.document["checks"]
    assert isinstance(checks, list)
    return {check["code"] for check in checks if check["status"] == "warned"}


def sign(model: Path, signature: Path, private: Path, *options: str) -> dict[str, object]:
    """Sign in the spec's dialect and return the statement."""
    command = ("sign", model, "--private-key", private, "--signature", signature)
    ran = countermark(*command, "--dialect", "spec", *options)
    assert ran.code == 0, ran.err
    payload = json.loads(signature.read_bytes())["dsseEnvelope"]["payload"]
    statement: dict[str, object] = json.loads(base64.b64decode(payload))
    return statement


def resources(statement: dict[str, object]) -> list[dict[str, str]]:
    predicate = statement["predicate"]
    assert isinstance(predicate, dict)
    rows: list[dict[str, str]] = predicate["resources"]
    return rows


# What the dialect looks like.


def test_a_single_file_goes_by_its_name_and_no_other(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    file = model / WEIGHTS
    assert [row["name"] for row in resources(sign(file, signature, keys[0]))] == [WEIGHTS]
    assert outcome(file, signature, keys[1]) == (0, "verified")
    assert outcome(file.rename(model / "malware.exe"), signature, keys[1])[0] == 11


def test_a_shards_algorithm_is_the_hash_types_name(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    rows = resources(sign(model, signature, keys[0], "--shard-size", "4096"))
    assert {row["algorithm"] for row in rows} == {"sha256"}
    assert f"{WEIGHTS}:0:4096" in {row["name"] for row in rows}
    assert outcome(model, signature, keys[1]) == (0, "verified")
    flip_bit(model / WEIGHTS, 5000)
    assert verify(model, signature, keys[1]).paths == [("changed", WEIGHTS)]


@pytest.mark.parametrize("options", [(), ("--shard-size", "4096")], ids=["files", "shards"])
def test_resources_are_in_code_point_order_and_the_root_is_over_them(
    model: Path, signature: Path, keys: tuple[Path, Path], options: tuple[str, ...]
) -> None:
    statement = sign(model, signature, keys[0], *options)
    rows = resources(statement)
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    root = hashlib.sha256(b"".join(bytes.fromhex(row["digest"]) for row in rows)).hexdigest()
    subject = statement["subject"]
    assert isinstance(subject, list)
    assert subject[0]["digest"]["sha256"] == root


# Bundles around the same signed bytes, as other signers write them.


def _part(document: Document, name: str) -> Document:
    part = document[name]
    assert isinstance(part, dict)
    return part


def _signature(document: Document) -> Document:
    signatures = _part(document, ENVELOPE)["signatures"]
    assert isinstance(signatures, list)
    signature: Document = signatures[0]
    return signature


def _without(outer: str, inner: str) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        del _part(document, outer)[inner]

    return edit


def _set(outer: str, inner: str, value: object) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        _part(document, outer)[inner] = value

    return edit


def _keyid(value: object) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        _signature(document)["keyid"] = value

    return edit


def _keyid_absent(document: Document) -> None:
    del _signature(document)["keyid"]


def _media_type(name: str) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        document["mediaType"] = name

    return edit


MATERIAL, ENVELOPE = "verificationMaterial", "dsseEnvelope"
OLD_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle+json;version=0."
OLD_KEY = {"rawBytes": "TUZrdw==", "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
ACCEPTED: dict[str, Callable[[Document], None]] = {
    "as-written": lambda document: None,  # noqa: ARG005
    "no-tlog-entries": _without(MATERIAL, "tlogEntries"),
    "keyid-absent": _keyid_absent,
    "keyid-null": _keyid(None),
    "keyid-named": _keyid("release-key-2024"),
    "raw-bytes-for-hint": _set(MATERIAL, "publicKey", OLD_KEY),
    "hint-empty": _set(MATERIAL, "publicKey", {"hint": ""}),
    "no-timestamps": _set(MATERIAL, "timestampVerificationData", {"rfc3161Timestamps": []}),
    **{f"media-type-0.{n}": _media_type(f"{OLD_MEDIA_TYPE}{n}") for n in (1, 2, 3)},
}
REFUSED: dict[str, tuple[Callable[[Document], None], int]] = {
    "keyid-number": (_keyid(7), 14),
    "media-type-unknown": (_media_type("application/vnd.dev.sigstore.bundle.v9+json"), 14),
    "media-type-empty": (_media_type(""), 14),
    "no-public-key": (_without(MATERIAL, "publicKey"), 14),
    "no-payload-type": (_without(ENVELOPE, "payloadType"), 14),
    "another-payload-type": (_set(ENVELOPE, "payloadType", "application/json"), 14),
    "no-signature": (_set(ENVELOPE, "signatures", []), 14),
    "another-hint": (_set(MATERIAL, "publicKey", {"hint": "0" * 64}), 12),
}


def edit_bundle(signature: Path, edit: Callable[[Document], None]) -> None:
    document: Document = json.loads(signature.read_bytes())
    edit(document)
    signature.write_text(json.dumps(document, indent=2))


@pytest.mark.parametrize("edit", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_bundle_that_other_signers_write_verifies_and_inspects(
    model: Path, signature: Path, keys: tuple[Path, Path], edit: Callable[[Document], None]
) -> None:
    sign(model, signature, keys[0])
    edit_bundle(signature, edit)
    assert countermark("inspect", signature).code == 0
    assert outcome(model, signature, keys[1]) == (0, "verified")
    flip_bit(model / "config.json", 0)
    assert outcome(model, signature, keys[1])[0] == 11


@pytest.mark.parametrize(("edit", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bundle_that_nobody_writes_is_refused(
    model: Path,
    signature: Path,
    keys: tuple[Path, Path],
    edit: Callable[[Document], None],
    code: int,
) -> None:
    sign(model, signature, keys[0])
    edit_bundle(signature, edit)
    assert outcome(model, signature, keys[1])[0] == code


def test_a_key_that_travels_in_the_bundle_is_trusted_by_nobody(
    model: Path, signature: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    (tmp_path / "other").mkdir()
    stranger, stranger_public = make_key(tmp_path / "other")
    sign(model, signature, stranger)
    raw = base64.b64encode(stranger_public.read_bytes()).decode()
    material = {"rawBytes": raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    edit_bundle(signature, _set(MATERIAL, "publicKey", material))
    assert outcome(model, signature, keys[1]) == (12, "wrong-key")


# Signers before v1.0.


def python_repr_pae(payload: bytes) -> bytes:
    """Return what they signed: DSSE's encoding with Python's spelling of the bytes in it."""
    text = f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload!r}"
    return text.encode()


def dsse_pae(payload: bytes) -> bytes:
    head = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} "
    return head.encode() + payload


def digests_statement(model: Path) -> bytes:
    """Return a v0.1 statement: every file is a subject."""
    files = sorted(path for path in model.rglob("*") if path.is_file())
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {
                    "name": file.relative_to(model).as_posix(),
                    "digest": {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
                }
                for file in files
            ],
            "predicateType": "https://model_signing/Digests/v0.1",
            "predicate": {"unused": "Unused, just passed due to API requirements"},
        }
    ).encode()


def write_bundle(signature: Path, private: Path, payload: bytes, message: bytes) -> None:
    """Write a bundle with a signature over `message`, hashed with SHA-256 as they always did."""
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = key.sign(message, ec.ECDSA(hashes.SHA256()))
    bundle = {
        "mediaType": V3,
        MATERIAL: {"publicKey": OLD_KEY, "tlogEntries": []},
        ENVELOPE: {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(made).decode(), "keyid": None}],
        },
    }
    signature.write_text(json.dumps(bundle))


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "ec-p521"])
def test_a_signature_from_before_v1_verifies_with_a_warning(
    model: Path, signature: Path, tmp_path: Path, kind: str
) -> None:
    private, public = make_key(tmp_path, kind)
    payload = digests_statement(model)
    write_bundle(signature, private, payload, python_repr_pae(payload))
    ran = verify(model, signature, public)
    assert ran.code == 0, ran.out
    assert warnings(ran) >= {"legacy-signature", "legacy-statement", "key-hint-missing"}
    for name in SMALL_FILES:
        flip_bit(model / name, 0)
    assert sorted(verify(model, signature, public).paths) == sorted(
        ("changed", name) for name in SMALL_FILES
    )


def test_a_v0_1_statement_signed_as_dsse_says_verifies(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    payload = digests_statement(model)
    write_bundle(signature, keys[0], payload, dsse_pae(payload))
    ran = verify(model, signature, keys[1])
    assert ran.code == 0, ran.out
    assert "legacy-signature" not in warnings(ran)
    (model / "extra.txt").write_text("unsigned")
    assert verify(model, signature, keys[1]).paths == [("extra", "extra.txt")]


def test_the_old_way_of_signing_does_not_count_for_a_v1_statement(
    model: Path, signature: Path, keys: tuple[Path, Path]
) -> None:
    payload = json.dumps(sign(model, signature, keys[0])).encode()
    write_bundle(signature, keys[0], payload, dsse_pae(payload))
    assert outcome(model, signature, keys[1]) == (0, "verified")
    write_bundle(signature, keys[0], payload, python_repr_pae(payload))
    # The bundle has no hint, so all that can be said is that this key did not sign it.
    assert outcome(model, signature, keys[1]) == (12, "wrong-key")


def test_an_old_signature_by_another_key_is_refused(
    model: Path, signature: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    (tmp_path / "other").mkdir()
    stranger, _ = make_key(tmp_path / "other")
    payload = digests_statement(model)
    write_bundle(signature, stranger, payload, python_repr_pae(payload))
    assert outcome(model, signature, keys[1]) == (12, "wrong-key")


# What each dialect's reader makes of the other's, in one process.


@pytest.mark.parametrize("dialect", list(signing.Dialect), ids=lambda dialect: dialect.value)
@pytest.mark.parametrize("shard_bytes", [None, 4096], ids=["files", "shards"])
@pytest.mark.parametrize("algorithm", ["sha256", "blake3", "blake2b"])
def test_both_dialects_of_one_model_mean_the_same_files(
    model: Path,
    signature: Path,
    keys: tuple[Path, Path],
    dialect: signing.Dialect,
    shard_bytes: int | None,
    algorithm: str,
) -> None:
    key = signing.load_private_key(keys[0].read_bytes())
    options = signing.SnapshotOptions(algorithm=algorithm, shard_bytes=shard_bytes)
    snapshot = signing.take_snapshot(model, options)
    signed = signing.sign_snapshot(snapshot, [signing.Identity(key=key)], dialect=dialect)
    signing.write_signed(signed, signature)
    trust = signing.Trust(public_keys=(key.public_key,))
    verified = signing.verify(model, signature, trust)
    assert sorted(verified.manifest.files) == sorted(snapshot.manifest.files)
    flip_bit(model / "a/z", 0)
    with pytest.raises(signing.VerificationError) as caught:
        signing.verify(model, signature, trust)
    assert caught.value.verdict.code == "file-changed"
