"""Asking Azure costs money: it is only done by those who say so twice, and who know how much."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from infra.checks.places import ROOT
from shared.config import Settings
from tests.azure import __main__ as verify
from tests.unit.test_configuration import REQUIRED


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["verify"])
    monkeypatch.setattr(verify, "list_price", lambda _: 0.146)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    seen: list[list[str]] = []

    def run(arguments: list[str]) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr(pytest, "main", run)
    return seen


def test_without_the_switch_nothing_is_asked_or_done(runs: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DROPTUNE_AZURE_VERIFY", raising=False)
    assert verify.main(ask=lambda _: pytest.fail("asked")) == 2
    assert runs == []


@pytest.mark.parametrize("answer", ["", "n", "yes please"])
def test_the_cost_is_said_and_only_a_y_begins(
    answer: str, runs: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DROPTUNE_AZURE_VERIFY", "1")
    assert verify.main(ask=lambda _: answer) == 1
    assert runs == []
    assert "about 0.15 USD" in capsys.readouterr().out
    assert verify.main(ask=lambda _: "y") == 0
    assert len(runs) == 1


def test_a_price_that_is_not_known_is_not_made_up() -> None:
    assert "could not be read" in verify.estimate(Settings.from_environment(REQUIRED), lambda _: None)


def test_the_settings_are_those_of_the_deployed_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [{"name": name, "value": value} for name, value in REQUIRED.items()]
    answer += [
        {"name": "AZURE_CLIENT_ID", "value": "the app's"},
        {"name": "AzureWebJobsStorage__clientId", "value": "x"},
    ]
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    (tmp_path / "az").write_text(f"#!/bin/sh\ncat {tmp_path}/answer.json\n")
    (tmp_path / "az").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = verify.settings_of_the_app({"AZURE_FUNCTION_APP_NAME": "func-1", "AZURE_RESOURCE_GROUP": "rg"})
    assert found == REQUIRED


def test_every_question_stands_in_the_documentation() -> None:
    asked = set(re.findall(r'(?:record\(\s*)"([^"]+)"', (ROOT / "tests" / "azure" / "test_facts.py").read_text()))
    page = (ROOT / "docs" / "deploy.md").read_text().replace("`", "")
    assert len(asked) == 9
    assert [question for question in asked if question not in page] == []
