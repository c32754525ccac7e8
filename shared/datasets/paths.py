"""The blobs of the container `datasets`: `{dataset}/{version}/{split}.jsonl[.gz]` and `.../tuning.json`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

from shared.errors import InvalidDatasetError

REQUIRED_SPLITS = ("train_sft", "test_sft")
OPTIONAL_SPLITS = ("test_gen",)
SETTINGS_FILE = "tuning.json"

MAX_NAME_LENGTH = 40
"""Characters of a dataset's or a version's name: both become part of the names of Azure resources."""

SPLITS = (*REQUIRED_SPLITS, *OPTIONAL_SPLITS)
SPLIT_SUFFIX = ".jsonl"
COMPRESSED_SUFFIX = ".jsonl.gz"
FILE_NAMES = (
    *(f"{split}{SPLIT_SUFFIX}" for split in SPLITS),
    *(f"{split}{COMPRESSED_SUFFIX}" for split in SPLITS),
    SETTINGS_FILE,
)

_DATASET = re.compile(r"[a-z0-9](-?[a-z0-9])*", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_LAYOUT = "upload to {dataset}/{version}/{file}, for example my-chats/2026-11-22/train_sft.jsonl"
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """One blob of a version. `name` is the file name, one of FILE_NAMES."""

    dataset: str
    version: str
    name: str

    @property
    def split(self) -> str | None:
        """None for tuning.json."""
        return split_of(self.name)


def split_of(file_name: str) -> str | None:
    """The split that a file is named for; None for any other file."""
    split = file_name.removesuffix(".gz").removesuffix(SPLIT_SUFFIX)
    return split if split in SPLITS and file_name in FILE_NAMES else None


def parse_blob_name(blob_name: str) -> DatasetFile:
    """`blob_name` is relative to the container, as the storage service reports it (not URL-encoded).

    Raises InvalidDatasetError: "UnsupportedPath" when folders or their names are wrong, "UnsupportedName"
    when the file is none of FILE_NAMES.
    """
    parts = blob_name.split("/")
    if len(parts) != 3:
        raise _unsupported_path(f"{_shown(blob_name)} is not in a folder of a dataset and a version; {_LAYOUT}.")
    dataset, version, name = parts
    if len(dataset) > MAX_NAME_LENGTH or not _DATASET.fullmatch(dataset):
        raise _unsupported_path(
            f"The dataset name {_shown(dataset)} can not be used: take 1 to {MAX_NAME_LENGTH} lower-case "
            "letters a-z and digits, with single hyphens between them."
        )
    if len(version) > MAX_NAME_LENGTH or ".." in version or not _VERSION.fullmatch(version):
        raise _unsupported_path(
            f"The version {_shown(version)} can not be used: take 1 to {MAX_NAME_LENGTH} letters A-Z, a-z, "
            "digits, dots, hyphens, underscores; a letter or digit at both ends, no two dots in a row."
        )
    if name not in FILE_NAMES:
        raise InvalidDatasetError("UnsupportedName", _unsupported_name(name))
    return DatasetFile(dataset, version, name)


def smoke_split(present: Collection[str]) -> str:
    """Where the smoke test draws its question from: the split for that where there is one."""
    return "test_gen" if "test_gen" in present else "test_sft"


def _unsupported_path(message: str) -> InvalidDatasetError:
    return InvalidDatasetError("UnsupportedPath", message)


def _unsupported_name(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), FILE_NAMES, n=1) if len(name) <= _SHOWN_CHARACTERS else []
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{_shown(name)} is not a file of a dataset: name it one of {', '.join(FILE_NAMES)}.{hint}"


def _shown(name: str) -> str:
    """Hostile names end up in logs and on a page: shown as ASCII, escaped and cut."""
    cut = name if len(name) <= _SHOWN_CHARACTERS else name[:_SHOWN_CHARACTERS] + "..."
    return ascii(cut)
