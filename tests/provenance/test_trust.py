"""Trust bundles: the engine uses exactly them, and is not believed where it is too generous."""

import hashlib
import io
import json
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.oid import ObjectIdentifier as Oid
from hypothesis import example, given
from hypothesis import strategies as st

from countermark.provenance.errors import MalformedTrustError
from countermark.provenance.trust import (
    CLAIM_SIGNING,
    DOCUMENT_SIGNING,
    MAX_TRUST_BYTES,
    TrustBundle,
    TrustList,
    check_date,
    check_leaf,
    dump_trust,
    engine_settings,
    load_trust,
)
from countermark.provenance.trust_files import read_signed_trust, read_trust
from countermark.signing.errors import VerificationError
from countermark.signing.keys import PublicKey, generate
from countermark.signing.sign import Identity, sign_snapshot, write_signed
from countermark.signing.signatures import Trust
from countermark.signing.snapshot import SnapshotOptions, take_snapshot
from countermark.signing.verdict import Outcome, Status
from support.extras import need_c2pa
from support.media import image
from support.pki import DAY, Issued, authority, signer

NOW = datetime.now(UTC)
BEFORE, AFTER = NOW - DAY, NOW + 30 * DAY
TIME = ExtendedKeyUsageOID.TIME_STAMPING.dotted_string
OCSP = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string
MAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string
BUNDLE = b'{"format":"countermark/trust-bundle/v1"'


@cache
def ca(name: str) -> Issued:
    return authority(name, not_before=BEFORE, not_after=AFTER)


def leaf(of: str, purpose: str = CLAIM_SIGNING) -> Issued:
    return _leaf(of, purpose)


@cache
def _leaf(of: str, purpose: str) -> Issued:
    link = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca(of).key.public_key())
    return signer(
        ca(of),
        name=f"signer of {of} {purpose}",
        purposes=(Oid(purpose),),
        is_ca=None,
        extra=((link, False),),
        not_before=BEFORE,
        not_after=AFTER,
    )


def listed(name: str, kind: str = "manifest") -> TrustList:
    return TrustList(f"{kind} {name}", kind, (ca(name).der,), "made here")


def bundle(*lists: TrustList, **more: object) -> TrustBundle:
    return TrustBundle(name="ours", dated=date(2026, 8, 5), lists=lists, **more)  # type: ignore[arg-type]


def fingerprint(of: Issued) -> str:
    return hashlib.sha256(of.der).hexdigest()


@cache
def content(of: str, purpose: str = CLAIM_SIGNING) -> bytes:
    """Return a PNG that somebody signed with c2pa, whoever may believe it."""
    need_c2pa()
    from c2pa import Builder, C2paSignerInfo, Context, Settings, Signer

    who = leaf(of, purpose)
    settings = {
        "verify": {"verify_trust": False, "verify_after_sign": False},
        "builder": {"thumbnail": {"enabled": False}},
        "trust": {"trust_config": f"{CLAIM_SIGNING}\n{MAIL}\n{TIME}\n{OCSP}\n"},
    }
    made = {
        "action": "c2pa.created",
        "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty",
    }
    definition = {
        "claim_generator_info": [{"name": "test"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}, "created": True}],
    }
    out = io.BytesIO()
    key = Signer.from_info(C2paSignerInfo(b"es256", who.pem, who.key_pem, None))
    context = Context(Settings.from_dict(settings))
    Builder(definition, context).sign(key, "image/png", io.BytesIO(image("PNG", side=8)), out)
    return out.getvalue()


def engine_says(data: bytes, trust: TrustBundle) -> str:
    from c2pa import Context, Reader, Settings

    settings = {"version": 1, "verify": {"verify_trust": True}, **engine_settings(trust)}
    context = Context(Settings.from_dict(settings))
    with Reader("image/png", io.BytesIO(data), context=context) as reader:
        return str(reader.get_validation_state())


def codes(trust: TrustBundle, who: Issued) -> list[str]:
    return [check.code for check in check_leaf(trust, (who.der,))]


def test_the_engine_trusts_signers_of_listed_cas_and_no_others() -> None:
    trust = bundle(listed("A"))
    assert engine_says(content("A"), trust) == "Trusted"
    assert engine_says(content("B"), trust) == "Valid"
    assert engine_says(content("B"), bundle(listed("A"), listed("B"))) == "Trusted"


