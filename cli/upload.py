"""Putting the files of a version where the app finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.outcome import UnusableError
from shared.datasets.paths import SETTINGS_FILE, split_of
from shared.names import DATASETS, uploaded_blob
from shared.timeouts import DEFAULT_TIMEOUTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azure.core.credentials import TokenCredential


def files_of(folder: Path) -> list[Path]:
    """The splits, and tuning.json last."""
    found = [file for file in folder.iterdir() if split_of(file.name) or file.name == SETTINGS_FILE]
    return sorted(found, key=lambda file: (file.name == SETTINGS_FILE, file.name))


def upload(
    folder: Path,
    account_url: str,
    dataset: str,
    version: str,
    credential: TokenCredential,
    watch: Callable[[int], None],
) -> list[str]:
    """The names of the blobs, which replace older ones. Raises UnusableError."""
    from azure.core.exceptions import AzureError
    from azure.storage.blob import BlobServiceClient

    blobs: list[str] = []
    with BlobServiceClient(account_url, credential=credential, **DEFAULT_TIMEOUTS.options()) as service:
        for file in files_of(folder):
            name = uploaded_blob(dataset, version, file.name)
            done = 0

            def advance(current: int, _total: int | None) -> None:
                nonlocal done
                watch(current - done)
                done = current

            options: dict[str, Any] = {"overwrite": True, "progress_hook": advance}
            try:
                with file.open("rb") as content:
                    service.get_blob_client(DATASETS, name).upload_blob(content, **options)
            except AzureError as error:
                raise UnusableError(f"{name} was not uploaded: {type(error).__name__}: {error.message}") from error
            blobs.append(name)
    return blobs
