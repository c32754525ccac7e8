"""Holds an exchange against the documents of its api-version: path, parameters, bodies, status, response headers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.contract.openapi.documents import Documents
from tests.contract.openapi.exchanges import UNKNOWN
from tests.contract.openapi.schemas import Schemas
from tests.contract.openapi.supplement import MANAGEMENT_FRONT_END, STAND_INS, SUPPLEMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.contract.openapi.documents import Operation
    from tests.contract.openapi.exchanges import Exchange

_SERVICE = "specification/machinelearningservices/resource-manager/Microsoft.MachineLearningServices"
_STAGES = ("stable", "preview")
_PRIMITIVES = {"integer": int, "number": float}
_LOCATORS = frozenset({"azure-asyncoperation", "location"})


@dataclass(frozen=True)
class Verdict:
    """Deviations of request and response; None where it was not checked. `operation` None: in no document."""

    operation: str | None
    request: tuple[str, ...] | None
    response: tuple[str, ...] | None


class Checker:
    """`root` is the folder that `specification/` lies in."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = {
            folder.name: f"{_SERVICE}/{stage}/{folder.name}"
            for stage in _STAGES
            for folder in sorted((root / _SERVICE / stage).glob("*"))
        }
        self._of_version = cache(self._load)

    def knows(self, exchange: Exchange) -> bool:
        """Whether there are documents of its api-version."""
        return STAND_INS.get(exchange.api_version, exchange.api_version) in self._folders

    def check(self, exchange: Exchange) -> Verdict:
        """An exchange of which no document knows the operation is a deviation itself."""
        version = STAND_INS.get(exchange.api_version, exchange.api_version)
        if version not in self._folders:
            return Verdict(None, (f"there is no specification of api-version {version!r}",), None)
        documents, schemas = self._of_version(version)
        found = documents.find(exchange.method, unquote(exchange.path).removeprefix(MANAGEMENT_FRONT_END))
        if found is None:
            return Verdict(None, (f"{version} has no operation {exchange.method} {exchange.path}",), None)
        operation, path_values = found
        call = _Call(documents, schemas, operation, exchange)
        return Verdict(
            operation.id,
            None if exchange.is_wrong_on_purpose else tuple(call.request(path_values)),
            tuple(call.response()),
        )

    def _load(self, version: str) -> tuple[Documents, Schemas]:
        documents = Documents(self._root, self._folders[version], SUPPLEMENT)
        return documents, Schemas(documents)


@dataclass(frozen=True)
class _Call:
    documents: Documents
    schemas: Schemas
    operation: Operation
    exchange: Exchange

    def request(self, path_values: Mapping[str, str]) -> Iterator[str]:
        for given in (*self.operation.shared_parameters, *self.operation.definition.get("parameters", ())):
            file, parameter = self.documents.resolve(self.operation.file, given)
            if parameter["in"] == "body":
                yield from self._request_body(file, parameter)
            elif parameter["in"] == "path":
                yield from self._value(f"path {parameter['name']}", file, parameter, path_values[parameter["name"]])
            elif parameter["in"] == "query":
                yield from self._query(file, parameter)

    def response(self) -> Iterator[str]:
        status, responses = self.exchange.status, self.operation.definition["responses"]
        declared = responses.get(str(status)) or (responses.get("default") if status >= 400 else None)
        if declared is None:
            yield f"status {status} is not declared ({', '.join(sorted(responses))})"
            return
        file, declared = self.documents.resolve(self.operation.file, declared)
        if "schema" in declared and self.exchange.response_body is not UNKNOWN:
            body = self.exchange.response_body
            for error in self.schemas.errors(declared["schema"], file, "response", body):
                yield f"body {error}"
        yield from self._headers(file, declared.get("headers", {}))

    def _request_body(self, file: str, parameter: Mapping[str, Any]) -> Iterator[str]:
        body = self.exchange.request_body
        if body is UNKNOWN:
            return
        if body is None:
            if parameter.get("required"):
                yield "body is missing"
            return
        for error in self.schemas.errors(parameter["schema"], file, "request", body):
            yield f"body {error}"

    def _query(self, file: str, parameter: Mapping[str, Any]) -> Iterator[str]:
        values = self.exchange.query.get(parameter["name"])
        if values is None:
            if parameter.get("required"):
                yield f"query {parameter['name']} is missing"
            return
        for value in values:
            yield from self._value(f"query {parameter['name']}", file, parameter, value)

    def _headers(self, file: str, declared: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        given = self.exchange.response_headers
        for name, header in declared.items():
            value = given.get(name.lower())
            if value is None:
                yield f"header {name} is missing"
            else:
                yield from self._value(f"header {name}", file, header, value)
        if self.operation.is_long_running and self.exchange.status in (201, 202) and not _LOCATORS & given.keys():
            yield "a long-running operation has neither Azure-AsyncOperation nor Location"
        content_type = given.get("content-type", "").partition(";")[0]
        if self.exchange.response_body not in (None, UNKNOWN) and content_type != "application/json":
            yield f"the body's content type is {content_type!r}"

    def _value(self, where: str, file: str, schema: Mapping[str, Any], text: str) -> Iterator[str]:
        """Of a path, a query or a header, where everything is text."""
        value: object = text
        if schema.get("type") in _PRIMITIVES:
            try:
                value = _PRIMITIVES[schema["type"]](text)
            except ValueError:
                value = text
        elif schema.get("type") == "boolean":
            value = {"true": True, "false": False}.get(text.lower(), text)
        plain = {name: item for name, item in schema.items() if name != "required"}
        for error in self.schemas.errors(plain, file, "request", value):
            yield f"{where}{error.removeprefix('/')}"
