"""Azurite's access log and journal stay small, and no storage event is lost by that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import BlobServiceClient

from localcloud.azurite import azurite_is_up, azurite_process, connection_string, find_azurite
from localcloud.config import STORAGE_ACCOUNT_ID
from tests.integration.eventgrid_harness import new_config, running, subscription, until, webhook

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.localcloud

BLOBS = 150


def test_logs_are_turned_over_while_every_upload_becomes_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLOUD_JOURNAL_BYTES", "10000")
    monkeypatch.setenv("LOCALCLOUD_ACCESS_LOG_BYTES", "10000")
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook, topic=STORAGE_ACCOUNT_ID))
        process = azurite_process(
            config, find_azurite(Path(__file__)), persistent=False, log_file=tmp_path / "azurite.err"
        )
        process.start()
        try:
            process.wait_until_ready(lambda: azurite_is_up(config), deadline=30)
            with BlobServiceClient.from_connection_string(
                connection_string(config), connection_verify=str(config.ca_file)
            ) as service:
                upload(service.create_container("many"), 0)  # nobody reads the journal yet
                assert len(list(config.storage_journal.iterdir())) > 2
                with running(config):
                    upload(service.get_container_client("many"), BLOBS)
                    until(lambda: len(hook.notifications) == 2 * BLOBS, "events are missing", 30)
                    until(lambda: len(list(config.storage_journal.iterdir())) == 1, "nothing was deleted")
        finally:
            process.stop()

    names = {r.event["subject"].rpartition("/")[2] for r in hook.notifications}
    assert names == {str(number) for number in range(2 * BLOBS)}
    assert config.azurite_log.stat().st_size < 60_000  # it looks once in 256 requests
    assert config.azurite_log.with_name("azurite.log.1").exists()


def upload(container: ContainerClient, first: int) -> None:
    for number in range(first, first + BLOBS):
        container.upload_blob(str(number), b"")
