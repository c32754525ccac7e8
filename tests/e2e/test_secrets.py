"""No key, token or sentence of a dataset in what was logged, published or stored outside the dataset's containers."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from demo.app_client import question_body
from localcloud.azurite import ACCOUNT_KEY
from shared import names
from tests.e2e.leaks import CANARY, Leak, everything, leaks, secrets_of
from tests.e2e.playground import Playground, with_changes

pytestmark = [pytest.mark.localcloud, pytest.mark.training]

BROKEN_LINES = (
    f'{{"prompt": "{CANARY}", "messages": [{{"role": "user", "content": "{CANARY}"}},]}}',
    f'{{"prompt": "{CANARY}", "prompt_id": "1", "messages": [{{"role": "{CANARY}", "content": "{CANARY}"}}]}}',
    f'{{"prompt": "{CANARY}", "prompt_id": "1", "messages": "{CANARY}"}}',
    f"{CANARY} is no JSON",
    f'{{"{CANARY}": "{CANARY}"}}',
)


@pytest.fixture(scope="module")
def main_job(playground: Playground, small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Playground:
    """A cloud after a whole main job, the dataset of which is full of canaries, and after a rejected one."""
    assert CANARY in (small_dataset / "train_sft.jsonl").read_text()
    rows = "\n".join(BROKEN_LINES).encode()
    settings = json.dumps({"parameters": {CANARY.lower(): CANARY}, "smoke": {"must_contain": [CANARY]}}).encode()
    folder = tmp_path_factory.mktemp("broken")
    for name, changes in {"rows": {"train_sft.jsonl": rows}, "settings": {"tuning.json": settings}}.items():
        playground.upload(with_changes(small_dataset, folder / name, changes), f"leaky-{name}")
    if not any(item["state"] == "live" for item in playground.client.tunings()["tunings"]):
        playground.upload(small_dataset, "discreet")
        assert playground.until("discreet", "live", "failed", "rolled_back", deadline=420)["state"] == "live"
    for name in ("rows", "settings"):
        playground.until(f"leaky-{name}", "rejected", "failed", deadline=120)
    playground.client.sign_in_to_dashboard()
    live = next(item for item in playground.client.tunings(state="live")["tunings"])
    assert playground.client.score(live["dataset"], question_body(CANARY)).status_code == 200
    return playground


def found_in(playground: Playground) -> list[Leak]:
    standing = [item["name"] for item in playground.client.endpoints() if item["scoring_uri"]]
    keys = {name: playground.client.endpoint_key(name) for name in standing}
    assert keys, "there is no endpoint"
    return leaks(everything(playground.cloud), secrets_of(playground.cloud, keys))


def test_no_secret_and_no_content_is_logged_published_or_stored_outside(main_job: Playground) -> None:
    assert found_in(main_job) == []


def test_places_of_all_kinds_are_looked_at(main_job: Playground) -> None:
    places = [text.place for text in everything(main_job.cloud)]
    for kind in (
        "log logs/functions.log",
        "log logs/azure.log",
        "log logs/azurite.log",
        "log azurite.log",
        "log azureml/jobs",
        "log azureml/deployments",
        "blob reports/",
        "row 0 of documents in azure.db",
        "row 0 of events in eventgrid.db",
        "row 0 of deliveries in eventgrid.db",
    ):
        assert any(place.startswith(kind) for place in places), kind
    for table in names.TABLES:
        assert any(place.endswith(f"of table {table}") for place in places), table


def test_what_is_planted_is_found(main_job: Playground) -> None:
    """Once of each kind, in each place that can be written to from here."""
    cloud = main_job.cloud
    before = found_in(main_job)
    connection, verify = cloud.storage_connection_string(), str(cloud.config.ca_file)
    key = main_job.client.endpoint_key(main_job.client.endpoints()[0]["name"])
    planted_log = Path(cloud.config.state_dir, "logs", "planted.log")
    with (
        BlobServiceClient.from_connection_string(connection, connection_verify=verify) as blobs,
        QueueServiceClient.from_connection_string(connection, connection_verify=verify) as queues,
        TableServiceClient.from_connection_string(connection, connection_verify=verify) as tables,
    ):
        report = blobs.get_blob_client(names.REPORTS, "planted.json")
        queue = queues.create_queue("planted")
        table = tables.create_table("planted")
        try:
            planted_log.write_text(f"Authorization: Bearer {base64.b64encode(b'x' * 30).decode()}\n")
            report.upload_blob(f"a row says {CANARY}".encode())
            queue.send_message(base64.b64encode(f"https://a.blob/?sv=1&sig={'a' * 40}".encode()).decode())
            table.create_entity({"PartitionKey": "p", "RowKey": "planted", "note": f"{key} {ACCOUNT_KEY}"})
            found = set(found_in(main_job)) - set(before)
        finally:
            planted_log.unlink()
            report.delete_blob()
            queue.delete_queue()
            tables.delete_table("planted")
    assert {(leak.what.split(" of endpoint")[0], leak.place) for leak in found} == {
        ("a bearer token", "log logs/planted.log"),
        ("contents of a dataset", "blob reports/planted.json"),
        ("a shared access signature", "message in planted"),
        ("the key", "row planted of table planted"),
        ("the storage account's key", "row planted of table planted"),
    }
