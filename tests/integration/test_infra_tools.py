"""Other people's checkers of the deployment: they run, their complaints come through, and no excuse is out of date."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.checks import tools
from infra.checks.places import INFRA, ROOT

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
with_checkov = pytest.mark.skipif(not CHECKOV.exists(), reason="checkov is not installed; `make policies` does")
OPEN_ACCOUNT = """
resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: 'open'
  location: 'eastus'
  kind: 'StorageV2'
  sku: {
    name: 'Standard_GRS'
  }
  properties: {
    supportsHttpsTrafficOnly: false
    minimumTlsVersion: 'TLS1_0'
  }
}
"""


@with_checkov
def test_the_deployment_follows_every_policy_that_is_not_excused() -> None:
    assert list(tools.checkov(CHECKOV, INFRA)) == []


@with_checkov
def test_an_open_storage_account_is_refused_and_an_excuse_without_need_as_well(tmp_path: Path) -> None:
    (tmp_path / "main.bicep").write_text(OPEN_ACCOUNT)
    said = list(tools.checkov(CHECKOV, tmp_path, {"CKV_AZURE_35": "it is the example", "CKV_AZURE_80": "no .NET"}))
    assert [item for item in said if "account" in item and "TLS" in item], said
    assert [item for item in said if "account" in item and "CKV_AZURE_3)" in item], said
    assert "checkov: CKV_AZURE_80 is excused and needs no excuse" in said
    assert not [item for item in said if "(CKV_AZURE_35)" in item]


@with_checkov
def test_a_folder_without_resources_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "main.bicep").write_text("param location string\n")
    assert list(tools.checkov(CHECKOV, tmp_path, {}))


def test_the_workflows_pass_zizmor() -> None:
    assert list(tools.zizmor(ROOT / ".github" / "workflows")) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("run: azd up --no-prompt", "run: echo ${{ github.event.issue.title }}", "template-injection"),
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@main", "unpinned-uses"),
        ("        with:\n          persist-credentials: false\n", "", "artipacked"),
    ],
)
def test_a_workflow_with_a_hole_is_refused(old: str, new: str, expected: str, tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    assert old in text
    (tmp_path / "deploy.yml").write_text(text.replace(old, new))
    assert expected in "".join(tools.zizmor(tmp_path))


@pytest.mark.parametrize(
    ("script", "problems"),
    [
        ('echo "{}"', []),
        (
            'echo "$2(3,7) : Error BCP062: broken" >&2; exit 1',
            [f"{INFRA / 'main.bicep'}(3,7) : Error BCP062: broken"],
        ),
        ('echo "no disk" >&2; exit 1', ["no disk"]),
        ('echo "$2(1,1) : Warning no-unused-params" >&2', []),
    ],
)
def test_where_the_compiler_is_installed_it_is_asked(
    script: str, problems: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bicep"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    said, there = tools.bicep(INFRA / "main.bicep")
    assert there
    assert list(said) == problems
