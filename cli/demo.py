"""`countermark demo`: the whole story, on a checkpoint small enough to read."""

from __future__ import annotations

import json
import random
import struct
import tempfile
from pathlib import Path

from countermark.cli.extras import has_c2pa, has_watermark
from countermark.cli.options import framed, verb
from countermark.cli.output import Output

__all__ = ["command"]

_TENSORS = ("embed.weight", "layers.0.attention.q_proj", "layers.0.mlp.up_proj", "head.weight")
_ROWS, _COLUMNS = 64, 64
_TOKENS, _VOCABULARY = 250, 1000
_ALPHA = 1e-12  # Keys are new each time; the usual 1e-6 would now and then find the other one.


@verb("demo", short_help="Sign, verify, tamper, refuse.", examples="countermark demo")
@framed
def command(output: Output) -> int:
    """Make a small checkpoint, sign it, verify it, flip one bit, and watch it be refused."""
    from countermark.signing.examination import examine
    from countermark.signing.keys import generate
    from countermark.signing.places import default_signature, evidence_files
    from countermark.signing.sign import Identity, sign_snapshot, write_signed
    from countermark.signing.signatures import Trust
    from countermark.signing.snapshot import SnapshotOptions, take_snapshot
    from countermark.signing.verdict import Outcome

    with tempfile.TemporaryDirectory(prefix="countermark-demo-") as folder:
        model = Path(folder) / "tiny-model"
        _make_checkpoint(model)
        output.line("made", f"{model.name}: model.safetensors with {len(_TENSORS)} tensors")

        key = generate("ec-p256")
        signature = default_signature(model)
        snapshot = take_snapshot(model, SnapshotOptions(), exclude=evidence_files(signature))
        write_signed(sign_snapshot(snapshot, [Identity(key=key)]), signature)
        output.line("signed", f"{signature.name}, by key {key.public_key.key_id[:16]}…")

        trust = Trust(public_keys=(key.public_key,))
        before = examine(model, signature, trust)
        output.line(before.outcome.value, "every tensor is as signed", tone="good")

        _flip_one_bit(model / "model.safetensors")
        output.line("tampered", "one bit of the weights was flipped", tone="note")
        after = examine(model, signature, trust)
        output.line("refused", after.sentence, tone="bad")

        marks = _mark_and_detect(output)
        credentials = _credit_and_judge(output, model)
    tensors = [change.name for finding in after.findings for change in finding.tensors]
    output.document(
        {
            "schema": "countermark/demo/v1",
            "verdict": "done",
            "before": before.outcome.value,
            "after": after.outcome.value,
            "tensors": tensors,
            "marks": marks,
            "credentials": credentials,
        }
    )
    worked = (before.outcome, after.outcome) == (Outcome.VERIFIED, Outcome.TAMPERED)
    marked = marks is None or list(marks.values()) == ["mark-found", "no-mark-found"]
    credited = credentials is None or list(credentials.values()) == ["verified", "tampered"]
    return 0 if worked and marked and credited and len(tensors) == 1 else 1


