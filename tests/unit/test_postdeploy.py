"""The step after `azd deploy`, against an `az` that answers as the real one does and writes down what it was asked."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.scripts.postdeploy import OUTPUTS, TEMPLATE, StepFailedError, main

AZ = """#!/usr/bin/env python3
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
calls = folder / "calls.jsonl"
arguments = sys.argv[1:]
done = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
with calls.open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
plan = json.loads((folder / "plan.json").read_text())
kind = " ".join(arguments[:3])
before = sum(" ".join(call[:3]) == kind for call in done)
answers = plan[kind]
code, out, err = answers[min(before, len(answers) - 1)]
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
LIST, KEYS, DEPLOY = "functionapp function list", "functionapp keys list", "deployment group create"
ALL = "func-1/dataset_uploaded\nfunc-1/job_completed\nfunc-1/reconcile\n"
GOOD: dict[str, list[tuple[int, str, str]]] = {
    LIST: [(0, ALL, "")],
    KEYS: [(0, "true\n", "")],
    DEPLOY: [(0, "", "")],
}
ENVIRONMENT = {
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
    "AZURE_RESOURCE_GROUP": "rg-chats",
    "AZURE_FUNCTION_APP_NAME": "func-1",
    "AZURE_STORAGE_ACCOUNT": "st1",
    "DROPTUNE_STORAGE_TOPIC": "evgt-storage-1",
    "DROPTUNE_WORKSPACE_TOPIC": "evgt-workspace-1",
    "DROPTUNE_WORKSPACE_RESOURCE_GROUP": "rg-ml",
    "DROPTUNE_EVENTS_IDENTITY_ID": "/subscriptions/0/id-events",
}


@dataclass
class Clock:
    now: float = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Azure:
    folder: Path

    def answers(self, plan: dict[str, list[tuple[int, str, str]]]) -> None:
        (self.folder / "plan.json").write_text(json.dumps({**GOOD, **plan}))

    @property
    def calls(self) -> list[list[str]]:
        file = self.folder / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def kinds(self) -> list[str]:
        return [" ".join(call[:3]) for call in self.calls]

    def run(self, **changes: Any) -> Clock:
        clock = Clock()
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        main({**ENVIRONMENT, "PATH": path, **changes}, clock=clock, sleep=clock.sleep)
        return clock


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    program = tmp_path / "az"
    program.write_text(AZ)
    program.chmod(0o755)
    found = Azure(tmp_path)
    found.answers({})
    return found


def test_the_subscriptions_are_deployed_once_the_functions_are_there(azure: Azure) -> None:
    azure.run()
    assert azure.kinds() == [LIST, KEYS, DEPLOY]
    deploy = azure.calls[-1]
    assert deploy[deploy.index("--template-file") + 1] == str(TEMPLATE)
    assert deploy[deploy.index("--resource-group") + 1] == "rg-chats"
    given = dict(item.split("=", 1) for item in deploy if re.match(r"\w+=", item))
    assert given == {name: ENVIRONMENT[output] for name, output in OUTPUTS.items()}


def test_it_waits_for_the_functions_and_for_the_key(azure: Azure) -> None:
    azure.answers(
        {
            LIST: [(1, "", "NotFound"), (0, "", ""), (0, "func-1/reconcile\n", ""), (0, ALL, "")],
            KEYS: [(1, "", "the host does not answer yet"), (0, "false\n", ""), (0, "true\n", "")],
        }
    )
    clock = azure.run()
    assert azure.kinds().count(DEPLOY) == 1
    assert clock.now == 50, "three looks without the functions, two without the key"


def test_it_gives_up_after_the_deadline_and_says_what_to_do(azure: Azure) -> None:
    azure.answers({KEYS: [(0, "false\n", "")]})
    with pytest.raises(StepFailedError, match=r"after 600 s.*azd hooks run postdeploy"):
        azure.run()
    assert DEPLOY not in azure.kinds()


def test_a_webhook_that_does_not_answer_yet_is_tried_again(azure: Azure) -> None:
    azure.answers({DEPLOY: [(1, "", "URL validation failed"), (0, "", "")]})
    azure.run()
    assert azure.kinds().count(DEPLOY) == 2


def test_a_deployment_that_fails_is_an_error_that_says_why(azure: Azure) -> None:
    azure.answers({DEPLOY: [(1, "", "AuthorizationFailed: no")]})
    with pytest.raises(StepFailedError, match="AuthorizationFailed"):
        azure.run()
    assert azure.kinds().count(DEPLOY) == 3


def test_running_it_again_asks_for_the_same(azure: Azure) -> None:
    azure.run()
    azure.run()
    first, second = azure.calls[:3], azure.calls[3:]
    assert first == second


def test_it_never_asks_for_a_key(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    """Only whether there is one."""
    azure.run()
    (keys,) = (call for call in azure.calls if call[:2] == ["functionapp", "keys"])
    assert keys[keys.index("--query") + 1].startswith("contains(keys(")
    assert "code=" not in json.dumps(azure.calls)
    assert "key" not in capsys.readouterr().out


def test_outputs_that_are_missing_are_named(azure: Azure) -> None:
    with pytest.raises(StepFailedError, match="DROPTUNE_STORAGE_TOPIC not set"):
        azure.run(DROPTUNE_STORAGE_TOPIC="")
    assert azure.calls == []


def test_without_the_azure_cli_it_says_where_to_get_it(azure: Azure) -> None:
    with pytest.raises(StepFailedError, match=r"aka\.ms/azure-cli"):
        azure.run(PATH="/nowhere")


def test_every_parameter_of_the_template_gets_an_output_of_the_deployment() -> None:
    from infra.checks.places import INFRA
    from infra.checks.templates import parse

    assert set(parse(TEMPLATE).parameters) == set(OUTPUTS)
    outputs = set(parse(INFRA / "main.bicep").outputs)
    assert set(OUTPUTS.values()) <= outputs
