"""Secrets and contents of datasets, looked for in everything that was logged, published, or stored for all to see."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from localcloud.azurite import ACCOUNT_KEY
from localcloud.stack import LocalCloud, function_keys
from shared import names

CANARY = "Quorlibet"
"""A word that nobody says but the datasets of these tests."""

_OWN_CONTAINERS = frozenset({names.DATASETS, names.TUNINGS})
"""What users upload, and the copies, samples and smoke tests of it: contents belong there."""
_LOGS = ("*.log", "executionlogs.txt")
_KEYS_OF_THE_CLOUD = re.compile(r'"(primary_key|secondary_key)": ?"[^"]*"')
"""Where the emulated Azure ML keeps the keys of its endpoints, as it must."""
_PATTERNS = {
    "a JSON web token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}"),
    "a bearer token": re.compile(r"(?i)\bbearer [\w.~+/-]{16,}"),
    "a shared access signature": re.compile(r"(?i)\bsig=[\w%+/-]{16,}"),
    "a connection string": re.compile(r"(?i)\b(AccountKey|SharedAccessKey|SharedAccessSignature)="),
}


@dataclass(frozen=True)
class Text:
    """`place` says where it was found: a file, a blob, a row, an event."""

    place: str
    content: str


@dataclass(frozen=True)
class Leak:
    """`what` was found, never the secret itself."""

    what: str
    place: str


def leaks(texts: Iterator[Text], secrets: Mapping[str, str]) -> list[Leak]:
    """`secrets`: what it is → its value. Contents of datasets are known by their canary."""
    found = []
    for text in texts:
        found += [Leak(what, text.place) for what, value in secrets.items() if value in text.content]
        found += [Leak(what, text.place) for what, pattern in _PATTERNS.items() if pattern.search(text.content)]
        if CANARY in text.content:
            found.append(Leak("contents of a dataset", text.place))
    return found


def secrets_of(cloud: LocalCloud, endpoint_keys: Mapping[str, str]) -> dict[str, str]:
    """Every key that exists. `endpoint_keys` by endpoint."""
    keys = function_keys(Path(cloud.config.state_dir))
    return {
        "the storage account's key": ACCOUNT_KEY,
        "the secret of the identity endpoint": cloud.config.identity_header,
        **{f"the key {name} of the Functions host": key for name, key in keys.items()},
        **{f"the key of endpoint {name}": key for name, key in endpoint_keys.items()},
    }


def everything(cloud: LocalCloud) -> Iterator[Text]:
    """All that a main job leaves behind outside the dataset's own containers and the disks of its job."""
    state = Path(cloud.config.state_dir)
    for pattern in _LOGS:
        for file in sorted(state.rglob(pattern)):
            yield Text(f"log {file.relative_to(state)}", file.read_text(errors="replace"))
    for database in ("azure.db", "eventgrid.db"):
        yield from _rows(state / database)
    connection, verify = cloud.storage_connection_string(), str(cloud.config.ca_file)
    with BlobServiceClient.from_connection_string(connection, connection_verify=verify) as blobs:
        yield from _blobs(blobs)
    with QueueServiceClient.from_connection_string(connection, connection_verify=verify) as queues:
        yield from _messages(queues)
    with TableServiceClient.from_connection_string(connection, connection_verify=verify) as tables:
        yield from _entities(tables)


def _rows(database: Path) -> Iterator[Text]:
    """Documents of Azure ML; events and their deliveries."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for number, row in enumerate(connection.execute(f'SELECT * FROM "{table}"')):
                content = json.dumps([str(value) for value in row], ensure_ascii=False).replace('\\"', '"')
                yield Text(f"row {number} of {table} in {database.name}", _KEYS_OF_THE_CLOUD.sub("", content))


def _blobs(service: BlobServiceClient) -> Iterator[Text]:
    for container in service.list_containers():
        if container.name in _OWN_CONTAINERS:
            continue
        client = service.get_container_client(container.name)
        for blob in client.list_blobs(include=["metadata"]):
            content = client.download_blob(blob.name).readall().decode(errors="replace")
            yield Text(f"blob {container.name}/{blob.name}", f"{blob.name} {dict(blob.metadata or {})} {content}")


def _messages(service: QueueServiceClient) -> Iterator[Text]:
    for queue in service.list_queues():
        for message in service.get_queue_client(queue.name).peek_messages(max_messages=32):
            yield Text(f"message in {queue.name}", f"{message.content} {_decoded(message.content)}")


def _entities(service: TableServiceClient) -> Iterator[Text]:
    for table in service.list_tables():
        for entity in service.get_table_client(table.name).list_entities():
            row: Mapping[str, Any] = dict(entity)
            yield Text(f"row {row['RowKey']} of table {table.name}", json.dumps(row, default=str, ensure_ascii=False))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
