"""host.json against its JSON Schema, as SchemaStore has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def problems(file: Path, schema: Path) -> Iterator[str]:
    from jsonschema.validators import validator_for

    rules = json.loads(schema.read_text())
    rules |= {"oneOf": [{"$ref": "#/definitions/version-2"}]}  # of version 1 all that could be said is: neither
    validator = validator_for(rules)(rules)
    for error in validator.iter_errors(json.loads(file.read_text())):
        while error.context:
            error = max(error.context, key=lambda item: len(item.absolute_path))
        yield f"{file.name}: {error.json_path}: {error.message}"
