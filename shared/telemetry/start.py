"""Telemetry as the settings want it. Importing this imports the OpenTelemetry SDK."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from opentelemetry import trace

from shared.telemetry.exporters import exporters
from shared.telemetry.otel import OpenTelemetry

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.config import Settings


def telemetry(settings: Settings, credential: TokenCredential) -> OpenTelemetry:
    """Raises ConfigurationError for a `TELEMETRY` that is unknown."""
    instance = os.environ.get("WEBSITE_INSTANCE_ID") or f"{socket.gethostname()}:{os.getpid()}"
    found = OpenTelemetry(settings.workspace_id, *exporters(settings, credential), instance)
    if settings.telemetry_azure_calls:
        _trace_azure_calls(found)
    return found


def _trace_azure_calls(found: OpenTelemetry) -> None:
    """azure-core makes its spans with the global provider."""
    from azure.core.settings import settings as azure_settings

    trace.set_tracer_provider(found.provider)
    azure_settings.tracing_implementation = "opentelemetry"
