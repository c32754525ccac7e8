"""`python -m tests.contract.events.schemas`: writes docs/events/, a JSON Schema for each type of lifecycle event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.lifecycle.events import TYPE_PREFIX
from shared.lifecycle.tuning import DELETING, MARKED, MAX_MESSAGE, UNMARKED, State

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "events"

_ENDPOINT_EVENTS = {
    MARKED: "An endpoint is idle and will be deleted at `deletes_at`, unless it is used, kept or changed before.",
    UNMARKED: "An endpoint that was marked was used or changed again.",
    DELETING: "An idle endpoint is being deleted.",
}
_STATES = {
    State.PREPARING: "A version is valid; its splits are being copied. Also each note of this state.",
    State.QUEUED: "As many jobs as allowed are running.",
    State.TRAINING: "The fine-tune job was submitted.",
    State.REGISTERED: "The job completed and its model is registered.",
    State.WAITING_FOR_BUDGET: "The deployment would exceed the budget of the month.",
    State.DEPLOYING: "Endpoint and deployment are being created.",
    State.TESTING: "The deployment is up and is being asked.",
    State.CANARY: "The deployment has a share of the traffic and is watched.",
    State.PROMOTING: "Traffic is being moved to it.",
    State.LIVE: "It has all traffic of its endpoint.",
    State.CLEANING_UP: "What it had in the cloud is being removed; `reason` says why.",
    State.REJECTED: "The version is invalid; `reason` has the first error.",
    State.FAILED: "It failed for good; an operator may replay it.",
    State.ROLLED_BACK: "It did not pass its smoke test or its canary; what was live stays live.",
    State.SUPERSEDED: "A newer tuning of the dataset took its place.",
    State.RETIRED: "Its endpoint was deleted because nobody used it, or by hand.",
}


def schemas() -> dict[str, dict[str, Any]]:
    """By the event's type."""
    found = {}
    for state, text in _STATES.items():
        kind = f"{TYPE_PREFIX}tuning.{state}"
        found[kind] = _schema(kind, text, "^tunings/.+$", {"state": {"const": str(state)}}, ())
    for event, text in _ENDPOINT_EVENTS.items():
        kind = f"{TYPE_PREFIX}{event}"
        moment = {"type": ["string", "null"], "format": "date-time"}
        found[kind] = _schema(kind, text, "^endpoints/.+$", {"deletes_at": moment}, ("deletes_at",))
    return found


def _schema(kind: str, text: str, subject: str, own: Mapping[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    data = {
        "tuning": _text("Id of the tuning."),
        "dataset": _text("Empty for files whose path names no dataset."),
        "version": _text("Version of the dataset."),
        "state": {"enum": [str(state) for state in State]},
        "message": {"type": "string", "maxLength": MAX_MESSAGE, "description": "What happened, for people."},
        "job": _text("Name of the Azure ML job; empty before there is one."),
        "model": _text("Id of the registered model; empty before there is one."),
        "endpoint": _text("Name of the online endpoint; empty before there is one."),
        "deployment": _text("Name of the deployment; empty before there is one."),
        "reason": {
            "type": ["object", "null"],
            "required": ["code", "message"],
            "properties": {"code": _text("Stable, for programs."), "message": _text("For people.")},
            "additionalProperties": False,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "description": text,
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": "^.+:[0-9]+$", "description": "Tuning and number of the entry."},
            "source": _text("Resource id of the Azure ML workspace."),
            "type": {"const": kind},
            "subject": {"type": "string", "pattern": subject},
            "time": {"type": "string", "format": "date-time"},
            "data": {
                "type": "object",
                "required": [*data, *required],
                "properties": {**data, **own},
                "additionalProperties": False,
            },
        },
    }


def _text(description: str) -> dict[str, str]:
    return {"type": "string", "description": description}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for kind, schema in schemas().items():
        (FOLDER / f"{kind}.json").write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
