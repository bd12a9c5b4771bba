"""Marking in `transformers`: a logits processor, and a config that `generate` takes.

    generate(…, do_sample=True, watermarking_config=KeyedWatermark(sampler))

The key never enters the configuration that `transformers` prints or saves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor
from transformers.generation.configuration_utils import BaseWatermarkingConfig
from transformers.utils.logging import disable_progress_bar

from countermark.watermark.errors import MalformedInputError
from countermark.watermark.sampling import Marker, Sampler
from countermark.watermark.tokenization import load_tokenizer

__all__ = ["KeyedWatermark", "LocalModel", "MarkingProcessor"]


class MarkingProcessor(LogitsProcessor):  # type: ignore[misc]
    """Draws each token itself, and leaves `transformers` no other choice.

    It belongs after temperature, top-k and top-p, which is where `generate` puts the processor of
    a watermarking config. One object serves one call of `generate`: it remembers, for each row,
    which contexts were used. Not for beam search, which reorders rows, nor for greedy
    decoding, which leaves nothing to chance.

    The keyed part is computed by the CPU whatever the model runs on, so every device gives
    the same choice for the same logits.
    """

    supports_continuous_batching = False

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._markers: list[Marker] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return scores [B, V] that allow one token in each row; `input_ids` is [B, L]."""
        while len(self._markers) < len(scores):
            self._markers.append(Marker(self._sampler, rng=_generator()))
        width = self._sampler.width
        contexts = input_ids[:, -width:].cpu().numpy().astype(np.uint32)
        logits = scores.detach().to("cpu", torch.float32).numpy()
        chosen = [
            marker(row, context)
            for marker, row, context in zip(self._markers, logits, contexts, strict=False)
        ]
        only = torch.full_like(scores, -torch.inf)
        rows = torch.arange(len(chosen), device=scores.device)
        only[rows, torch.tensor(chosen, device=scores.device)] = 0.0
        return only


class KeyedWatermark(BaseWatermarkingConfig):  # type: ignore[misc]
    """What `generate(watermarking_config=…)` takes.

    Args:
        sampler: A scheme with its key, from `schemes.sampler_of`.
        key_id: The key's public name, the only thing that is printed or saved.

    """

    def __init__(self, sampler: Sampler, *, key_id: str = "") -> None:
        self._sampler = sampler
        self.key_id = key_id

    def validate(self) -> None:
        """Nothing is left to check: a sampler checks itself when it is made."""

    def construct_processor(
        self, vocab_size: int, device: str | torch.device | None = None
    ) -> MarkingProcessor:
        """Return a fresh processor for one call of `generate`."""
        return MarkingProcessor(self._sampler)

    def to_dict(self) -> dict[str, str]:
        """Return what may be saved: the key's public name."""
        return {"watermark": "countermark", "key_id": self.key_id}

    def to_json_string(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self.to_dict().items()


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model in a folder, for trying a key out.

    Attributes:
        model: Causal language model, on the CPU.
        tokenizer: Its tokenizer.

    """

    model: Any  # transformers has no types of its own.
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path, *, tokenizer_sha256: str | None = None) -> Self:
        """Load from a folder only; no code in it is run, and pickles are not read.

        Raises:
            WrongTokenizerError: The folder's tokenizer is not the one the key names.
            MalformedInputError: The folder holds no such model.

        """
        load_tokenizer(folder, sha256=tokenizer_sha256)
        disable_progress_bar()
        careful = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **careful)
            model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **careful)
        except (OSError, ValueError, KeyError) as e:
            reason = " ".join(str(e).split())[:200]
            raise MalformedInputError(f"transformers cannot load this folder: {reason}") from e
        return cls(model.eval(), tokenizer)

    def write(
        self,
        prompt: str,
        sampler: Sampler,
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> tuple[str, list[int]]:
        """Return what follows `prompt`: the text, and its token ids."""
        if seed is not None:
            torch.manual_seed(seed)
        inputs = self.tokenizer(prompt or "\n", return_tensors="pt")
        with torch.no_grad():
            written = self.model.generate(
                **inputs,
                do_sample=True,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                watermarking_config=KeyedWatermark(sampler),
            )
        ids: list[int] = written[0, inputs["input_ids"].shape[1] :].tolist()
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)), ids


def _generator() -> np.random.Generator:
    """Return a generator seeded by torch's, so that `torch.manual_seed` settles the whole text."""
    return np.random.default_rng(int(torch.randint(0, 2**62, (1,)).item()))
