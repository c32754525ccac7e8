"""`python -m cli fetch`: a public chat dataset as the files of a version."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.hub import HubSplit, splits_of
from cli.outcome import UnusableError, give_up
from cli.progress import rows_bar
from cli.upload_version import check_and_upload
from shared.clock import utc_now
from shared.datasets.paths import MAX_NAME_LENGTH, REQUIRED_SPLITS, SPLIT_SUFFIX, SPLITS, parse_blob_name
from shared.errors import ConfigurationError, InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def fetch(
    name: Annotated[str, typer.Argument(metavar="OWNER/DATASET", help="On the Hugging Face hub; or a local folder.")],
    out: Annotated[Path, typer.Option(help="Folder for train_sft.jsonl and the others; is made.")],
    percent: Annotated[float, typer.Option(min=0.001, max=100, help="Only the first rows of each split.")] = 100,
    to_storage: Annotated[bool, typer.Option("--upload", help="Then validate, and upload if valid.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Name in droptune; else made of OWNER/DATASET.")] = None,
    version: Annotated[str | None, typer.Option(help="Version in droptune; else today's date (UTC).")] = None,
    storage: Annotated[
        str, typer.Option(envvar="STORAGE__blobServiceUri", help="Blob endpoint of droptune's storage account.")
    ] = "",
) -> None:
    """Download the splits of a chat dataset as JSON Lines files.

    Ends with 0, with 1 if it was to be uploaded but is invalid, or with 2 if the hub, the library or the storage
    account can not be had. Uploading takes your own identity (az login), which needs Storage Blob Data Contributor.
    """
    now = utc_now()
    target = f"{dataset or dataset_name(name)}/{version or f'{now:%Y-%m-%d}'}"
    try:
        if to_storage:
            if not storage:
                raise UnusableError("--upload needs --storage or the setting STORAGE__blobServiceUri")
            parse_blob_name(f"{target}/{SPLITS[0]}{SPLIT_SUFFIX}")
        for line in write_splits(_wanted(name, splits_of(name)), out, percent):
            typer.echo(line)
        if to_storage:
            check_and_upload(out, storage, target)
    except (UnusableError, ConfigurationError, InvalidDatasetError, OSError) as error:
        give_up(error)


def dataset_name(name: str) -> str:
    """What comes last in a hub's name or a path, as far as it can name a dataset in droptune."""
    last = name.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:MAX_NAME_LENGTH].strip("-") or "chats"


def write_splits(splits: Sequence[HubSplit], out: Path, percent: float) -> list[str]:
    """One line for people about each file. A file is complete or not there. Raises UnusableError or OSError."""
    out.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for split in splits:
        count = max(1, math.floor(split.rows * percent / 100))
        file, part = out / f"{split.name}{SPLIT_SUFFIX}", out / f"{split.name}.part"
        try:
            with rows_bar(f"fetching {split.name}", count) as advance, part.open("wb") as content:
                for number, row in enumerate(split.read(count), start=1):
                    content.write(_encoded(row, f"row {number} of {split.name}"))
                    advance(1)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        lines.append(f"{file}: {count:,} of {split.rows:,} rows, {file.stat().st_size:,} bytes")
    return lines


def _encoded(row: Mapping[str, Any], which: str) -> bytes:
    try:
        return msgspec.json.encode(row) + b"\n"
    except (TypeError, ValueError) as error:
        raise UnusableError(f"{which} can not be written as JSON: {error}") from error


def _wanted(name: str, splits: Sequence[HubSplit]) -> list[HubSplit]:
    """Those that droptune takes, in its order; a hub dataset may have others."""
    found = {split.name: split for split in splits}
    if missing := [split for split in REQUIRED_SPLITS if split not in found]:
        has = ", ".join(found) or "no split"
        raise UnusableError(f"{name} has {has}, but droptune needs {' and '.join(missing)}")
    return [found[split] for split in SPLITS if split in found]
