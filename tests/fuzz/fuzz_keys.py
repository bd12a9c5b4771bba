"""Fuzz key loading: any bytes give a key that loads again, or our own error.

Run `python tests/fuzz/fuzz_keys.py` with atheris installed; libFuzzer options follow.
"""

import sys

import countermark
from countermark.signing.keys import generate, load_private_key, load_public_key


def seeds() -> list[bytes]:
    """Return keys of every kind that is made quickly, bare and encrypted."""
    keys = [generate(kind) for kind in ("ec-p256", "ec-p384", "ec-p521", "ed25519", "ml-dsa-65")]
    private = [key.pem(password) for key in keys for password in (None, b"x")]
    return [*private, *(key.public_key.pem for key in keys)]


def one_input(data: bytes) -> None:
    """Load one input as every sort of key; raise if anything but our own error comes out."""
    for password in (None, b"x"):
        try:
            private = load_private_key(data, password=password)
        except countermark.Error:
            continue
        if load_private_key(private.pem(None)).public_key.pem != private.public_key.pem:
            raise AssertionError("a private key changes when it is written again")
    try:
        public = load_public_key(data)
    except countermark.Error:
        return
    if load_public_key(public.pem).key_id != public.key_id:
        raise AssertionError("a public key changes when it is written again")


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
