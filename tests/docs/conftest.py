"""The folder in which the documents' commands are run."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.command import environment, install_on_path, run
from support.extras import need_c2pa, need_watermark
from support.models import make_hub_snapshot, make_local_dir, make_model
from support.pki import authority, email, signer


@pytest.fixture
def stage(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Return a folder with `my-model`, and an environment with `countermark` on its PATH."""
    binaries = install_on_path(tmp_path / "bin")
    folder = tmp_path / "stage"
    make_model(folder / "my-model")
    variables = environment(tmp_path, PATH=f"{binaries}:/usr/bin:/bin")
    return folder, variables


@pytest.fixture
def certified(stage: tuple[Path, dict[str, str]]) -> Path:
    """Add `ca.pem`, `leaf.pem` and `leaf.key`, valid for a hundred years."""
    folder, _ = stage
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2126, 1, 1, tzinfo=UTC)
    ca = authority("Example CA", not_before=begin - timedelta(days=1), not_after=end)
    leaf = signer(ca, email("release@example.org"), not_before=begin, not_after=end)
    (folder / "ca.pem").write_bytes(ca.pem)
    (folder / "leaf.pem").write_bytes(leaf.pem)
    (folder / "leaf.key").write_bytes(leaf.key_pem)
    return folder


@pytest.fixture
def published(stage: tuple[Path, dict[str, str]]) -> Path:
    """Add what a user has: two keys, a Hub snapshot, and a folder `downloaded`, both signed."""
    folder, variables = stage
    for name in ("release", "stranger"):
        assert run("keygen", name, cwd=folder).code == 0
    snapshot = make_hub_snapshot(folder / "hub")
    downloaded = make_local_dir(folder / "downloaded")
    for place in (snapshot, downloaded):
        assert run("sign", place, "--private-key", "release.key", cwd=folder).code == 0
    variables["snapshot"] = str(snapshot.relative_to(folder))
    return folder


@pytest.fixture
def marked(stage: tuple[Path, dict[str, str]]) -> Path:
    """Add a tokenizer, the ring of a key, and texts with and without its mark."""
    need_watermark()
    from countermark.watermark.keyring import KeyRing
    from countermark.watermark.keyring_files import save_ring
    from countermark.watermark.tokenization import load_tokenizer
    from support.marked import make_tokenizer, new_key, words_of

    folder, _ = stage
    tokenizer = make_tokenizer(folder / "tokenizer.json")
    key = new_key(seed=1, tokenizer_sha256=load_tokenizer(tokenizer).sha256)
    save_ring(KeyRing(keys=(key,)), folder / "ring.json")
    answer, essay = (words_of(tokenizer, n, seed=n, key=k) for n, k in ((200, key), (300, None)))
    texts = {"answer": answer, "essay": essay, "report": f"{essay} {answer} {essay[::-1]}"}
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text + "\n")
    many = [json.dumps({"id": name, "text": text}) for name, text in texts.items()]
    (folder / "many.jsonl").write_text("\n".join(many) + "\n")
    footer = words_of(tokenizer, 20, seed=7)
    clean = [f"{words_of(tokenizer, 50, seed=100 + n)} {footer}" for n in range(8)]
    (folder / "clean.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in clean))
    return folder


@pytest.fixture
def pictured(stage: tuple[Path, dict[str, str]]) -> Path:
    """Add what a model made, and a file of another kind."""
    need_c2pa()
    from support.media import unsigned

    folder, _ = stage
    (folder / "cat.png").write_bytes(unsigned("png"))
    (folder / "answer.txt").write_text("The sea is calm tonight.\n")
    (folder / "data.bin").write_bytes(bytes(range(256)))
    return folder
