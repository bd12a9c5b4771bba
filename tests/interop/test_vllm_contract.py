"""vLLM's contract once more, in tensors: written from specs/rosetta-vllm-v1, not from our code.

vLLM itself needs a GPU build, so its published formula is transcribed here in the shape that its
detector has: 64-bit torch integers, products from 16-bit halves, contexts as rows, one text at
a time. Our numba kernels must agree with it to the last bit of every uniform.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from countermark.watermark.documents import Documents
from countermark.watermark.vllm import VllmDualGumbelDetector, VllmGumbelDetector, keyed_words

if TYPE_CHECKING:
    from torch import Tensor

torch = pytest.importorskip("torch", reason="the transcription of vLLM's detector is torch")

WORD = 0xFFFFFFFF
VOCABULARY = 128_256
Words = Callable[[int, "Tensor", "Tensor"], "Tensor"]
NO_FIRSTS = np.zeros(0, np.int64)


def multiply(constant: int, values: Tensor) -> tuple[Tensor, Tensor]:
    """Upper and lower word of a 32 x 32 bit product, without leaving signed 64 bits."""
    top = (values >> 16) * constant
    bottom = (values & 0xFFFF) * constant
    # top < 2^48 and bottom < 2^48, so that their parts add up without overflow.
    low = ((top & 0xFFFF) << 16) + bottom
    return ((top >> 16) + (low >> 32)) & WORD, low & WORD


def philox(counter: list[Tensor], key: list[Tensor]) -> list[Tensor]:
    key = [word & WORD for word in key]
    for number in range(10):
        if number:
            key = [(key[0] + 0x9E3779B9) & WORD, (key[1] + 0xBB67AE85) & WORD]
        high_0, low_0 = multiply(0xD2511F53, counter[0])
        high_2, low_2 = multiply(0xCD9E8D57, counter[2])
        counter = [high_2 ^ counter[1] ^ key[0], low_2, high_0 ^ counter[3] ^ key[1], low_0]
    return counter


def philox_words(key: int, contexts: Tensor, targets: Tensor) -> Tensor:
    """Words of int64 [N, width] contexts and int64 [N] targets, int64 [N]."""
    rows, width = contexts.shape
    keys = [torch.full((rows,), key & WORD), torch.full((rows,), key >> 32)]
    state = [torch.full((rows,), value) for value in (0x574D4358, width, 0, 0)]
    fill = torch.tensor([WORD, WORD - 1, WORD - 2, WORD - 3])
    padded = torch.cat([contexts & WORD, fill[(width % 4 or 4) :].expand(rows, -1)], dim=1)
    for offset in range(0, width, 4):
        mixed = [state[lane] ^ padded[:, offset + lane] for lane in range(4)]
        state = philox(mixed, [keys[0] ^ offset, keys[1]])
    output = philox(
        [targets >> 2, state[0], state[1], state[2]], [keys[0] ^ state[3], keys[1] ^ 0x574D544B]
    )
    words: Tensor = torch.stack(output, dim=1).gather(1, (targets & 3)[:, None])[:, 0]
    return words


def hmac_words(key: int, contexts: Tensor, targets: Tensor) -> Tensor:
    words = []
    for context, target in zip(contexts.tolist(), targets.tolist(), strict=True):
        message = b"vllm-watermark-hmac-sha256-v1\x00" + struct.pack("<I", len(context))
        message += b"".join(struct.pack("<q", token) for token in [*context, target])
        digest = hmac.new(key.to_bytes(32, "little"), message, hashlib.sha256).digest()
        words.append(struct.unpack("<I", digest[:4])[0])
    drawn: Tensor = torch.tensor(words, dtype=torch.int64)
    return drawn


def uniforms(words: Tensor) -> Tensor:
    return (((words >> 8).double() + 1) / (2**24 + 1)).float()


def kept(ids: list[int], width: int) -> list[int]:
    """Places that vLLM's detector scores: each padded context the first time."""
    seen, places = set(), []
    padded = [-1] * width + ids
    for place in range(len(ids)):
        context = tuple(padded[place : place + width])
        if context not in seen:
            seen.add(context)
            places.append(place)
    return places


def vllm_score(key: int, ids: list[int], width: int, words: Words = philox_words) -> float:
    """The score that vLLM's single-key detector reports for a text."""
    places = kept(ids, width)
    padded = [-1] * width + ids
    contexts = torch.tensor([padded[place : place + width] for place in places])
    drawn = words(key, contexts, torch.tensor([ids[place] for place in places]))
    score: float = (-torch.log1p(-uniforms(drawn).double())).sum().item()
    return score


