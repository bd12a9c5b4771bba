"""Tokenizers that these tests train: what they give, and every way a file or text is refused."""

import builtins
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countermark.signing.errors import MalformedError, MissingExtraError
from countermark.watermark import tokenization
from countermark.watermark.errors import (
    MalformedInputError,
    MalformedTokenizerError,
    WrongTokenizerError,
)
from countermark.watermark.tokenization import Tokenizer, load_tokenizer

tokenizers = pytest.importorskip("tokenizers")

SENTENCES = ["the quick brown fox jumps over the lazy dog", "a text about marks, and their keys"]


def trained() -> str:
    """Return the file of a byte-level BPE tokenizer, the kind that most models have."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "</s>"],
        show_progress=False,
    )
    model.train_from_iterator(SENTENCES * 4, trainer)
    return str(model.to_str())


@pytest.fixture(scope="module")
def data() -> bytes:
    return trained().encode()


@pytest.fixture(scope="module")
def loaded(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_bytes(data)
    return load_tokenizer(path)


def save(folder: Path, data: bytes) -> Path:
    path = folder / "tokenizer.json"
    path.write_bytes(data)
    return path


def changed(data: bytes, change: Callable[[dict[str, object]], object]) -> bytes:
    document = json.loads(data)
    change(document)
    return json.dumps(document).encode()


def test_a_folder_and_its_file_load_alike_with_the_digest_of_the_file(
    data: bytes, tmp_path: Path
) -> None:
    path = save(tmp_path, data)
    for place in (path, tmp_path):
        tokenizer = load_tokenizer(place)
        assert tokenizer.sha256 == hashlib.sha256(data).hexdigest()
        assert tokenizer.vocabulary == 300


def test_ids_are_those_of_the_package_without_special_tokens(
    loaded: Tokenizer, data: bytes
) -> None:
    peer = tokenizers.Tokenizer.from_str(data.decode())
    texts = [*SENTENCES, "naïve 😀\n\n", ""]
    ids = loaded.encode_batch(texts)
    assert [array.dtype for array in ids] == [np.uint32] * 4
    for text, array in zip(texts, ids, strict=True):
        assert array.tolist() == peer.encode(text, add_special_tokens=False).ids
    assert loaded.encode_batch([]) == []


def test_more_text_than_is_encoded_at_once_gives_the_ids_of_each_in_order(
    loaded: Tokenizer,
) -> None:
    texts = [f"{n} {SENTENCES[n % 2]} " * (n * n) for n in range(40)]
    assert sum(map(len, texts)) > 1 << 19
    together = loaded.encode_batch(texts)
    assert [array.tolist() for array in together] == [
        loaded.encode_batch([text])[0].tolist() for text in texts
    ]


def test_what_a_file_says_about_special_tokens_cutting_padding_and_dropout_is_not_done(
    loaded: Tokenizer, data: bytes, tmp_path: Path
) -> None:
    model = tokenizers.Tokenizer.from_str(data.decode())
    model.enable_truncation(3)
    model.enable_padding(length=100)
    model.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    model.model.dropout = 0.9
    other = load_tokenizer(save(tmp_path, model.to_str().encode()))
    for _ in range(5):
        for text in SENTENCES:
            expected = loaded.encode_batch([text])[0].tolist()
            assert other.encode_batch([text, "a"])[0].tolist() == expected
            assert other.encode_with_offsets(text)[0].tolist() == expected


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
@example(text="e\u0301😀")
def test_any_text_comes_back_and_its_offsets_cover_it(loaded: Tokenizer, text: str) -> None:
    ids, offsets = loaded.encode_with_offsets(text)
    assert ids.tolist() == loaded.encode_batch([text])[0].tolist()
    assert loaded.decode(ids) == text
    assert offsets.dtype == np.int64
    assert offsets.shape == (len(ids), 2)
    covered = {place for start, stop in offsets.tolist() for place in range(start, stop)}
    assert covered == set(range(len(text)))


def test_offsets_count_characters_not_bytes(loaded: Tokenizer) -> None:
    text = "é😀 the fox"
    ids, offsets = loaded.encode_with_offsets(text)
    place = [loaded.decode(ids[i:]) for i in range(len(ids))].index(" fox")
    assert text[offsets[place, 0] :] == " fox"


def test_the_vocabulary_reaches_to_the_highest_id_also_past_holes(
    data: bytes, tmp_path: Path
) -> None:
    def add(document: dict[str, object]) -> None:
        model = document["model"]
        assert isinstance(model, dict)
        model["vocab"]["\u0120rare"] = 5000

    assert load_tokenizer(save(tmp_path, changed(data, add))).vocabulary == 5001


@pytest.mark.parametrize(("highest", "accepted"), [((1 << 21) - 1, True), (1 << 21, False)])
def test_the_highest_id_allowed_is_the_last_that_loads(
    data: bytes, tmp_path: Path, highest: int, accepted: bool
) -> None:
    def add(document: dict[str, object]) -> None:
        model = document["model"]
        assert isinstance(model, dict)
        model["vocab"]["\u0120rare"] = highest

    path = save(tmp_path, changed(data, add))
    if accepted:
        assert load_tokenizer(path).vocabulary == 1 << 21
        return
    with pytest.raises(MalformedTokenizerError) as caught:
        load_tokenizer(path)
    assert caught.value.code == "malformed-tokenizer"


def test_the_digest_that_a_key_names_is_accepted_and_another_refused(
    data: bytes, tmp_path: Path
) -> None:
    path = save(tmp_path, data)
    digest = hashlib.sha256(data).hexdigest()
    assert load_tokenizer(path, sha256=digest).sha256 == digest
    path.write_bytes(data + b"\n")  # The same tokenizer, but who can tell from a digest?
    with pytest.raises(WrongTokenizerError) as caught:
        load_tokenizer(path, sha256=digest)
    assert caught.value.code == "wrong-tokenizer"
    assert digest in str(caught.value)


def test_a_file_over_the_limit_is_refused_and_one_at_it_is_not(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, data)
    monkeypatch.setattr(tokenization, "MAX_TOKENIZER_BYTES", len(data))
    assert load_tokenizer(path).vocabulary == 300
    monkeypatch.setattr(tokenization, "MAX_TOKENIZER_BYTES", len(data) - 1)
    with pytest.raises(MalformedTokenizerError):
        load_tokenizer(path)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"model": 3}', b"not json", b"[" * 100_000]
)
def test_what_is_no_tokenizer_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(MalformedTokenizerError) as caught:
        load_tokenizer(save(tmp_path, data))
    assert caught.value.code == "malformed-tokenizer"
    assert "\n" not in str(caught.value)


def test_a_model_without_any_token_is_refused(tmp_path: Path) -> None:
    empty = tokenizers.Tokenizer(tokenizers.models.BPE()).to_str().encode()
    with pytest.raises(MalformedTokenizerError):
        load_tokenizer(save(tmp_path, empty))


@settings(deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_file_gives_a_tokenizer_or_our_own_error(
    data: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    damaged = bytearray(data)
    damaged[place % len(damaged)] = byte
    path = save(tmp_path_factory.mktemp("damaged"), bytes(damaged))
    try:
        tokenizer = load_tokenizer(path)
        tokenizer.decode(tokenizer.encode_batch(SENTENCES)[0])
    except (MalformedTokenizerError, MalformedInputError):
        return


def test_a_file_that_makes_the_package_panic_is_refused(data: bytes, tmp_path: Path) -> None:
    def shorten(document: dict[str, object]) -> None:
        model = document["model"]
        assert isinstance(model, dict)
        model["continuing_subword_prefix"] = "long enough"

    with pytest.raises(MalformedTokenizerError):
        load_tokenizer(save(tmp_path, changed(data, shorten)))


def test_a_missing_file_a_fifo_and_a_folder_without_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_tokenizer(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError):
        load_tokenizer(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(MalformedError):
        load_tokenizer(tmp_path / "fifo")


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "é" * 50 + "\udc80"])
def test_half_of_a_surrogate_pair_is_refused_and_a_whole_character_is_not(
    loaded: Tokenizer, text: str
) -> None:
    with pytest.raises(MalformedInputError) as caught:
        loaded.encode_batch(["fine", text])
    assert caught.value.code == "malformed-input"
    with pytest.raises(MalformedInputError):
        loaded.encode_with_offsets(text)
    assert len(loaded.encode_batch(["\U00010000"])[0]) == 4


def test_text_over_the_limit_is_refused_and_text_at_it_is_not(
    loaded: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenization, "MAX_TEXT_CHARACTERS", 100)
    assert len(loaded.encode_batch(["x" * 100])[0]) > 0
    with pytest.raises(MalformedInputError):
        loaded.encode_batch(["x" * 101])


def test_text_that_a_tokenizer_has_no_ids_for_is_refused(tmp_path: Path) -> None:
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"known": 0}, unk_token="[UNK]"))
    tokenizer = load_tokenizer(save(tmp_path, words.to_str().encode()))
    assert tokenizer.encode_batch(["known"])[0].tolist() == [0]
    with pytest.raises(MalformedInputError):
        tokenizer.encode_batch(["unknown"])


@pytest.mark.parametrize("token", [-1, 300, 1 << 40])
def test_an_id_outside_the_vocabulary_is_not_decoded(loaded: Tokenizer, token: int) -> None:
    with pytest.raises(MalformedInputError):
        loaded.decode([5, token])
    assert loaded.decode([299]) != ""


def test_a_tokenizer_can_be_sent_to_another_process(loaded: Tokenizer) -> None:
    copy = pickle.loads(pickle.dumps(loaded))  # noqa: S301 -- our own bytes
    assert copy.sha256 == loaded.sha256
    assert copy.encode_batch(SENTENCES)[1].tolist() == loaded.encode_batch(SENTENCES)[1].tolist()


def test_without_the_package_one_line_says_how_to_install_it(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError) as caught:
        load_tokenizer(save(tmp_path, data))
    assert caught.value.hint == "pip install 'countermark[watermark]'"
