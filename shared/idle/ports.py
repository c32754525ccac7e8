"""What a sweep needs of the world, as narrow as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
    from shared.costs.records import Price
    from shared.idle.patience import Patiently
    from shared.idle.series import Series, Unavailable
    from shared.lifecycle.ledger import Row, Versioned
    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning


class LedgerRows(Protocol):
    def tuning(self, tuning_id: str, /) -> Versioned[Tuning] | None: ...
    def tunings(self) -> Iterable[Versioned[Tuning]]: ...
    def endpoints(self) -> Iterable[Versioned[EndpointRecord]]: ...
    def endpoint(self, dataset: str, /) -> Versioned[EndpointRecord]: ...
    def put(self, row: Versioned[Row], /) -> Versioned[Row]: ...


class TuningWakeUps(Protocol):
    def tuning(self, tuning_id: str, /) -> None: ...


class Endpoints(Protocol):
    def list_endpoints(self, patiently: Patiently, /) -> Sequence[OnlineEndpoint]: ...
    def get_endpoint(self, name: str, /) -> OnlineEndpoint | None: ...
    def set_endpoint_tags(self, name: str, tags: Mapping[str, str], /) -> None: ...
    def delete_endpoint(self, name: str, /) -> object: ...
    def list_deployments(self, endpoint: str, /) -> Sequence[OnlineDeployment]: ...
    def get_deployment(self, endpoint: str, name: str, /) -> OnlineDeployment | None: ...
    def delete_deployment(self, endpoint: str, name: str, /) -> object: ...


class Requests(Protocol):
    def since(
        self, starts: Mapping[str, datetime], end: datetime, patiently: Patiently, /
    ) -> Mapping[str, Series | Unavailable]: ...


class Reports(Protocol):
    def write_report(self, tuning_id: str, content: bytes, /) -> None: ...
    def read_report(self, tuning_id: str, /) -> bytes | None: ...


class Events(Protocol):
    def publish_new(self, row: Versioned[Tuning], /) -> None: ...


class Gauges(Protocol):
    def endpoint(
        self, name: str, dataset: str, /, *, idle_seconds: float | None, hourly_cost: float | None
    ) -> None: ...


class HourlyPrice(Protocol):
    def __call__(self, instance_type: str, /) -> Price | None: ...


class Calls(Protocol):
    """When the gateway last passed a call on, by dataset."""

    def last_calls(self) -> Mapping[str, datetime]: ...
    def last_call(self, dataset: str, /) -> datetime | None: ...
