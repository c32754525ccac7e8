"""Other people's checkers, as far as they are installed: the Bicep compiler, checkov, zizmor, actionlint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ACCEPTED = {
    "CKV_AZURE_13": "the Functions host asks for keys itself; Entra ID in front of it is described in docs/deploy.md",
    "CKV_AZURE_17": "callers have keys or tokens, not certificates",
    "CKV_AZURE_35": "with vnetEnabled it is Deny; without, tokens and roles keep people out, and shared keys are off",
    "CKV_AZURE_43": "the name has 17 characters, which checkov can not know: it ends with uniqueString()",
    "CKV_AZURE_63": "requests are in Application Insights; these logs do not exist on Flex Consumption",
    "CKV_AZURE_65": "error pages of a web server that is not there on Flex Consumption",
    "CKV_AZURE_66": "as CKV_AZURE_65",
    "CKV_AZURE_80": "nothing here is .NET",
    "CKV_AZURE_88": "Flex Consumption keeps the code in a blob and mounts no shares",
    "CKV_AZURE_109": "the vault is Azure ML's own and takes tokens only; a firewall would shut out its jobs",
    "CKV_AZURE_189": "as CKV_AZURE_109",
    "CKV_AZURE_193": "the topic takes tokens only, and the app reaches it without a network of its own",
    "CKV_AZURE_206": "what users can not upload again lies in the app's account, which is Standard_ZRS by default (a "
    "parameter, which checkov does not follow); Azure ML's own holds intermediate results",
    "CKV_AZURE_212": "nothing runs while nobody needs it; that is the purpose",
    "CKV_AZURE_213": "the Functions platform restarts instances by itself",
    "CKV_AZURE_222": "Event Grid and people call it from the internet, with a key",
    "CKV_AZURE_225": "zone redundancy needs instances that are always ready",
    "CKV_AZURE_243": "with vnetEnabled its jobs reach the datasets through a private endpoint of the managed network; "
    "people and the app reach the workspace with tokens",
}
"""Policies of checkov that are not followed, and why."""


def bicep(main: Path) -> tuple[Iterator[str], bool]:
    """The problems, and whether there is a compiler."""
    command = _bicep_command()
    return (_compiled(command, main), True) if command else (iter(()), False)


def _bicep_command() -> list[str]:
    if found := shutil.which("bicep"):
        return [found, "build"]
    if (found := shutil.which("az")) and subprocess.run(
        [found, "bicep", "version"], capture_output=True
    ).returncode == 0:
        return [found, "bicep", "build", "--file"]
    return []


def _compiled(command: Sequence[str], main: Path) -> Iterator[str]:
    done = subprocess.run([*command, str(main), "--stdout"], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if ": Error " in line]
    yield from said or ([done.stderr.strip()] if done.returncode else [])


def checkov(program: Path, folder: Path, accepted: dict[str, str] = ACCEPTED) -> Iterator[str]:
    command = [str(program), "--directory", str(folder), "--framework", "bicep", "--output", "json"]
    command += ["--skip-download", "--quiet", "--compact"]
    environment = {**os.environ, "LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        yield f"checkov said nothing that can be read: {(done.stderr or done.stdout).strip()[-500:]}"
        return
    results = answer.get("results", {})
    yield from (f"checkov can not read {file}" for file in results.get("parsing_errors", ()))
    failed = results.get("failed_checks", ())
    if not failed and not results.get("passed_checks") and not answer.get("summary", {}).get("passed"):
        yield "checkov looked at nothing"
    for item in failed:
        if item["check_id"] not in accepted:
            yield f"{item['file_path'].lstrip('/')}: {item['resource']}: {item['check_name']} ({item['check_id']})"
    for policy in sorted(set(accepted) - {item["check_id"] for item in failed}):
        yield f"checkov: {policy} is excused and needs no excuse"


def zizmor(workflows: Path) -> Iterator[str]:
    program = Path(sys.executable).with_name("zizmor")
    files = [str(file) for file in sorted(workflows.glob("*.yml"))]
    command = [str(program), "--offline", "--no-progress", "--format", "plain", "--min-severity", "low", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"zizmor: {(done.stdout or done.stderr).strip()}"