def test_the_engine_trusts_nobody_without_lists() -> None:
    assert engine_says(content("A"), bundle()) == "Valid"


def test_the_engine_trusts_a_signer_that_is_allowed_by_itself() -> None:
    allowed = (fingerprint(leaf("B")),)
    assert engine_says(content("B"), bundle(listed("A"), allowed=allowed)) == "Trusted"
    assert engine_says(content("B"), bundle(allowed=allowed)) == "Trusted"
    assert engine_says(content("B"), bundle(allowed=(fingerprint(leaf("A")),))) == "Valid"
    assert codes(bundle(allowed=allowed), leaf("B")) == [
        "signer-purpose-accepted",
        "signer-allowed",
    ]


def test_the_engine_takes_the_purposes_of_the_bundle() -> None:
    assert engine_says(content("A"), bundle(listed("A"), purposes=(CLAIM_SIGNING,))) == "Trusted"
    other = bundle(listed("A"), purposes=(DOCUMENT_SIGNING,))
    assert engine_says(content("A"), other) == "Invalid"
    assert codes(other, leaf("A")) == ["signer-purpose-refused", "signer-listed"]


@pytest.mark.parametrize("purpose", [TIME, OCSP, MAIL])
def test_a_certificate_for_something_else_is_no_signer_though_the_engine_says_so(
    purpose: str,
) -> None:
    trust = bundle(listed("A"))
    assert engine_says(content("A", purpose), trust) == "Trusted"
    refused, _ = check_leaf(trust, (leaf("A", purpose).der,))
    assert (refused.code, refused.status) == ("signer-purpose-refused", Status.FAILED)
    assert refused.outcome is Outcome.UNTRUSTED_SIGNER
    assert "accepts signers for C2PA claim signing, document signing" in refused.sentence


def test_mail_certificates_sign_if_the_bundle_says_so() -> None:
    trust = bundle(listed("A"), purposes=(CLAIM_SIGNING, MAIL))
    assert codes(trust, leaf("A", MAIL)) == ["signer-purpose-accepted", "signer-listed"]


@pytest.mark.parametrize("kind", ["tsa", "cawg"])
def test_a_ca_that_is_listed_for_something_else_makes_no_signers_though_the_engine_says_so(
    kind: str,
) -> None:
    trust = bundle(listed("A", kind))
    assert engine_says(content("A"), trust) == "Trusted"
    _, refused = check_leaf(trust, (leaf("A").der,))
    assert (refused.code, refused.outcome) == ("signer-listed-otherwise", Outcome.UNTRUSTED_SIGNER)
    assert codes(bundle(listed("A", kind), listed("A")), leaf("A"))[1] == "signer-listed"


def test_a_missing_link_is_named_as_what_may_be_missing() -> None:
    middle = authority("middle", ca("A"), not_before=BEFORE, not_after=AFTER)
    below = signer(
        middle, purposes=(Oid(CLAIM_SIGNING),), is_ca=None, not_before=BEFORE, not_after=AFTER
    )
    trust = bundle(listed("A"))
    _, unlisted = check_leaf(trust, (below.der,))
    assert unlisted.code == "signer-unlisted"
    assert "CN=middle" in unlisted.sentence
    assert "left out a certificate" in unlisted.hint
    _, fine = check_leaf(trust, (below.der, middle.der))
    assert fine.code == "signer-listed"


@pytest.mark.parametrize("chain", [(), (b"",), (b"\x30\x03abc",), (leaf("A").der,) * 17])
def test_certificates_that_cannot_be_read_are_malformed(chain: tuple[bytes, ...]) -> None:
    (check,) = check_leaf(bundle(listed("A")), chain)
    assert (check.code, check.outcome) == ("signer-certificate-malformed", Outcome.MALFORMED)


def test_a_bundle_is_used_until_its_last_day_and_not_after() -> None:
    trust = bundle(listed("A"), valid_until=date(2027, 8, 5))
    last = datetime(2027, 8, 5, 23, 59, tzinfo=UTC)
    assert check_date(trust, last) == ()
    (check,) = check_date(trust, last + timedelta(minutes=1))
    assert (check.code, check.outcome) == ("trust-bundle-outdated", Outcome.OUTSIDE_VALIDITY)
    assert check_date(bundle(listed("A")), last + 9999 * DAY) == ()


