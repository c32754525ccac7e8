"""A small base model from nothing: Phi-3's architecture, random weights, a tokenizer trained on the spot.

    python -m localcloud.base_model --out DIR [--corpus FILE ...]

It knows no language yet and learns a narrow domain in about a minute on two processor cores. The same seed and corpus
give the same files.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.training.model_folder import LoadedModel, write_mlflow_model
from localcloud.training.runtime import log_to_stderr, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

CORPUS = Path(__file__).with_name("base_corpus.txt")
MAX_POSITIONS = 2048
VOCABULARY = 2048

_PADDING, _END = "<|padding|>", "<|end|>"
_SPECIAL_TOKENS = (_PADDING, _END, "<|system|>", "<|user|>", "<|assistant|>")

# Two wide layers learn more in a minute than four narrow ones: fewer, larger multiplications suit a processor, and
# two are what copying a name from the question into the answer takes.
_SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}

# The generation markers tell training which tokens are the assistant's.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{%- if message['role'] == 'assistant' -%}"
    "{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{%- else -%}{{ message['content'] + '<|end|>' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def train_tokenizer(corpus: Sequence[Path]) -> Any:
    """A byte-level BPE tokenizer for transformers: any text survives encoding and decoding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(_SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = (line for file in corpus for line in file.read_text(encoding="utf-8").splitlines())
    tokenizer.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_END,
        pad_token=_PADDING,
        additional_special_tokens=list(_SPECIAL_TOKENS[2:]),
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def build(out: Path, *, corpus: Sequence[Path] = (CORPUS,), seed: int = 42) -> None:
    """Write the base model to `out` in MLflow layout; what was there is replaced."""
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    tokenizer = train_tokenizer(corpus)
    torch.manual_seed(seed)
    model = Phi3ForCausalLM(
        Phi3Config(
            **_SHAPE,
            vocab_size=len(tokenizer),
            max_position_embeddings=MAX_POSITIONS,
            original_max_position_embeddings=MAX_POSITIONS,
            initializer_range=0.04,
            tie_word_embeddings=True,
            sliding_window=None,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    write_mlflow_model(out, LoadedModel(model, tokenizer), metadata={"base_model_name": "localcloud-base"})
    log.info("built %s: %d parameters, %d tokens", out, model.num_parameters(), len(tokenizer))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localcloud.base_model", description="Build a base model.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--corpus", type=Path, nargs="+", default=[CORPUS], metavar="FILE")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    log_to_stderr()
    prepare()
    build(arguments.out, corpus=arguments.corpus, seed=arguments.seed)


if __name__ == "__main__":
    main()
