"""Sign a text with a development CA and judge it, with the library: python sign_content.py FILE."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from countermark.provenance import (
    Axis,
    ContentRefusedError,
    ContentRequest,
    ExamineOptions,
    TrustBundle,
    TrustList,
    load_identity,
    make_dev_credentials,
    sign_file,
    verify_file,
)


def main(text: Path) -> int:
    """Write a signed copy of `text`, say what is known of it, and refuse it once it is changed."""
    now = datetime.now(UTC)
    made = make_dev_credentials(now, os.urandom)
    identity = load_identity(made.signer_pem, made.signer_key_pem, at=now)
    signed = text.with_name(f"{text.stem}.signed{text.suffix}")
    sign_file(text, signed, ContentRequest(source_type="digitalCreation"), identity)

    # Nobody is trusted but the CA that was just made.
    lists = (TrustList("development signers", "manifest", (made.ca,)),)
    options = ExamineOptions(trust=TrustBundle(name="dev", dated=now.date(), lists=lists), now=now)
    verdict = verify_file(signed, options)
    for axis in Axis:
        print(f"{axis.value}: {verdict.status_on(axis).value}")

    signed.write_bytes(signed.read_bytes().replace(b" ", b"  ", 1))
    try:
        verify_file(signed, options)
    except ContentRefusedError as e:
        print(f"refused: {e.verdict.outcome.value}, {e.verdict.code}")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