def test_a_bundle_is_read_back_as_it_was_and_knows_its_digest() -> None:
    trust = bundle(
        listed("A"),
        listed("B", "tsa"),
        allowed=(fingerprint(leaf("B")),),
        valid_until=date(2026, 8, 6),
        purposes=(CLAIM_SIGNING,),
    )
    data = dump_trust(trust)
    read = load_trust(data)
    assert read == trust
    assert read.sha256 == hashlib.sha256(data).hexdigest()
    assert dump_trust(read) == data


@pytest.mark.parametrize(
    "wrong",
    [
        bundle(TrustList("a leaf", "manifest", (leaf("A").der,))),
        bundle(TrustList("none", "manifest", ())),
        bundle(listed("A"), listed("A")),
        bundle(listed("A"), purposes=(TIME,)),
        bundle(listed("A"), valid_until=date(2026, 8, 4)),
        bundle(TrustList("\x1b[2J", "manifest", (ca("A").der,))),
        bundle(TrustList("\ud800", "manifest", (ca("A").der,))),
    ],
)
def test_what_no_reader_would_accept_is_not_written(wrong: TrustBundle) -> None:
    if "\ud800" in wrong.lists[0].name:
        assert load_trust(dump_trust(wrong)).lists[0].name == "?"
        return
    with pytest.raises(MalformedTrustError):
        dump_trust(wrong)


def test_a_file_over_the_limit_is_refused_before_it_is_parsed() -> None:
    data = dump_trust(bundle(listed("A")))
    assert load_trust(data + b" " * (MAX_TRUST_BYTES - len(data))).name == "ours"
    with pytest.raises(MalformedTrustError) as caught:
        load_trust(data + b" " * (MAX_TRUST_BYTES - len(data) + 1))
    assert str(MAX_TRUST_BYTES + 1) in str(caught.value)


@given(st.binary(max_size=200))
@example(b"null")
@example(BUNDLE + b"}")
@example(BUNDLE + b',"lists":{}}')
def test_any_bytes_are_a_bundle_or_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedTrustError):
        load_trust(data)


@given(st.data())
def test_a_bundle_with_anything_in_the_place_of_a_value_is_read_or_refused(
    data: st.DataObject,
) -> None:
    document = json.loads(dump_trust(bundle(listed("A"), allowed=("a" * 64,))))
    place = data.draw(st.sampled_from(sorted(document)))
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
    document[place] = data.draw(anything)
    try:
        read = load_trust(json.dumps(document).encode())
    except MalformedTrustError:
        return
    assert load_trust(dump_trust(read)) == read


def _signed(path: Path) -> PublicKey:
    key = generate("ec-p256")
    snapshot = take_snapshot(path, SnapshotOptions())
    write_signed(sign_snapshot(snapshot, [Identity(key=key)]), path.with_name("trust.json.sig"))
    return key.public_key


def test_a_signed_bundle_is_read_if_the_key_signed_these_bytes(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(dump_trust(bundle(listed("A"))))
    key = _signed(path)
    signature = tmp_path / "trust.json.sig"
    read = read_signed_trust(path, signature, Trust(public_keys=(key,)))
    assert read == read_trust(path)
    stranger = generate("ec-p256").public_key
    with pytest.raises(VerificationError) as caught:
        read_signed_trust(path, signature, Trust(public_keys=(stranger,)))
    assert caught.value.verdict.outcome is not Outcome.VERIFIED
    path.write_bytes(path.read_bytes().replace(b"ours", b"mine"))
    with pytest.raises(VerificationError) as caught:
        read_signed_trust(path, signature, Trust(public_keys=(key,)))
    assert caught.value.verdict.outcome is Outcome.TAMPERED


def test_a_signature_over_a_folder_does_not_speak_for_one_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("trust.json", "other.json"):
        (tmp_path / "model" / name).write_bytes(dump_trust(bundle(listed("A"))))
    key = generate("ec-p256")
    snapshot = take_snapshot(tmp_path / "model", SnapshotOptions())
    signature = tmp_path / "model.sig"
    write_signed(sign_snapshot(snapshot, [Identity(key=key)]), signature)
    with pytest.raises(VerificationError):
        read_signed_trust(
            tmp_path / "model" / "trust.json", signature, Trust(public_keys=(key.public_key,))
        )
