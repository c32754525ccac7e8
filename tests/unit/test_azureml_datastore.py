"""The default datastore: from a job's URI to the blob, and from the SDK's way to name a blob service to Azurite."""

from __future__ import annotations

import pytest
from azure.storage.blob import BlobServiceClient

from localcloud.azureml.datastore import CONTAINER, blob_url, storage_suffix
from localcloud.config import WORKSPACE_ID, CloudConfig, Ports

CONFIG = CloudConfig("state", Ports(1, 2, 20003, 4, 5, 6), "secret", ())
PREFIX = f"{CONFIG.blob_url}/{CONTAINER}"


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("azureml://datastores/workspaceblobstore/paths/a/b.jsonl", f"{PREFIX}/a/b.jsonl"),
        ("azureml://datastores/workspaceblobstore/paths/a b#?.jsonl", None),
        ("azureml://datastores/workspaceblobstore/paths/a b#.jsonl", f"{PREFIX}/a%20b%23.jsonl"),
        (
            f"azureml:/{WORKSPACE_ID.replace('/providers/Microsoft.MachineLearningServices', '')}"
            "/datastores/workspaceblobstore/paths/a.jsonl",
            f"{PREFIX}/a.jsonl",
        ),
        ("azureml://datastores/another/paths/a.jsonl", None),
        ("azureml://registries/azureml/models/m/versions/1", None),
        (f"{CONFIG.blob_url}/data/a.jsonl", None),
    ],
)
def test_a_path_in_the_default_datastore_is_a_blob(uri: str, url: str | None) -> None:
    assert blob_url(CONFIG, uri) == url


def test_the_url_that_the_sdk_makes_of_the_storage_suffix_leads_to_azurite() -> None:
    account_url = f"https://devstoreaccount1.blob.{storage_suffix(CONFIG)}"
    blob = BlobServiceClient(account_url).get_blob_client(CONTAINER, "a.jsonl")
    name, _, rest = blob.url.partition("@")
    assert name.startswith("https://devstoreaccount1.blob.")
    assert f"https://{rest}" == f"{PREFIX}/a.jsonl"
