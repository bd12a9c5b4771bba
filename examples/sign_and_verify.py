"""Sign a model and verify it, with the library: python sign_and_verify.py MODEL."""

import sys
from pathlib import Path

from countermark.signing import (
    Identity,
    SnapshotOptions,
    Trust,
    VerificationError,
    default_signature,
    generate,
    sign_snapshot,
    take_snapshot,
    verify,
    write_signed,
)


def main(model: Path) -> int:
    """Sign `model` with a new key, verify it, and say which tensor somebody changed."""
    key = generate("ec-p256")
    signature = default_signature(model)
    # The signature lies inside the model's folder, and is no part of the model.
    snapshot = take_snapshot(model, SnapshotOptions(), exclude=[signature])
    write_signed(sign_snapshot(snapshot, [Identity(key=key)]), signature, replace=True)

    trust = Trust(public_keys=(key.public_key,))
    verified = verify(model, signature, trust)
    print(f"verified: {len(verified.files)} files, model digest {verified.manifest.model_digest}")

    weights = model / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        verify(model, signature, trust)
    except VerificationError as e:
        print(f"refused: {e.verdict.outcome.value}, {e}")
        return 0
    finally:
        weights.write_bytes(good)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
