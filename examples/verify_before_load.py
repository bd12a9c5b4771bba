"""Load only tensors of a model that was signed: python verify_before_load.py MODEL KEY.pub."""

import sys
from pathlib import Path

from safetensors import safe_open

from countermark.signing import (
    Trust,
    VerificationError,
    find_signature,
    load_public_key,
    verify,
)


def main(model: Path, public_key: Path) -> int:
    """Verify, then open the weights that were verified, and nothing else that lies there."""
    trust = Trust(public_keys=(load_public_key(public_key.read_bytes()),))
    try:
        verified = verify(model, find_signature(model), trust)
    except VerificationError as e:
        print(f"not loaded: {e.verdict.code}: {e}", file=sys.stderr)
        return 1
    # Nobody else may write to the folder from here on: the bytes are read a second time.
    for file in verified.files:
        if file.path.endswith(".safetensors"):
            with safe_open(file.location, framework="np") as weights:
                print(f"{file.path}: {len(list(weights.keys()))} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
