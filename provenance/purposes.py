"""What certificates can be for: Extended Key Usages (RFC 5280 4.2.1.12), and how we call them."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ANY",
    "CLAIM_SIGNING",
    "DOCUMENT_SIGNING",
    "EMAIL",
    "OCSP",
    "PURPOSE_NAMES",
    "TIME_STAMPING",
]

CLAIM_SIGNING: Final = "1.3.6.1.4.1.62558.2.1"  # C2PA 2.5 section 14.5.1.1.
DOCUMENT_SIGNING: Final = "1.3.6.1.5.5.7.3.36"  # RFC 9336.
EMAIL: Final = "1.3.6.1.5.5.7.3.4"
TIME_STAMPING: Final = "1.3.6.1.5.5.7.3.8"
OCSP: Final = "1.3.6.1.5.5.7.3.9"
ANY: Final = "2.5.29.37.0"

PURPOSE_NAMES: Final = {
    CLAIM_SIGNING: "C2PA claim signing",
    DOCUMENT_SIGNING: "document signing",
    EMAIL: "e-mail protection",
    TIME_STAMPING: "time stamping",
    OCSP: "OCSP answers",
    ANY: "any purpose",
    "1.3.6.1.5.5.7.3.1": "TLS servers",
    "1.3.6.1.5.5.7.3.2": "TLS clients",
    "1.3.6.1.5.5.7.3.3": "code signing",
}
