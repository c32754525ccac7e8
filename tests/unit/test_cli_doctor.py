"""`doctor` where there is nothing to be had: it says so, and tries nothing that can not succeed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from shared.config import Settings
from tests.unit.test_configuration import REQUIRED


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "DROPTUNE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    monkeypatch.setenv("PATH", "/nowhere")


def test_without_an_identity_nothing_else_is_tried(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.checkups._token", lambda *_: (_ for _ in ()).throw(ConnectionError("no identity\nat all")))
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    findings = {item["check"]: item for item in json.loads(done.stdout)}
    assert done.exit_code == 1
    assert findings["identity"]["found"] == "ConnectionError: no identity"
    others = {name: item["health"] for name, item in findings.items() if name not in ("identity", "settings")}
    assert set(others.values()) == {"unknown"}
    assert {"blobs", "quota", "job events"} <= others.keys()


def test_missing_settings_are_named_in_one_line(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert "AZUREML_WORKSPACE" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_dry_run_is_said_loudly() -> None:
    from cli.checkups import _dry_run

    settings = Settings.from_environment(REQUIRED)
    assert "IDLE_DRY_RUN=false" in _dry_run(settings).repair
