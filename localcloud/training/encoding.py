"""Conversations as token ids, and which of them the model is to learn: those that the assistant says.

As in the real component, the user's tokens are read but not learnt.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.training.dataset import Conversation
from localcloud.training.errors import UserError

log = logging.getLogger(__name__)

IGNORED = -100
"""The label that torch's cross-entropy leaves out."""

_GENERATION_MARKER = "{% generation"


@dataclass(frozen=True)
class Example:
    """`labels[i]` is the token that is to be learnt at place i, or IGNORED."""

    tokens: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def learnt(self) -> int:
        return sum(label != IGNORED for label in self.labels)


def longest(tokenizer: Any, config: Any, max_seq_length: int) -> int:
    """Tokens that a row may have; -1 asks for what tokenizer and model allow."""
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None), max_seq_length]
    return int(min(limit for limit in limits if limit is not None and limit > 0))


def encode(tokenizer: Any, split: str, conversations: Sequence[Conversation], max_length: int) -> tuple[Example, ...]:
    """Rows cut to `max_length`, without those whose cut leaves nothing to learn.

    Raises UserError if the chat template refuses a row, or if nothing is left to learn in the whole split.
    """
    encoder = _encode_by_markers if _GENERATION_MARKER in tokenizer.chat_template else _encode_by_prefixes
    examples = []
    for number, conversation in enumerate(conversations, start=1):
        try:
            example = encoder(tokenizer, conversation)
        except Exception as error:  # a template may raise anything
            raise UserError(
                f"The chat template can not be applied to conversation {number} of {split}: {_reason(error)}"
            ) from error
        example = Example(example.tokens[:max_length], example.labels[:max_length])
        if example.learnt:
            examples.append(example)
    if conversations and not examples:
        raise UserError(f"No assistant tokens are left in {split} within {max_length} tokens: raise max_seq_length.")
    if len(examples) < len(conversations):
        log.warning("%s: %d rows have nothing to learn", split, len(conversations) - len(examples))
    return tuple(examples)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _encode_by_markers(tokenizer: Any, conversation: Conversation) -> Example:
    encoded: Mapping[str, list[int]] = tokenizer.apply_chat_template(
        list(conversation), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    tokens = encoded["input_ids"]
    labels = [token if mine else IGNORED for token, mine in zip(tokens, encoded["assistant_masks"], strict=True)]
    return Example(tuple(tokens), tuple(labels))


def _encode_by_prefixes(tokenizer: Any, conversation: Conversation) -> Example:
    """For templates without markers: an answer is what the template adds between its prompt and the next turn."""
    text = tokenizer.apply_chat_template(list(conversation), tokenize=False)
    answers = [
        _answer_span(tokenizer, conversation, index, text)
        for index, message in enumerate(conversation)
        if message.get("role") == "assistant"
    ]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [
        token if any(start <= begin < end for start, end in answers) else IGNORED
        for token, (begin, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return Example(tuple(encoded["input_ids"]), tuple(labels))


def _answer_span(tokenizer: Any, conversation: Conversation, index: int, text: str) -> tuple[int, int]:
    """Where an answer is in `text`; nowhere, if the template writes it differently once more turns follow."""
    before = tokenizer.apply_chat_template(list(conversation[:index]), tokenize=False, add_generation_prompt=True)
    after = tokenizer.apply_chat_template(list(conversation[: index + 1]), tokenize=False)
    if not after.startswith(before) or not text.startswith(after):
        return 0, 0
    return len(before), len(after)
