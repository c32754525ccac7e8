"""host.json: the options that the host honours, with the real defaults.

As in Azure, the app setting `AzureFunctionsJobHost__extensions__queues__batchSize` overrides the file.
Reference: https://learn.microsoft.com/azure/azure-functions/functions-host-json
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.functions.app_settings import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_OVERRIDE = "AzureFunctionsJobHost__"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?")
_MAX_BATCH = 32


@dataclass(frozen=True)
class QueueOptions:
    """Times are in seconds. At most batch_size + new_batch_threshold messages run at once."""

    batch_size: int = 16
    new_batch_threshold: int = 8 * (os.cpu_count() or 1)
    visibility_timeout: float = 0.0
    max_polling_interval: float = 60.0
    max_dequeue_count: int = 5
    base64: bool = True


@dataclass(frozen=True)
class HostJson:
    route_prefix: str = "api"
    function_timeout: float | None = 1800.0
    """Seconds; None is unbounded."""
    queues: QueueOptions = field(default_factory=QueueOptions)
    blob_parallelism: int = 8 * (os.cpu_count() or 1)
    poison_blob_threshold: int = 5

    @property
    def blob_queue(self) -> QueueOptions:
        """Options of the queue behind blob triggers: a half of the parallelism per batch, retried at once."""
        batch = min(_MAX_BATCH, self.blob_parallelism // 2 + 1)
        return QueueOptions(
            batch_size=batch,
            new_batch_threshold=max(0, self.blob_parallelism - batch),
            max_polling_interval=self.queues.max_polling_interval,
            max_dequeue_count=self.poison_blob_threshold,
        )


def load_host_json(file: Path, settings: Mapping[str, str]) -> HostJson:
    """Raises SettingsError for a missing file or a value out of its bounds."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {file}: {error}") from error
    if not isinstance(raw, dict) or raw.get("version") != "2.0":
        raise SettingsError(f'{file} must be an object with "version": "2.0"')
    options = _Options(file, raw, _overrides(settings))
    batch = options.integer(("extensions", "queues", "batchSize"), 16, 1, _MAX_BATCH)
    threshold = batch // 2 * (os.cpu_count() or 1)
    return HostJson(
        route_prefix=options.text(("extensions", "http", "routePrefix"), "api").strip("/"),
        function_timeout=options.seconds(("functionTimeout",), 1800.0),
        queues=QueueOptions(
            batch_size=batch,
            new_batch_threshold=options.integer(("extensions", "queues", "newBatchThreshold"), threshold, 0, 10_000),
            visibility_timeout=options.seconds(("extensions", "queues", "visibilityTimeout"), 0.0) or 0.0,
            max_polling_interval=max(0.1, options.seconds(("extensions", "queues", "maxPollingInterval"), 60.0) or 0.0),
            max_dequeue_count=options.integer(("extensions", "queues", "maxDequeueCount"), 5, 1, 10_000),
            base64=options.text(("extensions", "queues", "messageEncoding"), "base64").lower() == "base64",
        ),
        blob_parallelism=options.integer(
            ("extensions", "blobs", "maxDegreeOfParallelism"), 8 * (os.cpu_count() or 1), 1, 10_000
        ),
        poison_blob_threshold=options.integer(("extensions", "blobs", "poisonBlobThreshold"), 5, 1, 10_000),
    )


def _overrides(settings: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    return {
        tuple(name[len(_OVERRIDE) :].lower().split("__")): value
        for name, value in settings.items()
        if name.startswith(_OVERRIDE)
    }


@dataclass(frozen=True)
class _Options:
    file: Path
    raw: Mapping[str, object]
    overrides: Mapping[tuple[str, ...], str]

    def _value(self, path: tuple[str, ...]) -> object:
        override = self.overrides.get(tuple(part.lower() for part in path))
        if override is not None:
            return override
        value: object = self.raw
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def text(self, path: tuple[str, ...], default: str) -> str:
        value = self._value(path)
        return default if value is None else str(value)

    def integer(self, path: tuple[str, ...], default: int, low: int, high: int) -> int:
        value = self._value(path)
        if value is None:
            return default
        try:
            number = int(str(value))
        except ValueError as error:
            raise SettingsError(f"{self._name(path)} must be a whole number") from error
        if not low <= number <= high:
            raise SettingsError(f"{self._name(path)} must be between {low} and {high}")
        return number

    def seconds(self, path: tuple[str, ...], default: float) -> float | None:
        """None for "-1" (unbounded)."""
        value = self._value(path)
        if value is None:
            return default
        if str(value) == "-1":
            return None
        match = _TIME_SPAN.fullmatch(str(value))
        if match is None:
            raise SettingsError(f"{self._name(path)} must be a time span like 00:00:30")
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    def _name(self, path: tuple[str, ...]) -> str:
        return f"{self.file.name}: {'.'.join(path)}"
