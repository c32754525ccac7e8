"""The deployment passes the checks; each of them refuses the example that it is there for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from infra.checks import events, host_json, roles, secrets, settings, storage, types, wiring, workflows
from infra.checks.__main__ import checks
from infra.checks.places import BICEP_TYPES, HOST_SCHEMA, INFRA, ROOT
from infra.checks.templates import Template, UnreadableError, parse, templates

Found = tuple[Template, ...]
Check = Callable[[Found, Path], Iterable[str]]
"""Of templates that lie in this folder."""
FROM_OUTSIDE = frozenset({"zizmor", "checkov", "bicep"})
"""Held by tests/integration/test_infra_tools.py."""


def named(found: Found, name: str) -> Template:
    return next(template for template in found if template.name == name)


def check_types(found: Found, _: Path) -> Iterable[str]:
    return types.problems(found, BICEP_TYPES)


def check_wiring(found: Found, folder: Path) -> Iterable[str]:
    return wiring.problems(found, folder / "main.parameters.json")


def check_settings(found: Found, folder: Path) -> Iterable[str]:
    app = named(found, "modules/function-app.bicep")
    documents = (ROOT / "docs" / "configuration.md", ROOT / "local.settings.json.example")
    return settings.problems(app, folder / "app-settings.json", *documents)


def check_storage(found: Found, _: Path) -> Iterable[str]:
    return storage.problems(named(found, "modules/storage.bicep"), ROOT / "shared")


def check_roles(found: Found, folder: Path) -> Iterable[str]:
    return roles.problems(found, folder / "roles.json", ROOT)


def check_secrets(found: Found, _: Path) -> Iterable[str]:
    return secrets.problems(found)


def check_events(found: Found, _: Path) -> Iterable[str]:
    return events.problems(found, ROOT)


BROKEN: list[tuple[Check, str, str, str, str]] = [
    (check_types, "modules/storage.bicep", "minimumTlsVersion:", "minimumTlsVersoin:", "minimumTlsVersion\\?"),
    (check_types, "modules/storage.bicep", "'TLS1_2'", "'TLS1_4'", "must be one of TLS1_0, TLS1_1, TLS1_2"),
    (check_types, "modules/storage.bicep", "  kind: 'StorageV2'\n", "", "kind: is missing"),
    (check_types, "modules/storage.bicep", "Access: false", "Access: 'no'", "neither true nor false"),
    (check_types, "modules/storage.bicep", "days: 7", "days: 'seven'", "no whole number"),
    (check_types, "modules/events.bicep", "systemTopics@2025", "systemTopic@2025", "there is no Microsoft.EventGrid"),
    (check_types, "modules/job-subscription.bicep", "'AzureFunction'", "'AzureFunctions'", "endpointType: is"),
    (check_types, "modules/upload-subscription.bicep", "maxEventsPerBatch", "maxEvents", "no such property"),
    (check_types, "modules/workspace.bicep", "keyVault: vault.id", "keyVault: ['a']", "is no text"),
    (check_wiring, "main.bicep", "    amount: int(monthlyBudget)\n", "", "the parameter amount of .* is missing"),
    (check_wiring, "main.bicep", "    amount: int(", "    limit: int(", "has no parameter limit"),
    (check_wiring, "main.bicep", "storage.outputs.id\n", "storage.outputs.ident\n", "storage has no output ident"),
    (check_wiring, "main.bicep", "modules/budget.bicep", "modules/budgets.bicep", "there is no budgets.bicep"),
    (check_wiring, "main.bicep", "param uploaders array = []", "param loaders array = []", "nobody uses loaders"),
    (check_wiring, "main.parameters.json", '"vnetEnabled"', '"vnet"', "main.bicep has no parameter vnet"),
    (check_wiring, "main.parameters.json", '"environmentName"', '"name"', "environmentName is missing"),
    (check_settings, "app-settings.json", '"IDLE_DRY_RUN": "true"', '"IDLE_DRY_RUN": "false"', "IDLE_DRY_RUN"),
    (check_settings, "app-settings.json", '  "GPUS_PER_NODE": "1",\n', "", "GPUS_PER_NODE"),
    (check_settings, "modules/function-app.bicep", "  AZUREML_WORKSPACE: ", "  AZUREML_W: ", "AZUREML_WORKSPACE must"),
    (check_settings, "modules/function-app.bicep", "  AZUREML_WORKSPACE: ", "  AZUREML_W: ", "no code reads AZUREML_W"),
    (
        check_settings,
        "modules/function-app.bicep",
        "STORAGE__credential: 'managedidentity'",
        "STORAGE__connectionString: 'AccountKey=${account.listKeys().keys[0].value}'",
        "STORAGE__connectionString holds a secret",
    ),
    (check_storage, "modules/storage.bicep", "  'jobslots'\n", "", "jobslots of shared/names.py is missing"),
    (check_storage, "modules/storage.bicep", "  'smoke-test'\n", "  'smoke'\n", "the code opens no smoke"),
    (check_storage, "modules/storage.bicep", "  'tunings'\n  'reports'", "  'reports'", "containers: tunings"),
    (
        check_roles,
        "roles.json",
        '"monitoringReader"',
        '"owner"',
        "main.bicep: metricsReader: roles.json has no monitor",
    ),
    (check_roles, "roles.json", '"monitoringReader"', '"owner"', "owner may do more than"),
    (check_roles, "modules/events.bicep", "topic.py:Topic.send'", "topic.py:Topic.sent'", "there is no .*Topic.sent"),
    (check_roles, "modules/events.bicep", "Needed by shared/lifecycle/topic.py:Topic.send", "", "does not say which"),
    (
        check_roles,
        "modules/events.bicep",
        "appPrincipalId, roles.eventGridDataSender",
        "appPrincipalId",
        "its name does not follow from its role",
    ),
    (
        check_secrets,
        "main.bicep",
        "string = group.name",
        "string = notificationsWebhook",
        "AZURE_RESOURCE_GROUP is a s",
    ),
    (check_secrets, "main.bicep", "output AZURE_LOCATION", "output WEBHOOK_KEY", "WEBHOOK_KEY is a secret"),
    (check_secrets, "modules/notifications.bicep", "@secure()\nparam webhook", "param webhook", "is not marked as sec"),
    (check_secrets, "modules/upload-subscription.bicep", "@secure()\n", "", "webhookKey takes a secret"),
    (check_events, "modules/job-subscription.bicep", "RunCompleted", "RunFinished", "its events are not"),
    (check_events, "modules/upload-subscription.bicep", "/datasets/blobs/", "/dataset/blobs/", "subjects do not begin"),
    (check_events, "subscriptions.bicep", "functions/job_completed", "functions/jobs", "does not reach"),
    (check_events, "modules/upload-subscription.bicep", "deadLetterWithResourceIdentity", "deadLetter", "are lost"),
    (check_events, "modules/upload-subscription.bicep", "retryPolicy", "retries", "no retry policy"),
    (check_events, "modules/alerts.bicep", "and overdue since", "and forgotten since", "nobody logs"),
    (check_events, "modules/alerts.bicep", '"idle_cleanup", "reconcile"', '"idle_cleanup", "tidy"', "no function tidy"),
    (check_events, "modules/queries.bicep", "droptune.tunings", "droptune.tuned", "nobody sends droptune.tuned"),
    (check_events, "modules/alerts.bicep", '"_poison"', '"_dead"', "no function ends with _dead"),
]


@pytest.mark.parametrize(("check", "file", "old", "new", "expected"), BROKEN)
def test_a_broken_deployment_is_refused(
    check: Check, file: str, old: str, new: str, expected: str, tmp_path: Path
) -> None:
    if check is check_types and not BICEP_TYPES.is_dir():
        pytest.skip(f"there are no definitions in {BICEP_TYPES}")
    found, folder = changed(file, old, new, tmp_path)
    said = list(check(found, folder))
    assert [problem for problem in said if re.search(expected, problem)], said


def changed(file: str, old: str, new: str, folder: Path) -> tuple[Found, Path]:
    """The deployment with one text replaced, and the folder of its JSON files."""
    text = (INFRA / file).read_text()
    assert old in text, f"{file} has no {old!r} any more"
    changed_file = folder / Path(file).name
    changed_file.write_text(text.replace(old, new))
    if file.endswith(".bicep"):
        broken = parse(changed_file)
        in_place = Template(INFRA / file, broken.text, broken.tree)  # where the modules that it names are
        return tuple(in_place if item.name == file else item for item in templates()), INFRA
    main = named(templates(), "main.bicep")
    moved = Template(folder / main.name, main.text, main.tree)
    return (*(item for item in templates() if item.name != main.name), moved), folder


@pytest.mark.parametrize("title", [item.title for item in checks(templates()) if item.title not in FROM_OUTSIDE])
def test_the_deployment_passes(title: str) -> None:
    (check,) = (item for item in checks(templates()) if item.title == title)
    if check.skipped:
        pytest.skip(check.skipped)
    assert list(check.run()) == []


def test_what_is_no_bicep_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "broken.bicep"
    file.write_text("resource x 'y@1' = {")
    with pytest.raises(UnreadableError, match=r"broken\.bicep"):
        parse(file)


@pytest.mark.skipif(not HOST_SCHEMA.is_file(), reason=f"there is no schema in {HOST_SCHEMA.parent}")
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("functionTimeout", 30, r"\$\.functionTimeout"), ("version", "3.0", r"\$\.version")],
)
def test_a_host_json_that_its_schema_refuses_is_refused(key: str, value: object, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    file.write_text(json.dumps({**json.loads((ROOT / "host.json").read_text()), key: value}))
    assert [item for item in host_json.problems(file, HOST_SCHEMA) if re.search(expected, item)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5", "not pinned"),
        ("permissions: {}", "permissions: write-all", r"permissions: \{\} is missing"),
        ("make test", "make tests", "there is no make tests"),
        ("    timeout-minutes: 20\n", "", "may run for ever"),
        ("    permissions:\n      contents: read\n", "", "says nothing about permissions"),
    ],
)
def test_a_broken_workflow_is_refused(old: str, new: str, expected: str, tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert old in text
    (tmp_path / "ci.yml").write_text(text.replace(old, new))
    assert [item for item in workflows.problems(tmp_path, ROOT / "Makefile") if re.search(expected, item)]


def test_a_table_that_is_in_no_list_is_refused() -> None:
    assert list(storage._constants({"VISITS_TABLE": "visits"})) == [
        "shared/names.py: VISITS_TABLE is not among the tables"
    ]


def test_a_queue_that_is_opened_by_a_name_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text('client.get_queue_client("visits")\n')
    said = list(storage.problems(named(templates(), "modules/storage.bicep"), tmp_path))
    assert said == ["module.py:1: opens 'visits'; name it in shared/names.py"]
