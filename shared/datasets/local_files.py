"""Splits that lie on this machine, read as the function reads blobs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.datasets.limits import DEFAULT_LIMITS, Limits
from shared.datasets.paths import COMPRESSED_SUFFIX, SETTINGS_FILE, SPLIT_SUFFIX, SPLITS, split_of
from shared.datasets.source import Source
from shared.datasets.split_report import Problem
from shared.datasets.tuning_file import parse_tuning_file, sequence_length
from shared.datasets.validation import validate_split
from shared.datasets.version_check import check_version, twice
from shared.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.datasets.blocks import Chunk
    from shared.datasets.split_report import SplitReport

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Chunks of a file; each is overwritten when the next one is asked for. Raises OSError.

    `watch` is told the size of every chunk, of each reading.
    """

    path: Path
    watch: Callable[[int], None] | None = None

    def __iter__(self) -> Iterator[Chunk]:
        buffer = bytearray(CHUNK_BYTES)
        with self.path.open("rb", buffering=0) as file:
            while size := file.readinto(buffer):
                if self.watch:
                    self.watch(size)
                yield buffer if size == CHUNK_BYTES else bytes(memoryview(buffer)[:size])


def check_file(
    path: Path,
    split: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    watch: Callable[[int], None] | None = None,
) -> SplitReport:
    """One file by the rules of `split`, or of the split that it is named for, else of `train_sft`."""
    return validate_split(_source(path, split or split_of(path.name) or "train_sft", watch), limits)


def check_folder(
    folder: Path, limits: Limits = DEFAULT_LIMITS, watch: Callable[[int], None] | None = None
) -> tuple[list[SplitReport], list[Problem]]:
    """A folder with the files of one version: exactly what becomes of it when it is uploaded.

    All but what only the registry knows: whether the model exists, and takes the parameters of tuning.json.
    Raises OSError.
    """
    files = {path.name: path for path in folder.iterdir()}
    problems: list[Problem] = []
    if settings := files.get(SETTINGS_FILE):
        try:
            limits = sequence_length(parse_tuning_file(settings.read_bytes()), limits)
        except InvalidDatasetError as error:
            problems.append(Problem(error.code, SETTINGS_FILE, error.message))
    sources: list[Source] = []
    for split in SPLITS:
        found = [files[split + suffix] for suffix in (SPLIT_SUFFIX, COMPRESSED_SUFFIX) if split + suffix in files]
        if len(found) > 1:
            problems.append(twice(split))
        sources.extend(_source(path, split, watch) for path in found[:1])
    reports, more = check_version(sources, limits)
    return reports, problems + more


def _source(path: Path, split: str, watch: Callable[[int], None] | None) -> Source:
    return Source(split, LocalFile(path, watch), compressed=path.name.endswith(".gz"))
