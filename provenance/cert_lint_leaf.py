"""What C2PA asks of a claim signer's own certificate, rule by rule.

Source: C2PA 2.5, "Certificate Profiles", General Requirements. What it says "shall" of is refused
if broken, what it says "should" of warns. Each rule has one code, whether it holds or not.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from countermark.provenance.cert_lint_purposes import PURPOSE_RULES
from countermark.provenance.certificate_asn1 import body_of, pss_hashes
from countermark.signing.names import printable
from countermark.signing.verdict import Check, Outcome, failed, held, not_checked, warned
from countermark.signing.x509_loading import extension_of

__all__ = ["check_leaf_profile", "key_name"]

_SIGNATURES = {
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.3.101.112": "Ed25519",
}
_PSS = "1.2.840.113549.1.1.10"
_PSS_HASHES = {
    "2.16.840.1.101.3.4.2.1": "SHA-256",
    "2.16.840.1.101.3.4.2.2": "SHA-384",
    "2.16.840.1.101.3.4.2.3": "SHA-512",
}
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 16384

# What c2pa-rs reads; a critical extension of another kind makes it refuse the certificate.
_KNOWN_EXTENSIONS = {
    *(
        x509.ObjectIdentifier(f"2.5.29.{last}")
        for last in (14, 15, 17, 19, 30, 31, 32, 33, 35, 36, 37, 54)
    ),
    x509.AuthorityInformationAccess.oid,
}


def check_leaf_profile(leaf: x509.Certificate) -> tuple[Check, ...]:
    """Return one check for each rule about the signer's own certificate, in the spec's order."""
    return tuple(rule(leaf) for rule in _RULES)


def key_name(key: object) -> str:
    """Return what a public key is, e.g. `P-256`, `Ed25519`, `RSA 3072`; "" for other kinds."""
    match key:
        case ec.EllipticCurvePublicKey():
            return _CURVES.get(key.curve.name, f"curve {key.curve.name}")
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case _:
            return ""


def _version(leaf: x509.Certificate) -> Check:
    if leaf.version is x509.Version.v3:
        return held("cert-version", "the certificate is of version 3")
    return failed(
        "cert-version",
        Outcome.REFUSED,
        f"the certificate is of version {leaf.version.name[1:]}, expected 3",
        "have it issued as X.509 version 3 (with openssl x509: give it an -extfile)",
    )


def _unique_ids(leaf: x509.Certificate) -> Check:
    body = body_of(leaf)
    if body is not None and body.issuer_unique_id is None and body.subject_unique_id is None:
        return held("cert-unique-ids", "the certificate has no unique identifiers")
    return failed(
        "cert-unique-ids",
        Outcome.REFUSED,
        "the certificate has an issuerUniqueID or subjectUniqueID, which C2PA forbids",
        "have it issued without",
    )


def _signature_algorithm(leaf: x509.Certificate) -> Check:
    oid = leaf.signature_algorithm_oid.dotted_string
    if oid in _SIGNATURES:
        return held("cert-signature-algorithm", f"its CA signed it with {_SIGNATURES[oid]}")
    return failed(
        "cert-signature-algorithm",
        Outcome.REFUSED,
        f"its CA signed it with the algorithm {oid}, expected ECDSA or RSA with SHA-256, -384 or "
        "-512, or Ed25519",
        "have the CA sign it anew with one of these",
    )


def _pss_parameters(leaf: x509.Certificate) -> Check:
    if leaf.signature_algorithm_oid.dotted_string != _PSS:
        return not_checked("cert-pss-parameters", "its CA did not sign it with RSASSA-PSS")
    body = body_of(leaf)
    found = None if body is None else pss_hashes(body)
    hash_oid, mask_oid = found or ("", "")
    if hash_oid in _PSS_HASHES and hash_oid == mask_oid:
        name = _PSS_HASHES[hash_oid]
        return held("cert-pss-parameters", f"RSASSA-PSS uses {name} for the hash and the mask")
    shown = [
        _PSS_HASHES.get(oid, oid) or "none (which means SHA-1)" for oid in (hash_oid, mask_oid)
    ]
    return failed(
        "cert-pss-parameters",
        Outcome.REFUSED,
        f"RSASSA-PSS has the hash {shown[0]} and the mask's hash {shown[1]}, expected one of "
        "SHA-256, SHA-384 and SHA-512 for both",
        "have the CA sign it anew, with both parameters written and equal",
    )


def _key(leaf: x509.Certificate) -> Check:
    key = leaf.public_key()
    name = key_name(key)
    sound = name in ("P-256", "P-384", "P-521", "Ed25519")
    if isinstance(key, rsa.RSAPublicKey):
        sound = _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS
    if sound:
        return held("cert-key", f"its key is {name}")
    return failed(
        "cert-key",
        Outcome.REFUSED,
        f"its key is {printable(name) or 'of another kind'}, expected P-256, P-384, P-521, "
        f"Ed25519, or RSA of {_MIN_RSA_BITS} bits at least",
        "make a new key, and have a certificate issued for it",
    )


def _not_a_ca(leaf: x509.Certificate) -> Check:
    constraints = extension_of(leaf, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return held("cert-not-a-ca", "the certificate is no CA's")
    return failed(
        "cert-not-a-ca",
        Outcome.REFUSED,
        "the first certificate is a CA's, and only end entities may sign claims",
        "put the signer's own certificate first; a CA issues one for the signer's key",
    )


def _authority_key_id(leaf: x509.Certificate) -> Check:
    if extension_of(leaf, x509.AuthorityKeyIdentifier) is not None:
        return held("cert-authority-key-id", "the certificate names its CA's key")
    return failed(
        "cert-authority-key-id",
        Outcome.REFUSED,
        "the certificate has no Authority Key Identifier",
        "have it issued with one (openssl: authorityKeyIdentifier=keyid)",
    )


def _subject_key_id(leaf: x509.Certificate) -> Check:
    if extension_of(leaf, x509.SubjectKeyIdentifier) is not None:
        return held("cert-subject-key-id", "the certificate names its own key")
    return warned(
        "cert-subject-key-id",
        "the certificate has no Subject Key Identifier, and should have one",
        "have it issued with one (openssl: subjectKeyIdentifier=hash)",
    )


def _key_usage(leaf: x509.Certificate) -> Check:
    usage = extension_of(leaf, x509.KeyUsage)
    if usage is not None and usage.digital_signature:
        return held("cert-key-usage", "its key may make digital signatures")
    return failed(
        "cert-key-usage",
        Outcome.REFUSED,
        "the certificate has no Key Usage"
        if usage is None
        else "its Key Usage lacks digitalSignature",
        "have it issued with digitalSignature (openssl: keyUsage=critical,digitalSignature)",
    )


def _key_usage_critical(leaf: x509.Certificate) -> Check:
    for extension in leaf.extensions:
        if extension.oid == x509.KeyUsage.oid and not extension.critical:
            return warned(
                "cert-key-usage-critical",
                "its Key Usage is not marked critical, and should be",
                "have it issued anew (openssl: keyUsage=critical,digitalSignature)",
            )
    return held("cert-key-usage-critical", "its Key Usage is not one that a reader may ignore")


def _key_cert_sign(leaf: x509.Certificate) -> Check:
    usage = extension_of(leaf, x509.KeyUsage)
    constraints = extension_of(leaf, x509.BasicConstraints)
    is_ca = constraints is not None and constraints.ca
    if usage is None or not usage.key_cert_sign or is_ca:
        return held("cert-key-cert-sign", "its key may not sign certificates without being a CA's")
    return failed(
        "cert-key-cert-sign",
        Outcome.REFUSED,
        "its Key Usage has keyCertSign, which only a CA's may have",
        "have it issued without keyCertSign",
    )


def _critical_extensions(leaf: x509.Certificate) -> Check:
    odd = [
        extension.oid.dotted_string
        for extension in leaf.extensions
        if extension.critical and extension.oid not in _KNOWN_EXTENSIONS
    ]
    if not odd:
        return held("cert-critical-extensions", "validators know all of its critical extensions")
    return failed(
        "cert-critical-extensions",
        Outcome.REFUSED,
        f"its extension {odd[0]} is critical, and validators do not know it",
        "have it issued with that extension not critical, or without",
    )


def _subject(leaf: x509.Certificate) -> Check:
    wanted = {"C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}
    lacking = [name for name, oid in wanted.items() if not leaf.subject.get_attributes_for_oid(oid)]
    if not lacking:
        return held("cert-subject", "its subject has a country, an organisation and a name")
    return warned(
        "cert-subject",
        f"its subject has no {', '.join(lacking)}; some validators show, or need, C, O and CN",
        "have it issued with all three",
    )


_RULES: tuple[Callable[[x509.Certificate], Check], ...] = (
    _signature_algorithm,
    _pss_parameters,
    _key,
    _version,
    _unique_ids,
    _not_a_ca,
    _authority_key_id,
    _subject_key_id,
    _key_usage,
    _key_usage_critical,
    _key_cert_sign,
    *PURPOSE_RULES,
    _critical_extensions,
    _subject,
)
