"""What indexing an app yields: its functions and their bindings, as function.json would say it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Binding:
    """`attributes` are the camelCase fields of function.json, without name, type and direction."""

    name: str
    type: str
    is_output: bool
    attributes: Mapping[str, object]

    @property
    def is_trigger(self) -> bool:
        return self.type.lower().endswith("trigger")

    def text(self, key: str, default: str = "") -> str:
        value = self.attributes.get(key)
        return default if value is None else str(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.attributes.get(key)
        return default if value is None else bool(value)

    @staticmethod
    def parse(raw: str) -> Binding:
        fields = json.loads(raw)
        return Binding(
            name=fields.pop("name"),
            type=fields.pop("type"),
            is_output=fields.pop("direction") == "OUT",
            attributes=fields,
        )


@dataclass(frozen=True)
class RetryPolicy:
    """Delays are in seconds; `max_retry_count` -1 is for ever."""

    max_retry_count: int
    minimum_delay: float
    maximum_delay: float
    """Equal to `minimum_delay` for the strategy fixed_delay."""

    def delay(self, retry: int) -> float:
        """Seconds before retry number `retry` (from 1); doubles up to the maximum."""
        return min(self.maximum_delay, max(self.minimum_delay, 1e-3) * 2.0 ** min(retry - 1, 60))


@dataclass(frozen=True)
class FunctionMetadata:
    name: str
    bindings: tuple[Binding, ...]
    deferred: frozenset[str]
    """Parameters of an SDK type: they get a reference to the data, not the data."""
    retry: RetryPolicy | None = None

    @property
    def function_id(self) -> str:
        """The id that the Python worker reports."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))

    @property
    def host_id(self) -> str:
        """The id that the host uses in webhooks of blob triggers, timer status blobs and locks."""
        return f"Host.Functions.{self.name}"

    @property
    def trigger(self) -> Binding:
        return next(binding for binding in self.bindings if binding.is_trigger)

    @property
    def outputs(self) -> tuple[Binding, ...]:
        return tuple(binding for binding in self.bindings if binding.is_output)


def of_type(functions: Iterable[FunctionMetadata], trigger_type: str) -> list[FunctionMetadata]:
    return [function for function in functions if function.trigger.type == trigger_type]
