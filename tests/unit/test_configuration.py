"""The settings class and its documentation say the same."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from shared.config import Settings, setting_name
from shared.errors import ConfigurationError

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"

REQUIRED = {
    "AZURE_SUBSCRIPTION_ID": "s",
    "AZURE_RESOURCE_GROUP": "g",
    "AZUREML_WORKSPACE": "w",
    "AZURE_LOCATION": "eastus",
    "STORAGE__blobServiceUri": "https://a.blob.core.windows.net",
    "STORAGE__queueServiceUri": "https://a.queue.core.windows.net",
    "STORAGE__tableServiceUri": "https://a.table.core.windows.net",
}


def documented() -> dict[str, tuple[str, str, str]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {name: (kind, default, meaning) for name, kind, default, meaning in rows}


def declared() -> dict[str, tuple[str, str, str]]:
    kinds = {"str": "text", "int": "integer", "float": "number", "bool": "boolean"}
    table = {}
    for item in dataclasses.fields(Settings):
        default = "*required*" if item.default is dataclasses.MISSING else _shown(item.default)
        table[setting_name(item)] = (kinds[str(item.type)], default, item.metadata["doc"])
    return table


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{default}`" if default != "" else "empty"


def test_the_table_in_the_documentation_is_the_settings_class() -> None:
    assert documented() == declared()


def test_all_missing_and_malformed_settings_are_named_at_once() -> None:
    environment = {**REQUIRED, "SETTLE_SECONDS": "soon", "IDLE_DRY_RUN": "maybe", "GPUS_PER_NODE": "0"}
    del environment["AZUREML_WORKSPACE"]
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment(environment)
    message = str(caught.value)
    for part in ("AZUREML_WORKSPACE is missing", "SETTLE_SECONDS='soon'", "IDLE_DRY_RUN='maybe'", "GPUS_PER_NODE='0'"):
        assert part in message


@pytest.mark.parametrize("raw", ["nan", "inf", "-1", "1e999"])
def test_a_number_that_is_none_is_refused(raw: str) -> None:
    with pytest.raises(ConfigurationError, match="IDLE_AFTER_MINUTES"):
        Settings.from_environment({**REQUIRED, "IDLE_AFTER_MINUTES": raw})


@pytest.mark.parametrize(
    ("name", "raw"), [("PRICES", "3.67"), ("PRICES", '{"Standard_F2s_v2": -1}'), ("PRICE_CURRENCY", "dollars")]
)
def test_prices_that_are_none_are_refused(name: str, raw: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({**REQUIRED, name: raw})


def test_a_fresh_deployment_only_reports_idle_endpoints() -> None:
    assert Settings.from_environment(REQUIRED).idle_dry_run is True


def test_a_blank_setting_is_a_missing_one() -> None:
    assert Settings.from_environment({**REQUIRED, "SETTLE_SECONDS": " "}).settle_seconds == 30
