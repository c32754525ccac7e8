"""Reads Azure's OpenAPI 2.0 documents of one api-version, with the common types that they refer to."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Schema = dict[str, Any]
_METHODS = frozenset({"get", "put", "post", "patch", "delete", "head"})


@dataclass(frozen=True)
class Operation:
    """`file` is the document that `definition` is in: its references are relative to that."""

    id: str
    method: str
    path: str
    file: str
    definition: Mapping[str, Any]
    shared_parameters: tuple[Mapping[str, Any], ...]

    @property
    def is_long_running(self) -> bool:
        return bool(self.definition.get("x-ms-long-running-operation"))

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the path's parameters. Resource Manager compares paths without case."""
        names = re.findall(r"\{([^}]+)\}", self.path)
        pattern = re.sub(r"\\\{[^}]+\\\}", "([^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path.rstrip("/"), re.IGNORECASE)
        return None if found is None else dict(zip(names, found.groups(), strict=True))


class Documents:
    """`more` are documents by name that are not in any file; they may refer to files by paths from `root`."""

    def __init__(self, root: Path, folder: str, more: Mapping[str, Mapping[str, Any]]) -> None:
        self._root = root
        self.by_file: dict[str, Mapping[str, Any]] = {}
        for name, document in more.items():
            self._add(name, document)
        for file in sorted((root / folder).glob("*.json")):
            self._load(posixpath.join(folder, file.name))
        self.operations = tuple(self._operations())

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation with the most literal path."""
        hits = [
            (operation, values)
            for operation in self.operations
            if operation.method == method and (values := operation.match(path)) is not None
        ]
        return max(hits, key=lambda hit: len(re.sub(r"\{[^}]+\}", "", hit[0].path)), default=None)

    def resolve(self, file: str, node: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Follow `$ref` to what it names, and the file that this is in."""
        while "$ref" in node:
            file, pointer = self.absolute(file, node["$ref"])
            target: Any = self.by_file[file]
            for part in pointer.strip("/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return file, node

    @staticmethod
    def absolute(file: str, reference: str) -> tuple[str, str]:
        """File and JSON pointer of a reference that stands in `file`."""
        target, _, pointer = reference.partition("#")
        return (posixpath.normpath(posixpath.join(posixpath.dirname(file), target)) if target else file), pointer

    def _load(self, file: str) -> None:
        if file not in self.by_file:
            self._add(file, json.loads((self._root / file).read_text(encoding="utf-8-sig")))

    def _add(self, file: str, document: Mapping[str, Any]) -> None:
        self.by_file[file] = document
        for reference in _references(document):
            target, _ = self.absolute(file, reference)
            self._load(target)

    def _operations(self) -> Iterator[Operation]:
        for file, document in self.by_file.items():
            for path, item in document.get("paths", {}).items():
                for method, definition in item.items():
                    if method in _METHODS:
                        yield Operation(
                            id=definition.get("operationId", f"{method} {path}"),
                            method=method.upper(),
                            path=path,
                            file=file,
                            definition=definition,
                            shared_parameters=tuple(item.get("parameters", ())),
                        )


def _references(node: Any) -> Iterator[str]:
    """All but those of examples, which are other files."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for name, item in node.items():
            if name != "x-ms-examples":
                yield from _references(item)