def sliding(ids: NDArray[np.uint32], width: int) -> tuple[Tensor, Tensor]:
    rows = np.lib.stride_tricks.sliding_window_view(ids.astype(np.int64), width + 1)
    return torch.from_numpy(rows[:, :-1].copy()), torch.from_numpy(rows[:, -1].copy())


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 8, 11, 16])
@pytest.mark.parametrize("key", [0, 42, 2**32, 2**64 - 1, 15726070495360670683])
def test_philox_words_and_scores_equal_the_tensors(key: int, width: int) -> None:
    ids = np.random.default_rng(width).integers(0, VOCABULARY, 20_000 + width).astype(np.uint32)
    documents = Documents.of([ids], vocabulary=VOCABULARY)
    positions = np.arange(width, len(ids), dtype=np.int64)
    want = philox_words(key, *sliding(ids, width))
    got = keyed_words(key, "philox", documents.tokens, positions, NO_FIRSTS, width)
    assert np.array_equal(got, want.numpy())
    scores = VllmGumbelDetector(key, width).values(documents, positions)
    theirs = -torch.log1p(-uniforms(want).double())
    # The uniforms are equal; log1p and log may differ in the last bit of a double.
    np.testing.assert_allclose(scores, theirs.numpy(), rtol=4.5e-16, atol=0)


def test_hmac_words_equal_the_contract() -> None:
    for width, key in ((1, 42), (4, 2**256 - 1), (7, 0)):
        ids = np.random.default_rng(width).integers(0, VOCABULARY, 500).astype(np.uint32)
        positions = np.arange(width, len(ids), dtype=np.int64)
        got = keyed_words(key, "hmac_sha256", ids, positions, NO_FIRSTS, width)
        assert np.array_equal(got, hmac_words(key, *sliding(ids, width)).numpy())


@pytest.mark.parametrize("vocabulary", [4, 60, VOCABULARY])
@pytest.mark.parametrize("prf", ["philox", "hmac_sha256"])
def test_padded_values_add_up_to_what_vllm_reports(prf: str, vocabulary: int) -> None:
    words = philox_words if prf == "philox" else hmac_words
    rng = np.random.default_rng(vocabulary)
    texts = [rng.integers(0, vocabulary, n).tolist() for n in (0, 1, 3, 4, 5, 400)]
    documents = Documents.of(texts, vocabulary=VOCABULARY)
    for number, ids in enumerate(texts[1:], start=1):
        at = documents.starts[number] + np.array(kept(ids, 4), np.int64)
        score = VllmGumbelDetector(42, 4, prf).padded_values(documents, at).sum()
        assert score == pytest.approx(vllm_score(42, ids, 4, words), rel=1e-13)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.2, 0.5, 1.0])
def test_two_keys_add_up_to_what_vllm_reports(alpha: float) -> None:
    ids = np.random.default_rng(9).integers(0, VOCABULARY, 400).tolist()
    total = 0.0
    for domain, weight in ((b"key_a", 1 - alpha), (b"key_b", alpha)):
        digest = hashlib.sha256(domain + (42).to_bytes(8, "big")).digest()
        total += weight * vllm_score(int.from_bytes(digest[:8], "big"), ids, 4)
    documents = Documents.of([ids], vocabulary=VOCABULARY)
    at = np.array(kept(ids, 4), np.int64)
    score = VllmDualGumbelDetector(42, alpha).padded_values(documents, at).sum()
    assert score == pytest.approx(total, rel=1e-13)


def test_p_for_two_keys_is_not_the_fitted_gamma_that_vllm_takes() -> None:
    # rosetta-vllm-v1, section 7.3: the fitted p is too small, more so the further out.
    n, alpha = 200, 0.2
    variance = (1 - alpha) ** 2 + alpha**2
    shape = torch.tensor(n / variance).double()
    excess = [1.0]
    for total in (230.0, 260.0, 290.0, 320.0):
        fitted = torch.special.gammaincc(shape, torch.tensor(total / variance).double()).item()
        exact = VllmDualGumbelDetector(42, alpha).log_p(np.array([total]), np.array([n]))[0]
        excess.append(float(np.exp(exact) / fitted))
    assert excess == sorted(excess)
    assert excess[-1] > 2
