"""`python -m cli fetch --upload` against Azurite, with the identity that DefaultAzureCredential finds."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from typer.testing import CliRunner

from cli.__main__ import app
from localcloud.config import CloudConfig
from localcloud.ports import allot_ports
from localcloud.stack import LocalCloud
from shared import names
from tests.unit.test_cli_fetch import Builder, Rows, row

pytestmark = pytest.mark.localcloud


def test_what_was_fetched_and_is_valid_lies_where_the_app_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = {"train_sft": Rows([row(n) for n in range(20)]), "test_sft": Rows([row(n) for n in range(20, 25)])}
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset_builder=lambda name: Builder(splits)))
    state = tmp_path / "cloud"
    state.mkdir()
    config = CloudConfig(state_dir=str(state), ports=allot_ports(state), identity_header="secret", models=())
    out = tmp_path / "out"
    with LocalCloud(config, persistent=False) as cloud:
        cloud.create_storage(containers=names.CONTAINERS)
        for name, value in cloud.client_environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("STORAGE__blobServiceUri", config.blob_url)
        arguments = ["fetch", str(tmp_path), "--out", str(out), "--upload", "--dataset", "chats", "--version", "v1"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        with (
            ManagedIdentityCredential() as credential,
            BlobServiceClient(config.blob_url, credential=credential) as service,
        ):
            for split in splits:
                blob = service.get_blob_client(names.DATASETS, f"chats/v1/{split}.jsonl")
                assert blob.download_blob().readall() == (out / f"{split}.jsonl").read_bytes()
    assert "uploaded chats/v1/train_sft.jsonl" in result.stdout
