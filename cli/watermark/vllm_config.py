"""`countermark watermark vllm-config`: what `vllm serve --watermark-config` takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli.extras import require_watermark
from countermark.cli.options import EXISTING_FILE, framed, verb
from countermark.cli.output import Output
from countermark.cli.watermark.rings import open_ring, protection, unlocking_options

if TYPE_CHECKING:
    from countermark.watermark.keyring import KeyEntry, KeyRing

__all__ = ["command"]

_PREFIX = "vllm-"


@verb(
    "watermark vllm-config",
    short_help="Print the watermark setting that vLLM takes, from a key ring.",
    examples="""\
countermark watermark vllm-config --keys acme.ring
countermark watermark vllm-config --keys acme.ring --key-id 3f2a90c41be7d655 -q > vllm.json""",
)
@click.option("--keys", "ring", type=EXISTING_FILE, required=True, help="The key ring.")
@click.option("--key-id", help="Which key, if there is more than one for vLLM.")
@unlocking_options
@framed
def command(
    output: Output,
    ring: Path,
    key_id: str | None,
    age_identities: tuple[Path, ...],
    passphrase_file: Path | None,
) -> int:
    """Print the JSON for vLLM's --watermark-config. It holds the key itself.

    The key is refused outside its window, since it is going to mark text.
    """
    loaded = open_ring(output, ring, protection(age_identities, passphrase_file))
    name = key_id or _only_one(loaded.ring)
    key = loaded.ring.for_generation(name, datetime.now(UTC))
    setting = _setting(key)
    output.document(
        {
            "schema": "countermark/watermark-vllm-config/v1",
            "verdict": "done",
            "key_id": key.id,
            "config": setting,
        }
    )
    if output.format != "json":
        click.echo(json.dumps(setting))
    output.note(
        "this is the secret key",
        "who can list the processes of a machine can read what they were started with",
    )
    return 0


def _only_one(ring: KeyRing) -> str:
    names = [key.id for key in ring.keys if key.scheme.startswith(_PREFIX)]
    if len(names) != 1:
        raise click.UsageError(
            f"the key ring has {len(names)} keys for vLLM; name one with --key-id"
            if names
            else "the key ring has no key for vLLM; make one: "
            "countermark watermark keygen --scheme vllm-gumbel-philox-v1"
        )
    return names[0]


def _setting(key: KeyEntry) -> dict[str, int | float | str]:
    require_watermark()
    from countermark.watermark.errors import KeyUseError
    from countermark.watermark.vllm_config import vllm_config

    match key.scheme, key.integers, dict(key.parameters):
        case "vllm-gumbel-philox-v1", (secret,), {"context_width": int(width)}:
            return vllm_config(secret, width=width)
        case "vllm-gumbel-hmac-v1", (secret,), {"context_width": int(width)}:
            return vllm_config(secret, width=width, prf="hmac_sha256")
        case (
            "vllm-gumbel-dual-v1",
            (secret,),
            {"context_width": int(width), "alpha": float(alpha), "prf": str(prf)},
        ):
            return vllm_config(secret, width=width, alpha=alpha, prf=prf)
        case _:
            raise KeyUseError(f"key {key.id} is for {key.scheme}, which vLLM does not have")
