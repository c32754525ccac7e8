"""Answers of a loaded model: one at a time, each until the model ends it or the limit is reached."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.training.model_folder import LoadedModel, load_model

THREADS = 1
"""One token at a time is too little work to share, and several containers may run beside a training."""


class RefusedConversationError(Exception):
    """The model's chat template or context length does not allow this conversation."""


@dataclass(frozen=True)
class Sampling:
    """A temperature of 0 means the likeliest token each time, as `do_sample` false does."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 50
    do_sample: bool = True
    max_new_tokens: int = 256
    return_full_text: bool = False
    ignore_eos: bool = False

    def as_generation_arguments(self) -> dict[str, object]:
        """The keyword arguments of transformers' `generate` that only a sampled answer takes."""
        if not self.do_sample or self.temperature == 0:
            return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        return {
            "do_sample": True,
            "temperature": self.temperature,
            "top_p": self.top_p if self.top_p > 0 else None,
            "top_k": self.top_k,
        }


@dataclass(frozen=True)
class Generator:
    """Thread-safe: torch works on one conversation at a time."""

    loaded: LoadedModel
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def load(folder: Path) -> Generator:
        """Raises ModelFolderError."""
        import torch

        torch.set_num_threads(THREADS)
        loaded = load_model(folder)
        loaded.model.eval()
        return Generator(loaded)

    def answer(self, messages: Sequence[Mapping[str, str]], sampling: Sampling) -> str:
        """The assistant's next message. Raises RefusedConversationError."""
        tokens = self._encode(messages)
        room = self._room(len(tokens))
        with self._lock:
            said = self._generate(tokens, min(sampling.max_new_tokens, room), sampling)
        shown = tokens + said if sampling.return_full_text else said
        text: str = self.loaded.tokenizer.decode(shown, skip_special_tokens=True)
        return text.strip()

    def _encode(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        try:
            encoded = self.loaded.tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
            )
        except Exception as error:  # a template may raise anything
            raise RefusedConversationError(f"The chat template refuses the conversation: {error}") from error
        tokens: list[int] = encoded["input_ids"]
        return tokens

    def _room(self, used: int) -> int:
        most = getattr(self.loaded.model.config, "max_position_embeddings", None) or used + 1_000_000
        if used >= most:
            raise RefusedConversationError(f"The conversation has {used} tokens; the model takes at most {most - 1}.")
        return int(most - used)

    def _end_tokens(self) -> list[int]:
        """The tokenizer's end of sequence, and what the model's own configuration says ends a turn."""
        configured = self.loaded.model.generation_config.eos_token_id
        several = configured if isinstance(configured, list) else [configured]
        return sorted({token for token in (*several, self.loaded.tokenizer.eos_token_id) if token is not None})

    def _generate(self, tokens: list[int], max_new_tokens: int, sampling: Sampling) -> list[int]:
        import torch

        tokenizer: Any = self.loaded.tokenizer
        prompt = torch.tensor([tokens])
        ends: dict[str, object] = {"eos_token_id": self._end_tokens()}
        if sampling.ignore_eos:
            ends = {"eos_token_id": None, "min_new_tokens": max_new_tokens}
        with torch.inference_mode():
            generated = self.loaded.model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=max_new_tokens,
                pad_token_id=tokenizer.pad_token_id,
                **ends,
                **sampling.as_generation_arguments(),
            )
        said: list[int] = generated[0, len(tokens) :].tolist()
        return said
