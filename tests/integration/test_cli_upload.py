"""`python -m cli upload` and `fetch --upload`, against Azurite, with the identity that DefaultAzureCredential finds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobClient, BlobServiceClient
from typer.testing import CliRunner

from cli.__main__ import app
from localcloud.config import CloudConfig
from localcloud.ports import allot_ports
from localcloud.stack import LocalCloud
from shared import names
from tests.unit.test_cli_fetch import Builder, Rows, row

pytestmark = pytest.mark.localcloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    state = tmp_path_factory.mktemp("cloud")
    config = CloudConfig(state_dir=str(state), ports=allot_ports(state), identity_header="secret", models=())
    with LocalCloud(config, persistent=False) as found:
        found.create_storage(containers=names.CONTAINERS)
        yield found


@pytest.fixture
def service(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobServiceClient]:
    for name, value in cloud.client_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STORAGE__blobServiceUri", cloud.config.blob_url)
    with (
        ManagedIdentityCredential() as credential,
        BlobServiceClient(cloud.config.blob_url, credential=credential) as found,
    ):
        yield found


def test_what_was_fetched_and_is_valid_lies_where_the_app_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: BlobServiceClient
) -> None:
    splits = {"train_sft": Rows([row(n) for n in range(20)]), "test_sft": Rows([row(n) for n in range(20, 25)])}
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset_builder=lambda name: Builder(splits)))
    out = tmp_path / "out"
    arguments = ["fetch", str(tmp_path), "--out", str(out), "--upload", "--dataset", "chats", "--version", "v1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    for split in splits:
        blob = service.get_blob_client(names.DATASETS, f"chats/v1/{split}.jsonl")
        assert blob.download_blob().readall() == (out / f"{split}.jsonl").read_bytes()
    assert "uploaded chats/v1/train_sft.jsonl" in result.stdout


def version(folder: Path, rows: int = 400) -> Path:
    for split, count in (("train_sft", rows), ("test_sft", 5)):
        lines = (json.dumps(row(number + count)) for number in range(count))
        (folder / f"{split}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_an_upload_that_broke_off_sends_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: BlobServiceClient
) -> None:
    monkeypatch.setattr("cli.upload.BLOCK_BYTES", 4096)
    version(tmp_path)
    sent: list[str] = []
    stage = BlobClient.stage_block

    def counted(self: BlobClient, block_id: str, data: bytes, **options: Any) -> Any:
        if len(sent) == 5 and "again" not in sent:
            raise ServiceRequestError("the line is dead")
        sent.append(block_id)
        return stage(self, block_id, data, **options)

    monkeypatch.setattr(BlobClient, "stage_block", counted)
    arguments = ["upload", str(tmp_path), "--dataset", "resumed", "--version", "v1"]
    broken = CliRunner().invoke(app, arguments)
    assert (broken.exit_code, len(sent)) == (2, 5), broken.output
    container = service.get_container_client(names.DATASETS)
    assert list(container.list_blobs(name_starts_with="resumed/")) == [], "no file is there before all are"
    before = sent.copy()
    sent.append("again")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert not set(before) & set(sent[6:]), "blocks that had arrived were sent once more"
    for file in tmp_path.glob("*.jsonl"):
        assert container.get_blob_client(f"resumed/v1/{file.name}").download_blob().readall() == file.read_bytes()


def test_only_files_that_changed_are_uploaded_anew(tmp_path: Path, service: BlobServiceClient) -> None:
    arguments = ["upload", str(version(tmp_path)), "--dataset", "changed", "--version", "v1"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    etags = _etags(service, "changed/")
    with (tmp_path / "test_sft.jsonl").open("a") as split:
        split.write(json.dumps(row(9999)) + "\n")
    done = CliRunner().invoke(app, arguments)
    assert "unchanged changed/v1/train_sft.jsonl" in done.stdout
    after = _etags(service, "changed/")
    assert [name for name in etags if etags[name] != after[name]] == ["changed/v1/test_sft.jsonl"]


def _etags(service: BlobServiceClient, prefix: str) -> dict[str, str]:
    blobs = service.get_container_client(names.DATASETS).list_blobs(name_starts_with=prefix)
    return {blob.name: blob.etag for blob in blobs}
