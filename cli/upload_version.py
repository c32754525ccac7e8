"""`upload`: a version, checked here first; what is invalid is not uploaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.checked import check, size_of
from cli.outcome import Outcome, UnusableError, end, ending
from cli.progress import bytes_bar
from cli.tables import print_report
from cli.thresholds import thresholds
from cli.upload import upload
from shared.clock import utc_now
from shared.datasets.paths import SPLIT_SUFFIX, SPLITS, parse_blob_name
from shared.errors import InvalidDatasetError


def upload_version(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With train_sft.jsonl, test_sft.jsonl and so on.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset; else the folder's.")] = "",
    version: Annotated[str, typer.Option(help="Version; else today's date (UTC).")] = "",
    storage: Annotated[
        str, typer.Option(envvar="STORAGE__blobServiceUri", help="Blob endpoint of droptune's storage account.")
    ] = "",
) -> None:
    """Validate a folder, then upload it as a version of a dataset.

    An upload that was broken off goes on where it was. Nothing of an invalid version is uploaded, and no file is
    changed before all of them have arrived. Takes your own identity (az login), which needs Storage Blob Data
    Contributor. Ends with 0, with 1 if the version is invalid, or with 2 if it could not be uploaded.
    """
    target = f"{dataset or folder.resolve().name}/{version or f'{utc_now():%Y-%m-%d}'}"
    with ending():
        if not storage:
            raise UnusableError("upload needs --storage or the setting STORAGE__blobServiceUri")
        try:
            parse_blob_name(f"{target}/{SPLITS[0]}{SPLIT_SUFFIX}")
        except InvalidDatasetError as error:
            raise UnusableError(error.message) from error
        check_and_upload(folder, storage, target)


def check_and_upload(folder: Path, storage: str, target: str) -> None:
    """`target` is DATASET/VERSION. Raises UnusableError; ends the command if the folder is invalid."""
    from azure.identity import DefaultAzureCredential

    with bytes_bar(f"checking {folder.name}", size_of(folder)) as watch:
        checked = check(folder, thresholds(os.environ), utc_now(), watch=watch)
    print_report(Console(), checked)
    if not checked.valid:
        end(Outcome.INVALID)
    dataset, _, version = target.partition("/")
    with DefaultAzureCredential() as credential, bytes_bar(f"uploading {target}", size_of(folder)) as watch:
        for line in upload(folder, storage, dataset, version, credential, watch):
            typer.echo(line)
