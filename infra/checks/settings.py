"""App settings: the settings class, what Bicep sets, the documentation and local.settings.json.example are one."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.checks.templates import Template, unquoted
from shared.config import Settings, setting_name

_OF_THE_HOST = re.compile(r"STORAGE__|AzureWebJobs|APPLICATIONINSIGHTS_|PYTHON_|FUNCTIONS_|OTEL_")

_A_SECRET = re.compile(r"AccountKey|SharedAccess|list_?keys|password|sig=", re.IGNORECASE)


def defaults(places: Mapping[str, Any]) -> dict[str, str]:
    """What app-settings.json must say: every default but of what Bicep knows better."""
    return {
        setting_name(item): _text(item.default)
        for item in dataclasses.fields(Settings)
        if item.default is not dataclasses.MISSING and setting_name(item) not in places
    }


def write(file: Path, app: Template) -> None:
    file.write_text(json.dumps(defaults(_variable(app, "places")), indent=2) + "\n")


def problems(app: Template, defaults_file: Path, document: Path, example: Path) -> Iterator[str]:
    """`app` is the template with the variables `places` and `host`."""
    places, host = _variable(app, "places"), _variable(app, "host")
    written = json.loads(defaults_file.read_text())
    wanted = defaults(places)
    if written != wanted:
        different = sorted(name for name in {*written, *wanted} if written.get(name) != wanted.get(name))
        yield f"{defaults_file.name} differs from the settings class in {', '.join(different)}: run {_COMMAND}"
    known = {setting_name(item) for item in dataclasses.fields(Settings)}
    for name in sorted(known - set(places) - set(wanted)):
        yield f"{app.name}: {name} must be set, and is not"
    for name in sorted(set(places) - known):
        yield f"{app.name}: no code reads {name}"
    for name in sorted(host):
        if name in known or not _OF_THE_HOST.match(name):
            yield f"{app.name}: {name} is no setting of the Functions host"
    documented = set(re.findall(r"^\| `(\w+)` \|", document.read_text(), re.MULTILINE))
    for name in sorted(known ^ documented):
        yield f"{document.name}: {name} is {'not documented' if name in known else 'documented, and unknown'}"
    for name, value in {**written, **places, **host}.items():
        if _A_SECRET.search(f"{name} {value!r}"):
            yield f"{app.name}: {name} holds a secret"
    values = json.loads(example.read_text())["Values"]
    for name in sorted(name for name in values if name not in known and not _OF_THE_HOST.match(name)):
        if name not in _OF_LOCAL_RUNS:
            yield f"{example.name}: {name} is unknown"
    for item in dataclasses.fields(Settings):
        if item.default is dataclasses.MISSING and setting_name(item) not in values:
            yield f"{example.name}: {setting_name(item)} is missing"


_COMMAND = "`python -m infra.checks --write`"
_OF_LOCAL_RUNS = frozenset(
    {
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "NO_PROXY",
        "AZUREML_CURRENT_CLOUD",
        "ARM_CLOUD_METADATA_URL",
        "REGISTRY_DISCOVERY_ENDPOINT_URL",
    }
)
"""What points the unmodified SDKs at the local cloud."""


def _variable(app: Template, name: str) -> dict[str, Any]:
    value = unquoted(app.variables[name]["value"])
    assert isinstance(value, dict), f"{app.name}: {name} is no object"
    return value


def _text(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)
