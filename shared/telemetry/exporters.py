"""Where telemetry goes, by the settings. What takes long to import is imported by the thread that sends."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

    from shared.config import Settings


_DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}
"""As Azure Monitor's own exporter wants it: each export tells only of what came since the last."""


class LateSpans(SpanExporter):
    """Makes the exporter at its first batch: Azure Monitor's takes 0.8 s to import."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._exporter = functools.cache(make)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result: SpanExportResult = self._exporter().export(spans)
        return result


class LateLogs(LogRecordExporter):
    def __init__(self, make: Callable[[], Any]) -> None:
        self._exporter = functools.cache(make)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result: LogRecordExportResult = self._exporter().export(batch)
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def shutdown(self) -> None:
        """Nothing to close: every batch was sent by itself."""


class LateMetrics(MetricExporter):
    def __init__(self, make: Callable[[], Any], *, delta: bool) -> None:
        super().__init__(_DELTA if delta else None)
        self._exporter = functools.cache(make)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        result: MetricExportResult = self._exporter().export(metrics_data, timeout_millis=timeout_millis, **kwargs)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing to close: every batch was sent by itself."""


def exporters(settings: Settings, credential: TokenCredential) -> tuple[LateSpans, LateMetrics, LateLogs]:
    """Raises ConfigurationError for a `TELEMETRY` that is none of azuremonitor, otlp and console."""
    makers = _MAKERS.get(settings.telemetry)
    if makers is None:
        raise ConfigurationError(f"TELEMETRY must be one of {', '.join(sorted(_MAKERS))}, or empty")
    spans, metrics, logs = makers
    return (
        LateSpans(lambda: spans(settings, credential)),
        LateMetrics(lambda: metrics(settings, credential), delta=settings.telemetry == "azuremonitor"),
        LateLogs(lambda: logs(settings, credential)),
    )


def _azure_monitor(kind: str) -> Callable[[Settings, TokenCredential], Any]:
    def make(settings: Settings, credential: TokenCredential) -> Any:
        from azure.monitor.opentelemetry import exporter

        # The connection string says where, not who: ingestion with keys is off where droptune's infrastructure is.
        return getattr(exporter, kind)(
            connection_string=settings.applicationinsights_connection_string,
            credential=credential,
            disable_offline_storage=True,
        )

    return make


def _otlp(signal: str, module: str, kind: str) -> Callable[[Settings, TokenCredential], Any]:
    def make(settings: Settings, credential: TokenCredential) -> Any:
        from importlib import import_module

        exporter = import_module(f"opentelemetry.exporter.otlp.proto.http.{module}")
        endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/{signal}"
        return getattr(exporter, kind)(endpoint=endpoint, timeout=settings.connect_timeout_seconds)

    return make


def _console(module: str, kind: str) -> Callable[[Settings, TokenCredential], Any]:
    def make(settings: Settings, credential: TokenCredential) -> Any:
        from importlib import import_module

        return getattr(import_module(f"opentelemetry.sdk.{module}.export"), kind)()

    return make


_MAKERS = {
    "azuremonitor": (
        _azure_monitor("AzureMonitorTraceExporter"),
        _azure_monitor("AzureMonitorMetricExporter"),
        _azure_monitor("AzureMonitorLogExporter"),
    ),
    "otlp": (
        _otlp("traces", "trace_exporter", "OTLPSpanExporter"),
        _otlp("metrics", "metric_exporter", "OTLPMetricExporter"),
        _otlp("logs", "_log_exporter", "OTLPLogExporter"),
    ),
    "console": (
        _console("trace", "ConsoleSpanExporter"),
        _console("metrics", "ConsoleMetricExporter"),
        _console("_logs", "ConsoleLogRecordExporter"),
    ),
}
