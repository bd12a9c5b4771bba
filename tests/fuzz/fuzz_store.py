"""Fuzz manifest stores: any bytes give a store and a verdict on a file, or our own error.

Run `python tests/fuzz/fuzz_store.py` with atheris and c2pa-python installed; libFuzzer options
follow.
"""

import contextlib
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # For `support`, as in pyproject.toml.

from countermark.provenance.carrier import Place
from countermark.provenance.errors import (
    MalformedStoreError,
    ProvenanceError,
    UnsupportedContentError,
)
from countermark.provenance.hard_binding import examine_binding
from countermark.provenance.store import Manifest, read_store
from countermark.signing.verdict import Outcome, outcome_of
from support.stores import Made, data_hash, make_store, sign_png, sign_sidecar, update_png

CONTENT = b"Once upon a time there was a model."


def seeds() -> list[bytes]:
    """Return a hand-made store, and some of c2pa's."""
    picture = sign_png()
    return [
        make_store(Made(assertions={"c2pa.hash.data": data_hash(CONTENT)})),
        sign_sidecar(CONTENT),
        picture.store,
        update_png(picture.asset).store,
    ]


def one_input(data: bytes) -> None:
    """Read one store and judge a file by it; raise if anything but our own error comes out."""
    try:
        store = read_store(data)
    except (MalformedStoreError, UnsupportedContentError):
        return
    for manifest in store.manifests:
        _read(manifest)
    checks = examine_binding(io.BytesIO(CONTENT), None, Place(data, ()), store)
    if not checks or outcome_of(checks) is Outcome.NOTHING_TO_VERIFY:
        raise AssertionError("a store without a verdict")


def _read(manifest: Manifest) -> None:
    with contextlib.suppress(ProvenanceError):
        _ = manifest.certificates
    with contextlib.suppress(ProvenanceError):
        _ = manifest.data_hash
    for assertion in manifest.assertions:
        with contextlib.suppress(ProvenanceError):
            _ = assertion.value


def main() -> None:
    """Run the fuzzer until it finds something."""
    import atheris

    for seed in seeds():
        one_input(seed)
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
