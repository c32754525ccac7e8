"""The exporters that the settings name can be made, and are made only when something is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from azure.core.credentials import AccessToken

from shared.config import Settings
from shared.errors import ConfigurationError
from shared.telemetry.exporters import exporters
from tests.unit.test_configuration import REQUIRED

WHERE = "InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=https://127.0.0.1:9/"


class Nobody:
    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        raise AssertionError(f"nothing was sent, but a token for {scopes} was asked for")


@pytest.mark.parametrize("kind", ["azuremonitor", "otlp", "console"])
def test_every_exporter_can_be_made(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")  # it would call Microsoft from here
    settings = replace(Settings.from_environment(REQUIRED), telemetry=kind, applicationinsights_connection_string=WHERE)
    for late in exporters(settings, Nobody()):
        assert late._exporter() is late._exporter(), "made once"


def test_an_unknown_one_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="azuremonitor"):
        exporters(replace(Settings.from_environment(REQUIRED), telemetry="carrier-pigeon"), Nobody())
