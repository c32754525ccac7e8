"""Azure Functions' own binding converters (azure.functions, and SDK types), behind typed values.

The registries are the same that the Python worker uses; only the converter of unknown binding types is ours,
since it lives in the worker.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Protocol

import azure.functions
from azure.functions.meta import Datum

from localcloud.functions.typed_data import (
    Binary,
    BlobReference,
    HttpCall,
    HttpReply,
    InputData,
    JsonText,
    Metadata,
    OutputData,
    Text,
)

GENERIC = "generic"
_new_registry: Any = azure.functions.get_binding_registry


class Converter(Protocol):
    """What the worker calls on a converter class. `pytype` exists only on those of SDK types."""

    def check_input_type_annotation(self, pytype: type) -> bool: ...
    def check_output_type_annotation(self, pytype: type) -> bool: ...
    def decode(self, data: Datum, **context: object) -> Any: ...
    def encode(self, obj: Any, *, expected_type: type | None) -> Datum: ...


class _GenericConverter:
    """Strings and bytes pass as they are, also for parameters annotated `str` or `bytes` of any binding."""

    def check_input_type_annotation(self, pytype: type) -> bool:
        return issubclass(pytype, str | bytes)

    def check_output_type_annotation(self, pytype: type) -> bool:
        return issubclass(pytype, str | bytes | bytearray)

    def decode(self, data: Datum, **context: object) -> Any:
        del context
        if data.type in ("string", "bytes", "json"):
            return data.value
        raise ValueError(f"unexpected type of data received for the 'generic' binding: {data.type!r}")

    def encode(self, obj: Any, *, expected_type: type | None) -> Datum:
        del expected_type
        if isinstance(obj, str):
            return Datum(obj, "string")
        if isinstance(obj, bytes | bytearray):
            return Datum(bytes(obj), "bytes")
        if isinstance(obj, dict | list | int | float):
            return Datum(json.dumps(obj), "json")
        raise NotImplementedError


def converter(binding_type: str, *, deferred: bool = False) -> Converter:
    found: Converter | None = None
    if deferred:
        found = _deferred_registry().get(binding_type)
    elif binding_type != GENERIC:
        found = _new_registry().get(binding_type)
    return found if found is not None else _GenericConverter()


def has_implicit_output(binding_type: str) -> bool:
    """Whether the function's return value belongs to this binding although it is not called $return."""
    found = _new_registry().get(binding_type)
    if found is None:
        return binding_type != "durableClient"
    return bool(getattr(found, "has_implicit_output", lambda: False)())


def is_sdk_type(annotation: object) -> bool:
    """Whether an extension package knows this annotation (…bindings.blob.BlobClient)."""
    registry = _deferred_registry()
    return registry is not None and bool(registry.check_supported_type(annotation))


def _deferred_registry() -> Any:
    """None until the app has imported an extension; importing it here would only cost start-up time."""
    base = sys.modules.get("azurefunctions.extensions.base")
    return base.get_binding_registry() if base is not None else None


def web_extension() -> Any:
    """azurefunctions.extensions.base, if the app has imported a web extension ("HTTP streams"); else None."""
    base = sys.modules.get("azurefunctions.extensions.base")
    return base if base is not None and base.HttpV2FeatureChecker.http_v2_enabled() else None


def to_datum(data: InputData) -> Datum:
    match data:
        case Text(value):
            return Datum(value, "string")
        case Binary(content):
            return Datum(content, "bytes")
        case JsonText(value):
            return Datum(value, "json")
        case BlobReference():
            return Datum(data, "model_binding_data")
        case HttpCall():
            return Datum(
                {
                    "method": Datum(data.method, "string"),
                    "url": Datum(data.url, "string"),
                    "headers": {name: Datum(value, "string") for name, value in data.headers.items()},
                    "query": {name: Datum(value, "string") for name, value in data.query.items()},
                    "params": {name: Datum(value, "string") for name, value in data.params.items()},
                    "body": Datum(data.body, "bytes"),
                },
                "http",
            )


def to_datums(metadata: Metadata) -> dict[str, Datum]:
    return {name: to_datum(data) for name, data in metadata.items()}


def from_datum(datum: Datum) -> OutputData:
    """Raises ValueError for a kind that no output binding of this host takes."""
    match datum.type:
        case "string":
            return Text(datum.value)
        case "bytes":
            return Binary(datum.value)
        case "json":
            return JsonText(datum.value)
        case "http":
            return HttpReply(
                status=int(datum.value["status_code"].value),
                headers={name: value.value for name, value in datum.value["headers"].items()},
                cookies=tuple(morsel.OutputString() for jar in datum.value["cookies"] or () for morsel in jar.values()),
                body=datum.value["body"].value,
            )
    raise ValueError(f"unsupported output of kind {datum.type!r}")