def _mark_and_detect(output: Output) -> dict[str, str] | None:
    """Mark tokens with one key, look for the mark with that key and another; None without numpy.

    No language model is at hand: the tokens come from random distributions.
    """
    if not has_watermark():
        output.line("skipped", "marks in text: pip install 'countermark[watermark]'", tone="note")
        return None
    import os

    import numpy as np

    from countermark.cli.watermark.answers import readable_p
    from countermark.watermark import (
        Answer,
        DetectOptions,
        KeyRing,
        Marker,
        detect,
        keyed_detectors,
        sampler_of,
    )
    from countermark.watermark.keymaking import add_key
    from countermark.watermark.keys import Labels

    ring, scheme = KeyRing(), "countermark-gumbel-v1"
    for tenant in ("ours", "theirs"):
        labels = Labels(tenant=tenant)
        ring, _ = add_key(ring, os.urandom, scheme=scheme, parameters={}, labels=labels)
    ours, theirs = ring.keys
    rng = np.random.default_rng(0)
    marker = Marker(sampler_of(ours), rng=rng)
    ids = [0, 1]
    while len(ids) < _TOKENS:
        ids.append(marker(rng.normal(0, 3, _VOCABULARY).astype(np.float32), ids))
    output.line("marked", f"{marker.marked} tokens of text, with key {ours.id}")
    answers = {}
    for name, key in (("own_key", ours), ("other_key", theirs)):
        tried = keyed_detectors([key], vocabulary=_VOCABULARY)
        about = DetectOptions(alpha=_ALPHA)
        said = detect(ids, detectors=tried, vocabulary=_VOCABULARY, options=about)
        answers[name] = said.answer.value
        found = said.answer is Answer.FOUND
        p = readable_p(said.evidence[0].log10_corrected_p)
        label, tone = ("found", "good") if found else ("not found", "bad")
        output.line(label, f"by key {key.id}, p = {p}", tone=tone)
    return answers


def _credit_and_judge(output: Output, model: Path) -> dict[str, str] | None:
    """Say in a text's manifest which model wrote it, then change a letter; None without c2pa."""
    if not has_c2pa():
        output.line("skipped", "content credentials: pip install 'countermark[c2pa]'", tone="note")
        return None
    import os
    from datetime import UTC, datetime

    from countermark.provenance import (
        ContentRequest,
        ExamineOptions,
        TrustBundle,
        TrustList,
        examine_file,
        load_identity,
        load_model_evidence,
        sign_file,
        sign_model,
    )
    from countermark.provenance.dev_ca import make_dev_credentials

    now = datetime.now(UTC)
    made = make_dev_credentials(now, os.urandom)
    identity = load_identity(made.signer_pem, made.signer_key_pem, at=now)
    trusted = TrustList("demonstration", "manifest", (made.ca,))
    trust = TrustBundle(name="demonstration", dated=now.date(), lists=(trusted,))
    sign_model(model, model.with_suffix(".c2pa"), ContentRequest(), identity)
    evidence = load_model_evidence(model)
    answer, signed = model.with_name("answer.txt"), model.with_name("answer.signed.txt")
    answer.write_text("The sea is calm tonight.\n", encoding="utf-8")
    sign_file(answer, signed, ContentRequest(generated_by=evidence), identity)
    output.line("credited", f"{answer.name}, by a manifest that names {model.name}")
    options = ExamineOptions(trust=trust, model=evidence)
    before = examine_file(signed, options)
    output.line(
        before.outcome.value, f"it leads to what {model.name}'s signature lists", tone="good"
    )
    signed.write_bytes(signed.read_bytes().replace(b"calm", b"cold"))
    after = examine_file(signed, options)
    output.line("refused", "one word of it was changed", tone="bad")
    return {"before": before.outcome.value, "after": after.outcome.value}


def _make_checkpoint(model: Path) -> None:
    """Write a model folder with one safetensors file of random F32 tensors."""
    model.mkdir()
    size = _ROWS * _COLUMNS * 4
    header = {
        name: {
            "dtype": "F32",
            "shape": [_ROWS, _COLUMNS],
            "data_offsets": [index * size, (index + 1) * size],
        }
        for index, name in enumerate(_TENSORS)
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    noise = random.Random(0)  # noqa: S311 - weights for a demonstration, not a secret
    values = [noise.uniform(-1, 1) for _ in range(_ROWS * _COLUMNS * len(_TENSORS))]
    data = struct.pack(f"<{len(values)}f", *values)
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (model / "config.json").write_text(json.dumps({"hidden_size": _COLUMNS}) + "\n")


def _flip_one_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-(_ROWS * _COLUMNS * 4) - 1] ^= 0x01  # The last byte of the last tensor but one.
    file.write_bytes(data)
