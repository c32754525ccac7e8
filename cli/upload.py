"""Putting the files of a version where the app finds them; what was broken off goes on where it was.

A file is staged in blocks that are named for their place and content, and becomes a blob when all files of the version
are staged. The storage service keeps staged blocks for a week, so the next try sends only what is missing:
https://learn.microsoft.com/rest/api/storageservices/put-block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.outcome import UnusableError
from shared.datasets.paths import SETTINGS_FILE, split_of
from shared.names import DATASETS, uploaded_blob
from shared.timeouts import DEFAULT_TIMEOUTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azure.core.credentials import TokenCredential
    from azure.storage.blob import BlobClient

BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class _Staged:
    """A file whose blocks have arrived; `blocks` is empty where the blob has this content already."""

    client: BlobClient
    name: str
    size: int
    blocks: tuple[str, ...]
    digest: bytes


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
    """One line for each file. Raises UnusableError."""
    from azure.core.exceptions import AzureError
    from azure.storage.blob import BlobServiceClient

    lines: list[str] = []
    name = ""
    with BlobServiceClient(account_url, credential=credential, **DEFAULT_TIMEOUTS.options()) as service:
        try:
            staged = []
            for file in files_of(folder):
                name = uploaded_blob(dataset, version, file.name)
                staged.append(_stage(file, service.get_blob_client(DATASETS, name), name, watch))
            for item in staged:
                name = item.name
                lines.append(_commit(item))
        except AzureError as error:
            raise UnusableError(f"{name} was not uploaded: {type(error).__name__}: {error.message}") from error
    return lines


def _stage(file: Path, client: BlobClient, name: str, watch: Callable[[int], None]) -> _Staged:
    blocks, whole, size = [], hashlib.md5(usedforsecurity=False), file.stat().st_size
    there = _staged_before(client)
    same = _content_md5(client)
    if same is not None and same == _digest(file):
        watch(size)
        return _Staged(client, name, size, (), same)
    for number, block in enumerate(_blocks(file)):
        whole.update(block)
        block_id = _block_id(number, block)
        if there.get(block_id) != len(block):
            client.stage_block(block_id, block, length=len(block))
        blocks.append(block_id)
        watch(len(block))
    return _Staged(client, name, size, tuple(blocks), whole.digest())


def _commit(staged: _Staged) -> str:
    from azure.storage.blob import BlobBlock, ContentSettings

    if not staged.blocks and staged.size:
        return f"unchanged {staged.name}"
    # The service keeps this digest as it is told: the next upload compares with it, nobody else believes it.
    settings = ContentSettings(content_type="application/octet-stream", content_md5=bytearray(staged.digest))
    staged.client.commit_block_list([BlobBlock(block) for block in staged.blocks], content_settings=settings)
    return f"uploaded {staged.name} ({staged.size:,} bytes)"


def _staged_before(client: BlobClient) -> dict[str, int]:
    """Sizes of the blocks that an earlier try left."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        _, uncommitted = client.get_block_list("uncommitted")
    except ResourceNotFoundError:
        return {}
    return {str(block.id): int(block.size) for block in uncommitted}


def _content_md5(client: BlobClient) -> bytes | None:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        found = client.get_blob_properties().content_settings.content_md5
    except ResourceNotFoundError:
        return None
    return None if found is None else bytes(found)


def _digest(file: Path) -> bytes:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).digest()


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while block := content.read(BLOCK_BYTES):
            yield block


def _block_id(number: int, block: bytes) -> str:
    """All of one length, as the service wants them; other content in the same place is another block."""
    digest = hashlib.sha256(block).hexdigest()[:24]
    return f"{number:06d}-{digest}"
