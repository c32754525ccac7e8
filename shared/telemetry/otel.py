"""Telemetry by OpenTelemetry: spans, metrics, and the app's log lines with the tuning that they are about."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry import trace as api
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared.lifecycle.tuning import State
from shared.telemetry.log_records import TuningLogs
from shared.telemetry.telemetry import DATASET, STATE, Attribute, Telemetry, Work, about, stage
from shared.telemetry.traces import Trace, valid_traceparent

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from datetime import datetime

    from opentelemetry.context import Context
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from shared.lifecycle.tuning import Tuning

SERVICE = "droptune"
_BAD = frozenset({State.FAILED, State.ROLLED_BACK, State.REJECTED})
_FLUSH_MILLIS = 5_000


class _Ids(RandomIdGenerator):
    """Random, but where a span has a name that others derive too."""

    def __init__(self) -> None:
        self.next_span: ContextVar[int] = ContextVar("next_span", default=0)
        self.next_trace: ContextVar[int] = ContextVar("next_trace", default=0)

    def generate_span_id(self) -> int:
        return self.next_span.get() or super().generate_span_id()

    def generate_trace_id(self) -> int:
        return self.next_trace.get() or super().generate_trace_id()


class _Span:
    def __init__(self, span: api.Span) -> None:
        self._span = span

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        self._span.set_attributes(dict(attributes))


class OpenTelemetry(Telemetry):
    """`source` is the workspace's id: which droptune this is."""

    def __init__(
        self, source: str, spans: SpanExporter, metrics: MetricExporter, logs: LogRecordExporter, instance: str
    ) -> None:
        resource = Resource({"service.name": SERVICE, "service.namespace": source, "service.instance.id": instance})
        self._ids = _Ids()
        self.provider = TracerProvider(resource=resource, id_generator=self._ids)
        self.provider.add_span_processor(BatchSpanProcessor(spans))
        self._tracer = self.provider.get_tracer(SERVICE)
        self._meters = MeterProvider((PeriodicExportingMetricReader(metrics),), resource)
        meter = self._meters.get_meter(SERVICE)
        self._states = meter.create_gauge("droptune.tunings", "{tuning}", "Tunings by state")
        self._durations = meter.create_histogram("droptune.stage.duration", "s", "Time that a tuning was in a state")
        self._speed = meter.create_histogram("droptune.validation.throughput", "MBy/s", "Validation of one version")
        self._idle = meter.create_gauge("droptune.endpoint.idle", "s", "Time since an endpoint's last request")
        self._cost = meter.create_gauge("droptune.endpoint.cost", "{currency}/h", "What an endpoint costs")
        self._log_provider = LoggerProvider(resource=resource)
        self._log_provider.add_log_record_processor(BatchLogRecordProcessor(logs))
        self._logs = TuningLogs(self._log_provider)
        self._known: set[str] = set()

    @contextmanager
    def work(
        self, name: str, trace: Trace | None, about: Mapping[str, Attribute], *, within: str = "", sender: str = ""
    ) -> Generator[Work]:
        parent = None if trace is None else _parent(trace, within or trace.root_span)
        started = self._tracer.start_as_current_span(name, parent, SpanKind.CONSUMER, dict(about), _links(sender))
        with self._logs.about(about), started as span:
            yield _Span(span)

    def planned(self, tuning: Tuning, now: datetime) -> None:
        trace = tuning.trace
        if trace is None:
            return
        span = trace.stage_span("collecting", trace.began)
        self._finished("stage collecting", trace, span, trace.began, now, about(tuning), "")
        if tuning.ended:
            self._root(tuning, trace, now)

    def moved(self, before: Tuning, after: Tuning) -> None:
        trace, now = before.trace or after.trace, after.state_since
        self._durations.record(
            (now - before.state_since).total_seconds(), {STATE: before.state, "droptune.tuning.next": after.state}
        )
        if trace is None:
            return
        attributes = about(before) | {"droptune.tuning.next": str(after.state), "droptune.looks": before.looks}
        failed = after.reason.code if after.state is State.CLEANING_UP and after.reason is not None else ""
        if not before.ended and before.state is not State.LIVE:
            since = before.state_since
            self._finished(f"stage {before.state}", trace, stage(before), since, now, attributes, failed)
        if after.state is State.LIVE or (after.ended and not _was_live(after)):
            self._root(after, trace, now)

    def validated(self, dataset: str, size: int, seconds: float) -> None:
        self._speed.record(size / 1e6 / max(seconds, 1e-6), {DATASET: dataset})

    def states(self, counts: Mapping[str, int]) -> None:
        """A state that has no tuning any more is told as 0 once it was seen."""
        self._known |= set(counts)
        for state in self._known:
            self._states.set(counts.get(state, 0), {STATE: state})

    def endpoint(self, name: str, dataset: str, *, idle_seconds: float | None, hourly_cost: float | None) -> None:
        about = {"droptune.endpoint": name, DATASET: dataset}
        if idle_seconds is not None:
            self._idle.set(idle_seconds, about)
        if hourly_cost is not None:
            self._cost.set(hourly_cost, about)

    def current(self) -> str:
        context = api.get_current_span().get_span_context()
        if not context.is_valid:
            return ""
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def flush(self) -> None:
        self.provider.force_flush(_FLUSH_MILLIS)
        self._meters.force_flush(_FLUSH_MILLIS)
        self._log_provider.force_flush(_FLUSH_MILLIS)

    def close(self) -> None:
        """Stops the threads, after sending what waits."""
        self._logs.close()
        self._log_provider.shutdown()
        self._meters.shutdown()
        self.provider.shutdown()

    def _root(self, tuning: Tuning, trace: Trace, now: datetime) -> None:
        bad = tuning.reason.code if tuning.state in _BAD and tuning.reason is not None else ""
        name = f"tuning {tuning.dataset}"
        self._finished(name, trace, trace.root_span, trace.began, now, about(tuning), bad, root=True)

    def _finished(
        self,
        name: str,
        trace: Trace,
        span_id: str,
        start: datetime,
        end: datetime,
        attributes: Mapping[str, Attribute],
        failed: str,
        *,
        root: bool = False,
    ) -> None:
        """A span that is over, under the ids that everybody derives."""
        span_token = self._ids.next_span.set(int(span_id, 16))
        trace_token = self._ids.next_trace.set(int(trace.id, 16))
        try:
            parent = api.set_span_in_context(api.INVALID_SPAN) if root else _parent(trace, trace.root_span)
            span = self._tracer.start_span(name, parent, SpanKind.INTERNAL, dict(attributes), start_time=_ns(start))
        finally:
            self._ids.next_span.reset(span_token)
            self._ids.next_trace.reset(trace_token)
        if failed:
            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(_ns(end))


def _was_live(tuning: Tuning) -> bool:
    return tuning.state in (State.SUPERSEDED, State.RETIRED) and tuning.failed_stage is State.LIVE


def _parent(trace: Trace, span: str) -> Context:
    context = SpanContext(int(trace.id, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return api.set_span_in_context(NonRecordingSpan(context))


def _links(sender: str) -> tuple[Link, ...]:
    text = valid_traceparent(sender)
    if not text:
        return ()
    _, trace, span, flags = text.split("-")
    return (Link(SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))),)


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1_000
