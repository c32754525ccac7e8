"""Chat datasets of the Hugging Face hub, or of a folder laid out as one, through the library `datasets`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.outcome import UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIBRARY = "datasets==5.2.0"
_PROBE_SECONDS = 10


@dataclass(frozen=True)
class HubSplit:
    """`rows` is how many there are; `read` gives the first ones, over the network."""

    name: str
    rows: int
    source: Any

    def read(self, count: int) -> Iterator[Mapping[str, Any]]:
        """Raises UnusableError if the download breaks off."""
        try:
            yield from self.source.take(count)
        except Exception as error:
            raise UnusableError(f"reading {self.name} broke off: {_in_words(error)}") from error


def splits_of(name: str) -> list[HubSplit]:
    """All splits of `owner/dataset`, or of a local folder. Raises UnusableError.

    A hub dataset that says how large its splits are is streamed, so that 5 per cent of it are 5 per cent of the
    download; one that does not has to be fetched whole to know.
    """
    try:
        import datasets
    except ImportError as error:
        raise UnusableError(f"fetch needs Hugging Face datasets: python -m pip install {LIBRARY}") from error
    if not Path(name).is_dir():
        _probe(name)
    try:
        builder = datasets.load_dataset_builder(name)
        if builder.info.splits and all(split.num_examples for split in builder.info.splits.values()):
            sources = builder.as_streaming_dataset()
        else:
            builder.download_and_prepare()
            sources = builder.as_dataset()
        sizes = builder.info.splits
        return [HubSplit(split, int(sizes[split].num_examples), sources[split]) for split in sources]
    except Exception as error:
        raise UnusableError(f"{name} can not be read: {_in_words(error)}") from error


def _probe(name: str) -> None:
    """One quick question, because the library's own retries keep silent for half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        HfApi().dataset_info(name, timeout=_PROBE_SECONDS)
    except HFValidationError as error:
        raise UnusableError(f"{name} is neither a folder nor owner/dataset on the hub") from error
    except RepositoryNotFoundError as error:
        raise UnusableError(f"the Hugging Face hub has no {name} that you may read (gated: log in first)") from error
    except Exception as error:
        raise UnusableError(f"the Hugging Face hub can not be reached: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
